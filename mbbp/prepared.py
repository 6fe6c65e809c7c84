"""Calls of kernels that are prepared once and then made again and again.

To put a call together takes ten times as long as a small network takes to compute. So the records of a call, and the
memory that it works in, are kept. Small arrays are copied into memory whose address the records have; this converts
them too, and takes less time than to write another address. A prepared call serves one thread at a time.
"""

from typing import Any

import numpy as np

from mbbp.kernels import evaluation
from mbbp.kernels.examples import Examples, Scale, inputs_of, source_of
from mbbp.kernels.finite import ALL_FINE, Checked, check
from mbbp.kernels.layout import Layout
from mbbp.kernels.lowlevel.records import Placed
from mbbp.kernels.norms import gradient_norms
from mbbp.kernels.team import make_team
from mbbp.parameters import Array

SMALL = 1 << 13  # numbers that are copied in about a microsecond


def can_be_read(X: Array, dtype: np.dtype[Any]) -> bool:
    """Return whether a matrix lies in memory as the kernels read it, one column after the other."""
    flags = X.flags
    return flags.f_contiguous and flags.aligned and X.dtype == dtype


class Predictor:
    """The outputs of a network for columns of inputs.

    Parameters
    ----------
    model : Placed
        The network, with a workspace for `chunk` examples.
    n_in, n_out : int
        The number of inputs and of outputs.
    scaling : Scale or None
        How inputs are scaled.
    chunk : int
        How many examples go through the network together.
    block : int
        How many are copied at once: a multiple of `chunk`.
    """

    def __init__(self, model: Placed, n_in: int, n_out: int, scaling: Scale | None, chunk: int, block: int) -> None:
        self._dtype, self._block, self._is_scaled = model.dtype, block, scaling is not None
        self._rows, self._out = np.empty((block, n_in), self._dtype), np.empty((block, n_out), self._dtype)
        inputs = inputs_of(self._rows, scaling, self._dtype, in_place=True)
        call = evaluation.Prediction(
            model=model,
            inputs=inputs,
            order=np.arange(block if inputs.gather else 0),
            start=0,
            stop=0,
            chunk=chunk,
            out=self._out.reshape(-1),
        )
        bound = evaluation.predict.bind(call, self._dtype)
        self._run = bound.run
        self._set_inputs, self._set_out = bound.setter("inputs.values"), bound.setter("out")
        self._set_stop = bound.setter("stop")
        self._m = 0

    def of_few(self, X: Array) -> Array | None:
        """Return the outputs (n_L, m) for at most `block` columns (n_in, m), or None if an input is not finite."""
        self._copy(X)
        return self._outputs.copy("F") if self._run() else None

    def write(self, X: Array, out: Array) -> bool:
        """Write the outputs for X (n_in, m) to `out` (m, n_L), and return whether all inputs are finite."""
        m = X.shape[1]
        if not self._is_scaled and can_be_read(X, self._dtype):
            self._set_inputs(X.T.reshape(-1))
            self._set_out(out.reshape(-1))
            self._set_stop(m)
            is_finite = bool(self._run())
            self._set_inputs(self._rows.reshape(-1))
            self._set_out(self._out.reshape(-1))
            self._m = 0
            return is_finite
        for start in range(0, m, self._block):
            self._copy(X[:, start : start + self._block])
            if not self._run():
                return False
            out[start : start + self._block] = self._outputs.T
        return True

    def _copy(self, X: Array) -> None:
        m = X.shape[1]
        if m != self._m:
            self._set_stop(m)
            self._m, self._columns, self._outputs = m, self._rows[:m].T, self._out[:m].T
        _assign(self._columns, X)


