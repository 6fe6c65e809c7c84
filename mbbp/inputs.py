"""Checks of inputs, and how they are scaled.

Inputs stay where they are and as they are: each mini-batch is converted and scaled when it is gathered.
"""

from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from mbbp.arrays import are_finite, as_numeric_array, check_columns, read_only, refuse_not_finite
from mbbp.kernels.examples import INPUT_DTYPES, Examples, Inspection, Scale, inputs_of, inspect
from mbbp.parameters import Array
from mbbp.scaling import Scaling

CHUNK = 128  # the inputs that are inspected together
LARGEST_COPY = 1 << 28  # bytes: inputs that would need more are read where they are


def is_plain(X: Any, n_in: int, dtype: np.dtype[Any], *, converts: bool = False) -> TypeGuard[Array]:
    """Return whether X is an array (n_in, m) with at least one column, which no check but that of its numbers refuses.

    It must have the network's dtype or, if `converts` is true, another one of real numbers.
    """
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.shape[0] == n_in
        and X.shape[1] > 0
        and (X.dtype == dtype or (converts and X.dtype.kind in "fiu"))
    )


def as_inputs(
    argument: str,
    value: ArrayLike,
    n_rows: int,
    dtype: np.dtype[Any],
    scaling: Scaling | None = None,
    *,
    check_finite: bool = True,
) -> Array:
    """Return inputs with one example per row, as the kernels read them.

    Parameters
    ----------
    argument : str
        The name of the argument in an error message.
    value : array_like of shape (n_rows, m)
        Real numbers, in any order in memory.
    n_rows : int
        The expected number of rows.
    dtype : dtype
        The network's dtype.
    scaling : Scaling, optional
        How the network scales them; only for the check.
    check_finite : bool
        Whether to look for numbers that are NaN or inf, or become so when they are scaled. If False, the caller must
        do it.

    Returns
    -------
    ndarray of shape (m, n_rows)
        Integers, float32 or float64, in C order and read-only; not scaled. It shares memory with `value` if possible.

    Raises
    ------
    TypeError
        If `value` does not hold real numbers.
    ValueError
        If the shape is wrong, there is no column, or a scaled number is NaN, inf or too large for `dtype`.
    """
    array = as_numeric_array(argument, value)
    check_columns(argument, array, n_rows)
    if array.dtype == dtype:
        rows = np.require(array, requirements=["F", "A"]).view(np.ndarray).T
    else:
        rows = _in_a_known_dtype(array, dtype)
    if check_finite:
        check_scaled(argument, rows, scaling, dtype)
    return read_only(rows)


def check_scaled(argument: str, rows: Array, scaling: Scaling | None, dtype: np.dtype[Any]) -> None:
    """Check that inputs (m, n_in) are finite in a network's dtype when they are scaled.

    Raises
    ------
    ValueError
        If one is not. The message says where.
    """
    if not _are_safe_integers(rows.dtype, scaling, dtype) and not _are_finite(rows, scaling, dtype):
        refuse_not_finite(argument, rows.T, scaled(rows, scaling, dtype).T)


def _in_a_known_dtype(array: Array, dtype: np.dtype[Any]) -> Array:
    """Return the rows of inputs in a dtype that a gather kernel reads."""
    kept = array.dtype if array.dtype.str in INPUT_DTYPES else np.result_type(array.dtype, dtype)
    if kept.str not in INPUT_DTYPES:  # a wider float, or another byte order
        kept = np.dtype(np.float64)
    with np.errstate(over="ignore"):
        return np.require(array, kept, ["F", "A"]).view(np.ndarray).T


def _are_safe_integers(inputs: np.dtype[Any], scaling: Scaling | None, dtype: np.dtype[Any]) -> bool:
    """Return whether inputs of this dtype are integers, none of which is too large when it is scaled."""
    if inputs.kind not in "biu":
        return False
    largest = 1.0 if inputs.kind == "b" else float(np.iinfo(inputs).max) + 1.0
    if scaling is not None:
        largest = (largest + (0.0 if scaling.mean is None else abs(scaling.mean).max())) * abs(scaling.factor).max()
    return bool(largest < np.finfo(dtype).max)


def _are_finite(rows: Array, scaling: Scaling | None, dtype: np.dtype[Any]) -> bool:
    if scaling is None and rows.dtype == dtype:
        return are_finite(rows)
    return _gather(rows, scaling, np.empty((CHUNK, rows.shape[1]), dtype))


def _gather(rows: Array, scaling: Scale | None, work: Array) -> bool:
    """Gather all rows into `work`, as many at a time as it has rows, and return whether all are finite."""
    inspection = Inspection(
        inputs=inputs_of(rows, scaling, work.dtype),
        order=np.arange(len(rows)),
        n=len(rows),
        n_in=rows.shape[1],
        chunk=len(work),
        work=work.reshape(-1),
    )
    return bool(inspect.run(inspection, work.dtype))


def narrowed(examples: Examples, dtype: np.dtype[Any]) -> Examples:
    """Return examples whose inputs are read fast in epoch after epoch.

    Inputs of a wider dtype than the network's are copied once, scaled. They would otherwise be read from memory, twice
    as many bytes, in each epoch. Not copied are inputs in a file, and inputs whose copy would be very large.
    """
    inputs = examples.inputs
    copy_size = inputs.size * dtype.itemsize
    if inputs.dtype.itemsize <= dtype.itemsize or copy_size > LARGEST_COPY or _is_in_a_file(inputs):
        return examples
    copy = np.empty(inputs.shape, dtype)
    _gather(inputs, examples.scaling, copy)
    return examples._replace(inputs=copy, scaling=None)


def _is_in_a_file(array: Any) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


def scaled(inputs: Array, scaling: Scale | None, dtype: np.dtype[Any]) -> Array:
    """Return inputs (m, n_in) in a new array of the network's dtype, scaled: the NumPy twin of the gather kernels."""
    with np.errstate(over="ignore", invalid="ignore"):
        if scaling is None:
            return inputs.astype(dtype)
        wide = inputs.astype(np.result_type(inputs.dtype, dtype))
        if scaling.mean is not None:
            wide -= scaling.mean.astype(wide.dtype)
        wide *= scaling.factor.astype(wide.dtype)
        return wide.astype(dtype, copy=False)
