"""The forward and the backward pass for whole mini-batches: outputs, labels, costs, gradients."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mbbp.inputs import as_inputs, is_plain, scaled
from mbbp.parameters import Array, Gradient, parameter_views
from mbbp.structure import Structure
from mbbp.validation import as_flag


class Passes(Structure):
    """The methods of a network that change no parameter. `Network` says what its parts are."""

    def feedforward(self, X: ArrayLike) -> Array:
        """Return the outputs a^L for every column of X.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.

        Returns
        -------
        ndarray of shape (n_L, m)

        Raises
        ------
        ValueError
            If X has the wrong shape or no column, or holds NaN or inf.
        TypeError
            If X does not hold real numbers.

        Notes
        -----
        In matrix form, for each layer, Z = W A + b and A = sigma(Z); M. Nielsen, *Neural Networks and Deep Learning*,
        eq. (25).
        """
        engine, n_in = self._engine, self.sizes[0]
        if engine.writer.fitting_thread is not None:  # asked here, since a call takes a part of a small network's time
            engine.writer.check_readable("feedforward")
        if is_plain(X, n_in, self.dtype, converts=engine.is_unscaled):
            outputs = engine.predict_columns(X)
            if outputs is not None:
                return outputs
        rows = engine.predict(as_inputs("X", X, n_in, self.dtype, check_finite=False))
        if rows is None:
            as_inputs("X", X, n_in, self.dtype, engine.scaling)  # raises the error that says where
            raise AssertionError("unreachable")  # pragma: no cover
        return rows.T

    def activations(self, X: ArrayLike) -> list[Array]:
        """Return the activations of all layers, the input layer first: a^1 to a^L, of shapes (n_l, m).

        Raises
        ------
        ValueError
            If X has the wrong shape or no column, or holds NaN or inf.
        TypeError
            If X does not hold real numbers.
        """
        self._engine.writer.check_readable("activations")
        scaling = self._engine.scaling
        inputs = as_inputs("X", X, self.sizes[0], self.dtype, scaling)
        return [scaled(inputs, scaling, self.dtype).T, *self._engine.activations_of(inputs)]

    def classify(self, X: ArrayLike) -> Array:
        """Return the label of every column of X.

        With several outputs, the label is the index of the largest one, and the smallest index if several are equal.
        With a single output, the label is 1 if the output is above 1/2 (for squared_hinge above 0), else 0.

        Returns
        -------
        ndarray of int64, shape (m,)

        Raises
        ------
        ValueError
            If X has the wrong shape or no column, or holds NaN or inf, or if the outputs are neither sigmoid nor
            softmax and the last training was on targets that name no classes.
        TypeError
            If X does not hold real numbers.
        """
        self._engine.writer.check_readable("classify")
        self._check_classes("classify")
        return self._labels(self.feedforward(X))

    def _labels(self, outputs: Array) -> Array:
        labels = outputs[0] > self.cost_function.threshold if self.sizes[-1] == 1 else outputs.argmax(axis=0)
        return labels.astype(np.int64)

    def _check_classes(self, caller: str) -> None:
        if self._engine.is_regression and self.trained_on_classes is False:
            raise ValueError(
                f"{caller}: expected a network that was trained on classes, got one that was trained on other targets; "
                "use feedforward() and cost()"
            )

    def accuracy(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return the fraction of columns that are classified correctly.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs.
        y : array_like of shape (m,) or (n_L, m)
            Labels, or unit vectors (for a single output: 0 or 1).

        Raises
        ------
        ValueError
            If an argument has the wrong shape, holds NaN or inf, or holds a label that is out of range, or if y holds
            neither labels nor unit vectors, or if the outputs are neither sigmoid nor softmax and the last training
            was on targets that name no classes.
        TypeError
            If an argument does not hold real numbers.
        """
        self._engine.writer.check_readable("accuracy")
        self._check_classes("accuracy")
        accuracy = self._engine.score(self._engine.examples(X, y, "X", "y")).accuracy
        if accuracy is None:
            raise ValueError("y: expected labels or unit vectors, got other targets; use cost() for those")
        return accuracy

    def cost(self, X: ArrayLike, Y: ArrayLike, example_weights: ArrayLike | None = None) -> float:
        """Return the mean cost C = 1/m sum_x C_x.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs.
        Y : array_like of shape (n_L, m) or (m,)
            Desired outputs, or labels.
        example_weights : array_like of shape (m,), optional
            A factor for the cost of each example; the mean still divides by m.

        Raises
        ------
        ValueError
            If an argument has the wrong shape, holds NaN or inf, or holds a label or a number that is out of range.
        TypeError
            If an argument does not hold real numbers.
        """
        self._engine.writer.check_readable("cost")
        return self._engine.score(self._engine.examples(X, Y, "X", "Y", example_weights)).cost

    def gradient(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        example_weights: ArrayLike | None = None,
        with_respect_to_input: bool = False,
    ) -> Gradient:
        """Return the gradient of the mean cost, by one forward and one backward pass for the whole mini-batch.

        Afterwards each layer holds this mini-batch's `z`, `a` and `delta`.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.
        Y : array_like of shape (n_L, m) or (m,)
            Desired outputs, or labels.
        example_weights : array_like of shape (m,), optional
            A factor for the cost of each example; the mean still divides by m.
        with_respect_to_input : bool
            Whether to return also the gradient dC_x/dx of every example, as `inputs`.

        Returns
        -------
        Gradient

        Raises
        ------
        ValueError
            If an argument has the wrong shape, holds NaN or inf, or holds a label or a number that is out of range.
        TypeError
            If an argument does not hold real numbers.

        Notes
        -----
        The four equations of backpropagation in matrix form, M. Nielsen, *Neural Networks and Deep Learning*, ch. 2:
        delta^L = grad_a C * sigma'(Z^L), delta^l = (W^{l+1})^T delta^{l+1} * sigma'(Z^l), dC/db = 1/m delta 1,
        dC/dW = 1/m delta A^T.
        """
        engine, found = self._engine, None
        engine.writer.check_readable("gradient")
        if example_weights is None and with_respect_to_input is False:
            found = engine.quick_gradient(X, Y)
        if found is None:
            wants_inputs = as_flag("with_respect_to_input", with_respect_to_input)
            found = engine.gradient(engine.examples(X, Y, "X", "Y", example_weights), wants_inputs=wants_inputs)
        for index, layer in enumerate(self.layers):
            layer.keep(found.layout, found.work, index)
        weights, biases = parameter_views(found.theta, self.sizes)
        return Gradient(found.cost, weights, biases, found.theta, None if found.inputs is None else found.inputs.T)
