"""Derivatives of the outputs and of the cost, beyond the gradient, for whole mini-batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.arrays import as_columns, copy_into
from mbbp.inputs import as_inputs, is_plain
from mbbp.kernels.examples import Examples
from mbbp.parameters import Array, DirectionalDerivatives, Gradient, parameter_views
from mbbp.passes import Passes
from mbbp.validation import as_number

MOST_AT_ONCE = 1024  # examples: the gradient norms of more are computed in chunks, so that the memory does not grow


class Derivatives(Passes):
    """The methods of a network that differentiate it in other ways than `gradient`. They change no parameter."""

    def backpropagate(self, X: ArrayLike, output_gradient: ArrayLike) -> Gradient:
        """Return the gradient of a cost of which only its gradient by the outputs is given, dC/da^L.

        So the cost can be any function of the outputs, also one that couples outputs or examples, or that another
        library computes.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.
        output_gradient : array_like of shape (n_L, m)
            The gradient of the cost by the outputs a^L, one example per column. It contains all factors, such as the
            1/m of a mean.

        Returns
        -------
        Gradient
            By the parameters, summed over the examples, and as `inputs` by the inputs. Its `cost` is NaN, since it is
            not known.

        Raises
        ------
        ValueError
            If an argument has the wrong shape, or holds NaN or inf.
        TypeError
            If an argument does not hold real numbers.

        Notes
        -----
        BP1 to BP4, M. Nielsen, *Neural Networks and Deep Learning*, ch. 2, from a given grad_a C.

        Examples
        --------
        >>> import numpy as np, mbbp
        >>> net, X = mbbp.Network([2, 3, 2], rng=0), np.ones((2, 4))
        >>> A = net.feedforward(X)
        >>> A -= A.mean(axis=1, keepdims=True)  # of the cost 1/2 sum (a - mean a)^2 over the mini-batch
        >>> net.backpropagate(X, A).theta.shape
        (17,)
        """
        self._engine.writer.check_readable("backpropagate")
        theta, inputs = self._pull_back(X, "output_gradient", output_gradient)
        weights, biases = parameter_views(theta, self.sizes)
        return Gradient(float("nan"), weights, biases, theta, inputs)

    def vjp(self, X: ArrayLike, vectors: ArrayLike) -> tuple[Array, Array]:
        """Return the products of vectors with the Jacobian of the outputs: J^T u.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.
        vectors : array_like of shape (n_L, m)
            A vector for the outputs of each example.

        Returns
        -------
        theta : ndarray of shape (n_parameters,)
            With the Jacobian by the parameters, summed over the examples.
        inputs : ndarray of shape (n_in, m)
            With the Jacobian of each example by its inputs.

        Raises
        ------
        ValueError
            If an argument has the wrong shape, or holds NaN or inf.
        TypeError
            If an argument does not hold real numbers.
        """
        self._engine.writer.check_readable("vjp")
        return self._pull_back(X, "vectors", vectors)

    def jvp(
        self, X: ArrayLike, theta_direction: ArrayLike | None = None, input_direction: ArrayLike | None = None
    ) -> Array:
        """Return the derivative of the outputs along a direction: J v.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.
        theta_direction : array_like of shape (n_parameters,), optional
            How the parameters change.
        input_direction : array_like of shape (n_in, m), optional
            How the inputs of each example change.

        Returns
        -------
        ndarray of shape (n_L, m)

        Raises
        ------
        ValueError
            If an argument has the wrong shape, or holds NaN or inf, or if there is no direction.
        TypeError
            If an argument does not hold real numbers.
        """
        self._engine.writer.check_readable("jvp")
        examples = self._inputs_alone(X)
        if theta_direction is None and input_direction is None:
            raise ValueError("theta_direction: expected a direction, or an input_direction, got neither")
        direction = None if theta_direction is None else self._direction("theta_direction", theta_direction)
        change = None
        if input_direction is not None:
            change = self._columns("input_direction", input_direction, self.sizes[0], examples.n)
            if examples.scaling is not None:
                change = change * examples.scaling.factor.astype(self.dtype)
        return self._differentiation.push_forward(examples, direction, change).T

    def jacobian(self, X: ArrayLike, out: Array | None = None) -> Array:
        """Return the derivative of every output of every example by every parameter.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.
        out : ndarray of shape (n_L, m, n_parameters), optional
            Where to write it, in C order and of the network's dtype: also a part of a larger array, or of a file. A new
            array by default.

        Returns
        -------
        ndarray of shape (n_L, m, n_parameters)
            [k, i] is the derivative of output k of example i, in the order of ``net.theta``.

        Raises
        ------
        ValueError
            If X has the wrong shape, or holds NaN or inf, or if `out` has the wrong shape or dtype, or other memory.
        TypeError
            If X does not hold real numbers, or `out` is no array.

        Notes
        -----
        One backward pass for each output, for the whole mini-batch: with delta^L = sigma'(z^L) for this output, the
        derivatives by b^l and W^l are delta^l and delta^l (a^{l-1})^T of each example (BP3 and BP4).
        """
        engine = self._engine
        engine.writer.check_readable("jacobian")
        if engine.is_unscaled and is_plain(X, self.sizes[0], self.dtype) and len(engine.stretches(X.shape[1])) == 1:
            found = self._room("out", out, (self.sizes[-1], X.shape[1], self.theta.size), X)
            if self._differentiation.quick_rows(X, found):
                return found
        examples = self._inputs_alone(X)
        found = self._room("out", out, (self.sizes[-1], examples.n, self.theta.size), X)
        return self._differentiation.rows(examples, found, of_outputs=True)

    def input_jacobian(self, X: ArrayLike) -> Array:
        """Return the derivative of every output of every example by its inputs.

        Returns
        -------
        ndarray of shape (n_L, m, n_in)
            [k, i, j] is the derivative of output k of example i by its input j.

        Raises
        ------
        ValueError
            If X has the wrong shape, or holds NaN or inf.
        TypeError
            If X does not hold real numbers.
        """
        self._engine.writer.check_readable("input_jacobian")
        return self._differentiation.input_rows(self._inputs_alone(X))

    def directional_derivatives(self, X: ArrayLike, directions: ArrayLike) -> DirectionalDerivatives:
        """Return the first and second derivatives of the outputs along directions in the space of the inputs.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.
        directions : array_like of shape (n_in, k)
            One direction per column, for all examples.

        Returns
        -------
        DirectionalDerivatives
            `outputs` (n_L, m), `first` and `second` (k, n_L, m): for each direction v, d/dt and d^2/dt^2 of
            a^L(x + t v) at t = 0.

        Raises
        ------
        ValueError
            If an argument has the wrong shape, or holds NaN or inf.
        TypeError
            If an argument does not hold real numbers, or a custom activation has no second derivative.

        Notes
        -----
        Both derivatives go forward through the network with the activations: A'' = sigma'(Z) Z'' + sigma''(Z) Z'^2.
        """
        self._engine.writer.check_readable("directional_derivatives")
        return self._second_order(X, as_columns("directions", directions, self.sizes[0], self.dtype))

    def laplacian(self, X: ArrayLike) -> Array:
        """Return the Laplacian of every output of every example: the sum of its second derivatives by the inputs.

        Returns
        -------
        ndarray of shape (n_L, m)

        Raises
        ------
        ValueError
            If X has the wrong shape, or holds NaN or inf.
        TypeError
            If X does not hold real numbers, or a custom activation has no second derivative.
        """
        self._engine.writer.check_readable("laplacian")
        total: Array = self._second_order(X, np.eye(self.sizes[0], dtype=self.dtype)).second.sum(axis=0)
        return total

    def hessian_vector_product(self, X: ArrayLike, Y: ArrayLike, direction: ArrayLike) -> Array:
        """Return the product of the Hessian of the mean cost with a direction: H v.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.
        Y : array_like of shape (n_L, m) or (m,)
            Desired outputs, or labels.
        direction : array_like of shape (n_parameters,)
            The direction v.

        Returns
        -------
        ndarray of shape (n_parameters,)

        Raises
        ------
        ValueError
            If an argument has the wrong shape, holds NaN or inf, or holds a label or a number that is out of range.
        TypeError
            If an argument does not hold real numbers, or a custom activation or cost has no second derivative.

        Notes
        -----
        Pearlmutter's R-operator: the Hessian is never there. At a kink of an activation, such as 0 for relu, the second
        derivative counts as 0.
        """
        return self._curvature_product("hessian_vector_product", X, Y, direction, is_hessian=True)

    def gauss_newton_vector_product(self, X: ArrayLike, Y: ArrayLike, direction: ArrayLike) -> Array:
        """Return the product of the Gauss-Newton matrix of the mean cost with a direction: G v.

        G = 1/m sum_x J^T B J. For most costs, J is the Jacobian of the outputs a^L and B = d^2 C_x / da^2. For
        cross_entropy, log_likelihood and poisson, J is that of z^L and B = d^2 C_x / dz^2. G has no negative
        eigenvalue.

        Parameters
        ----------
        X, Y, direction : array_like
            As for `hessian_vector_product`.

        Returns
        -------
        ndarray of shape (n_parameters,)

        Raises
        ------
        ValueError
            If an argument has the wrong shape, holds NaN or inf, or holds a label or a number that is out of range.
        TypeError
            If an argument does not hold real numbers, or a custom cost has no second derivative.
        """
        return self._curvature_product("gauss_newton_vector_product", X, Y, direction, is_hessian=False)

    def per_example_gradients(self, X: ArrayLike, Y: ArrayLike, out: Array | None = None) -> Array:
        """Return the gradient of the cost C_x of every single example.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.
        Y : array_like of shape (n_L, m) or (m,)
            Desired outputs, or labels.
        out : ndarray of shape (m, n_parameters), optional
            Where to write them, in C order and of the network's dtype. A new array by default.

        Returns
        -------
        ndarray of shape (m, n_parameters)
            Row i is the gradient of the cost of example i.

        Raises
        ------
        ValueError
            If an argument has the wrong shape, holds NaN or inf, or holds a label or a number that is out of range, or
            if `out` has the wrong shape or dtype, or other memory.
        TypeError
            If an argument does not hold real numbers, or `out` is no array.
        """
        self._engine.writer.check_readable("per_example_gradients")
        examples = self._engine.examples(X, Y)
        found = self._room("out", out, (examples.n, self.theta.size), X, Y)
        return self._differentiation.rows(examples, found, of_outputs=False)

    def gradient_norms(self, X: ArrayLike, Y: ArrayLike) -> Array:
        """Return the norm of the gradient of every single example, without forming any of these gradients.

        Parameters
        ----------
        X, Y : array_like
            As for `per_example_gradients`.

        Returns
        -------
        ndarray of float64, shape (m,)

        Raises
        ------
        ValueError
            If an argument has the wrong shape, holds NaN or inf, or holds a label or a number that is out of range.
        TypeError
            If an argument does not hold real numbers.

        Notes
        -----
        ||grad C_x||^2 = sum_l ||delta^l||^2 (||a^{l-1}||^2 + 1): I. Goodfellow, *Efficient per-example gradient
        computations*, 2015.
        """
        self._engine.writer.check_readable("gradient_norms")
        is_small = type(X) is np.ndarray and X.ndim == 2 and X.shape[1] <= MOST_AT_ONCE
        found = self._engine.quick_norms(X, Y) if is_small else None
        return self._differentiation.clip(self._engine.examples(X, Y), None)[1] if found is None else found

    def clipped_gradient_sum(self, X: ArrayLike, Y: ArrayLike, clip_norm: float) -> Array:
        """Return the sum of the gradients of all examples, after each of them is shortened to a norm.

        Parameters
        ----------
        X, Y : array_like
            As for `per_example_gradients`.
        clip_norm : float
            The largest norm of the gradient of an example, above 0. A longer one is scaled down to it.

        Returns
        -------
        ndarray of shape (n_parameters,)
            sum_x g_x min(1, clip_norm / ||g_x||).

        Raises
        ------
        ValueError
            If an argument has the wrong shape, holds NaN or inf, or is out of range.
        TypeError
            If an argument does not hold real numbers.
        """
        self._engine.writer.check_readable("clipped_gradient_sum")
        most = as_number("clip_norm", clip_norm, positive=True)
        return self._differentiation.clip(self._engine.examples(X, Y), most)[2]

    def _curvature_product(
        self, caller: str, X: ArrayLike, Y: ArrayLike, direction: ArrayLike, *, is_hessian: bool
    ) -> Array:
        self._engine.writer.check_readable(caller)
        examples, vector = self._engine.examples(X, Y), self._direction("direction", direction)
        product = self._differentiation.curvature_product(examples, vector, is_hessian=is_hessian)
        product /= examples.n
        return product

    def _second_order(self, X: ArrayLike, directions: Array) -> DirectionalDerivatives:
        examples, rows = self._inputs_alone(X), directions.T
        if examples.scaling is not None:
            rows = rows * examples.scaling.factor.astype(self.dtype)
        outputs, first, second = self._differentiation.second_order(examples, rows)
        return DirectionalDerivatives(outputs.T, first.transpose(0, 2, 1), second.transpose(0, 2, 1))

    def _pull_back(self, X: ArrayLike, argument: str, vectors: ArrayLike) -> tuple[Array, Array]:
        examples = self._inputs_alone(X)
        targets = self._columns(argument, vectors, self.sizes[-1], examples.n)
        theta, inputs = self._differentiation.backpropagate(examples._replace(targets=targets))
        return theta, inputs.T

    def _inputs_alone(self, X: ArrayLike) -> Examples:
        """Return checked inputs as examples whose targets are never read."""
        scaling = self._engine.scaling
        inputs = as_inputs("X", X, self.sizes[0], self.dtype, scaling)
        targets = np.zeros((len(inputs), self.sizes[-1]), self.dtype)
        return Examples(inputs, targets, np.empty(0, np.int64), np.empty(0, self.dtype), scaling)

    def _columns(self, argument: str, value: ArrayLike, n_rows: int, m: int) -> Array:
        """Return a checked matrix (n_rows, m) with one example per row."""
        rows = as_columns(argument, value, n_rows, self.dtype).T
        if len(rows) != m:
            raise ValueError(
                f"{argument}: expected one for each of the {m} columns of X, got shape ({n_rows}, {len(rows)})"
            )
        return rows

    def _direction(self, argument: str, value: ArrayLike) -> Array:
        vector = np.empty_like(self.theta)
        copy_into(argument, vector, value)
        return vector

    def _room(self, argument: str, out: Array | None, shape: tuple[int, ...], *read: Any) -> Array:
        """Return where a result is written: not in the memory of the arrays that are read meanwhile."""
        if out is None:
            return np.empty(shape, self.dtype)
        if not isinstance(out, np.ndarray):
            raise TypeError(f"{argument}: expected an array, got {out!r:.100}")
        if out.shape != shape or out.dtype != self.dtype:
            raise ValueError(f"{argument}: expected {self.dtype} {shape} for this X, got {out.dtype} {out.shape}")
        if not out.flags.carray:
            raise ValueError(f"{argument}: expected writeable and aligned memory in C order, got other memory")
        for array in (self._engine.theta, *read):
            if isinstance(array, np.ndarray) and np.may_share_memory(out, array):
                raise ValueError(f"{argument}: expected memory of its own, got some that the parameters, X or Y use")
        return out