class GradientOf:
    """The gradient of the mean cost of m examples.

    Parameters
    ----------
    key : tuple
        What it is prepared for.
    model : Placed
        The network, without a workspace: each call gets a new one, because the results lie in it.
    layout : Layout
        For m examples.
    n_out : int
        The number of outputs.
    are_labels : bool
        Whether `of_arrays` gets labels instead of desired outputs.
    """

    def __init__(self, key: Any, model: Placed, layout: Layout, n_out: int, *, are_labels: bool) -> None:
        self.key, self.layout, self._dtype = key, layout, model.dtype
        m, n_in = layout.m, model.record.layers[0].n_in
        self._reads_in_place = m * n_in > SMALL
        n_kept = 0 if self._reads_in_place else m
        numbers = np.zeros(n_kept * n_in + (0 if are_labels else m * n_out), self._dtype)  # for a single check
        rows, targets = numbers[: n_kept * n_in].reshape(n_kept, n_in), numbers[n_kept * n_in :].reshape(-1, n_out)
        labels, nothing = np.zeros(m if are_labels else 0, np.int64), np.empty(0, self._dtype)
        self._columns, self._targets = rows.T, labels if are_labels else targets.T
        checked = Checked(x=numbers, size=numbers.size, labels=labels, n_labels=labels.size, n_classes=max(n_out, 2))
        self._check = check.bind(checked, self._dtype).run
        check_more = check.bind(checked._replace(x=nothing, size=m * n_in, n_labels=0), self._dtype)
        self._set_checked, self._check_more = check_more.setter("x"), check_more.run
        source = source_of(Examples(rows, targets, labels, nothing), self._dtype)
        call = evaluation.GradientCall(
            model=model,
            source=source,
            order=np.arange(m),
            m=m,
            target=nothing,
            has_target=1,
            inputs=nothing,
            wants_inputs=0,
            norms=np.empty(0),
            sums=np.empty(0),
            measure=0,
            team=make_team(1)[0],
        )
        bound = evaluation.gradient.bind(call, self._dtype)
        self._run = bound.run
        self._set_work, self._set_target = model.setter("work"), bound.setter("target")
        self._set_inputs, self._set_source = source.setter("inputs.values"), bound.setter("source")
        self._set_wanted, self._set_wants_inputs = bound.setter("inputs"), bound.setter("wants_inputs")
        self._set_norms, self._set_measure = bound.setter("norms"), bound.setter("measure")
        self._set_sums, self._sums = bound.setter("sums"), np.empty(0)
        self._set_has_target = bound.setter("has_target")
        self._source, self._size = source, model.record.theta.size

    def norms_of_arrays(self, X: Array, Y: Array) -> Array | None:
        """Return the norm of the gradient of each example, for the arguments of `of_arrays`."""
        norms = np.empty(self.layout.m)
        if not self._sums.size:
            self._sums = np.empty(2 * self.layout.m)
            self._set_sums(self._sums)
        self._set_norms(norms)
        self._set_measure(gradient_norms.address(self._dtype))
        self._set_has_target(0)
        found = self.of_arrays(X, Y)
        self._set_measure(0)
        self._set_has_target(1)
        return None if found is None else norms

    def of_arrays(self, X: Array, Y: Array) -> tuple[float, Array, Array] | None:
        """Return the cost, the gradient and the workspace for inputs (n_in, m), and targets (n_L, m) or labels (m,).

        They are of the network's dtype and not scaled, the labels integers. Return None if a number is NaN or inf, or a
        label is out of range.
        """
        if self._reads_in_place:
            X = X.T.reshape(-1) if can_be_read(X, self._dtype) else X.T.flatten()
            self._set_checked(X)
            if self._check_more() != ALL_FINE:
                return None
            self._set_inputs(X)
        else:
            self._columns[...] = X
        self._targets[...] = Y  # of integers, large ones become negative, and are then out of range too
        return self._call() if self._check() == ALL_FINE else None

    def of_source(self, source: Placed, inputs: Array | None) -> tuple[float, Array, Array]:
        """Return the same for checked examples. `inputs` (m, n_in), if it is given, receives the gradients by them."""
        self._set_source(source)
        if inputs is not None:
            self._set_wanted(inputs.reshape(-1))
            self._set_wants_inputs(1)
        found = self._call()
        self._set_source(self._source)
        self._set_wants_inputs(0)
        return found

    def _call(self) -> tuple[float, Array, Array]:
        work, theta = np.empty(self.layout.work_size, self._dtype), np.empty(self._size, self._dtype)
        self._set_work(work)
        self._set_target(theta)
        return self._run(), theta, work


class SummedGradient:
    """The gradient of the summed cost of any number of examples, for parameters that change from call to call.

    Parameters
    ----------
    model : Placed
        The network, with a workspace for `chunk` examples.
    source : Placed
        The examples.
    order : ndarray of shape (n,)
        Which of them.
    chunk : int
        How many go through the network together.
    inputs : ndarray of shape (n, n_in), optional
        Receives the gradient by the input of each example.

    Attributes
    ----------
    gradient : ndarray of shape (n_parameters,)
        The gradient at the last call.
    """

    def __init__(self, model: Placed, source: Placed, order: Array, chunk: int, inputs: Array | None = None) -> None:
        self.gradient = np.empty(model.record.theta.size, model.dtype)
        call = evaluation.SummedGradient(
            model=model,
            source=source,
            order=order,
            n=order.size,
            chunk=chunk,
            target=self.gradient,
            inputs=np.empty(0, model.dtype) if inputs is None else inputs.reshape(-1),
            wants_inputs=int(inputs is not None),
            team=make_team(1)[0],
        )
        self._run = evaluation.summed_gradient.bind(call, model.dtype).run

    def __call__(self) -> float:
        """Compute the gradient at the network's parameters, and return the summed cost."""
        return self._run()


def _assign(target: Array, X: Array) -> None:
    """Copy and convert: numbers that are too large become inf."""
    if X.dtype == target.dtype:
        target[...] = X  # this takes a third of the time of np.copyto
        return
    with np.errstate(over="ignore"):
        target[...] = X
