"""Checks of the arrays that callers pass: each function returns what the kernels need, or raises an error.

The error names the argument. The caller's arrays are never changed. An array that already has the network's dtype and
the right order in memory is not copied.
"""

import datetime
import numbers
import reprlib
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from mbbp.kernels.finite import ALL_FINE, Checked, check
from mbbp.parameters import Array

NUMERIC_KINDS = "buif"
NO_LABELS = np.empty(0, np.int64)  # of examples that name no classes
TEXT_HINT = "; for columns of text, pandas.get_dummies(frame) makes columns of numbers"


def as_numeric_array(argument: str, value: ArrayLike, text_hint: str = TEXT_HINT) -> Array:
    """Return an array of real numbers, of any shape and dtype.

    An array of Python objects, as a frame with columns of different dtypes gives, is converted to float64.
    `text_hint` says what to do with text.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If its rows have different lengths, or it is a masked array with masked values.
    """
    if np.ma.is_masked(value):
        raise ValueError(f"{argument}: expected an array without masked values, got some; fill them, with .filled()")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{argument}: expected rows of equal length, got rows of different lengths") from None
    if array.dtype == object and array.ndim:
        return _as_numbers(argument, array, text_hint)
    if array.dtype.kind not in NUMERIC_KINDS:
        hints = {"U": text_hint, "S": text_hint, "M": "; take for example the days since a date"}
        got = reprlib.repr(value) if array.dtype == object else f"dtype {array.dtype}"
        raise TypeError(f"{argument}: expected real numbers, got {got}{hints.get(array.dtype.kind, '')}")
    return array


def _as_numbers(argument: str, objects: Array, text_hint: str) -> Array:
    real = (numbers.Real, np.bool_)
    refused = {kind for kind in set(map(type, objects.flat)) if not issubclass(kind, real)}
    if not refused:
        try:
            return objects.astype(np.float64)
        except OverflowError:
            raise ValueError(f"{argument}: expected numbers that float64 can hold, got a larger one") from None
    where, found = next((i, one) for i, one in np.ndenumerate(objects) if type(one) in refused)
    place = f"row {where[0]}, column {where[1]}" if len(where) == 2 else f"position {where[0]}"
    if isinstance(found, str | bytes):
        hint = text_hint
    elif found is None or type(found).__name__ in ("NAType", "NaTType"):
        hint = "; fill missing values, for example with frame.fillna(frame.median())"
    elif isinstance(found, datetime.date):
        hint = "; take for example the days since a date"
    else:
        hint = ""
    shown = found.item() if isinstance(found, np.generic) else found
    raise TypeError(f"{argument}: expected real numbers, got {shown!r} in {place}{hint}")


def refuse_not_finite(argument: str, array: Array, cast: Array) -> NoReturn:
    """Raise the error for the first number of a matrix that is NaN or inf in `cast`, which is the matrix in a dtype.

    Raises
    ------
    ValueError
        Always; it says where the number is.
    """
    row, column = (int(i) for i in np.argwhere(~np.isfinite(cast))[0])
    value = array[row, column]
    if np.isfinite(value):
        raise ValueError(
            f"{argument}: expected numbers that {cast.dtype} can hold, got {value} in row {row}, column {column}; "
            "scale them, or build the network with dtype='float64'"
        )
    raise ValueError(f"{argument}: expected finite numbers, got {value} in row {row}, column {column}")


def are_finite(rows: Array) -> bool:
    """Return whether a contiguous array of float32 or float64 holds no NaN and no inf."""
    flat = rows.reshape(-1)
    return bool(check.run(Checked(flat, flat.size, NO_LABELS, 0, 0), rows.dtype) == ALL_FINE)


def as_columns(argument: str, value: ArrayLike, n_rows: int, dtype: np.dtype[Any]) -> Array:
    """Return a matrix with one example per column, as the kernels read it.

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

    Returns
    -------
    ndarray of shape (n_rows, m)
        In Fortran order and read-only. It shares memory with `value` if dtype and order are already right.

    Raises
    ------
    TypeError
        If `value` does not hold real numbers.
    ValueError
        If the shape is wrong, there is no column, or a number is NaN, inf or too large for `dtype`.
    """
    array = as_numeric_array(argument, value)
    check_columns(argument, array, n_rows)
    with np.errstate(over="ignore", invalid="ignore"):
        columns = np.require(array, dtype, ["F", "A"]).view(np.ndarray)
        if not are_finite(columns.T):
            refuse_not_finite(argument, array, columns)
    return read_only(columns)


def check_columns(argument: str, array: Array, n_rows: int) -> None:
    """Check that an array is a matrix (n_rows, m) with at least one column.

    Raises
    ------
    ValueError
        If it is not.
    """
    if array.ndim != 2:
        hint = f"; for a single example pass {argument}.reshape(-1, 1)" if array.ndim == 1 else ""
        raise ValueError(
            f"{argument}: expected shape ({n_rows}, m) with one example per column, got {array.shape}{hint}"
        )
    if array.shape[0] != n_rows:
        hint = f"; for rows of samples pass {argument}.T" if array.shape[1] == n_rows else ""
        raise ValueError(f"{argument}: expected shape ({n_rows}, m), got {array.shape}{hint}")
    if array.shape[1] == 0:
        raise ValueError(f"{argument}: expected at least one column, got shape {array.shape}")


def read_only(array: Array) -> Array:
    """Return a view of an array that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def as_writeable(array: Array) -> Array:
    """Return an array that the kernels may write to: in C order, aligned and writeable; a copy only if it has to be."""
    return np.require(array, requirements=["C", "A", "W"]).view(np.ndarray)


def copy_into(argument: str, target: Array, value: ArrayLike) -> None:
    """Copy finite numbers of the same shape into parameters.

    Raises
    ------
    TypeError
        If they are not real numbers.
    ValueError
        If the shape is wrong, or a number is NaN, inf or too large for the dtype. Nothing is changed then.
    """
    array = as_numeric_array(argument, value)
    if array.shape != target.shape:
        raise ValueError(f"{argument}: expected shape {target.shape}, got {array.shape}")
    with np.errstate(over="ignore"):
        cast = array.astype(target.dtype)
    if not np.isfinite(cast).all():
        where = np.argmin(np.isfinite(cast))
        raise ValueError(f"{argument}: expected finite numbers in {target.dtype}, got {array.reshape(-1)[where]}")
    target[...] = cast


def as_example_weights(
    argument: str, value: ArrayLike | None, m: int, dtype: np.dtype[Any], *, may_be_zeros: bool = False
) -> Array:
    """Return a factor for the cost of each example, of shape (m,), or (0,) for None: then all factors are 1.

    With `may_be_zeros`, the caller checks whether a factor that counts is above 0.

    Raises
    ------
    TypeError
        If the factors are not real numbers.
    ValueError
        If there are not `m` factors, one is negative, NaN or inf, or, without `may_be_zeros`, all are 0.
    """
    if value is None:
        return read_only(np.zeros(0, dtype))
    weights = as_numeric_array(argument, value)
    if weights.shape != (m,):
        raise ValueError(f"{argument}: expected {m} numbers, one for each example, got shape {weights.shape}")
    with np.errstate(over="ignore", under="ignore"):
        factors = weights.astype(dtype)
    if not (np.isfinite(factors).all() and (factors >= 0).all() and (may_be_zeros or factors.any())):
        wrong = np.flatnonzero(~(np.isfinite(factors) & (factors >= 0)))
        got = f"{weights[wrong[0]]} at position {wrong[0]}" if wrong.size else "zeros"
        raise ValueError(
            f"{argument}: expected finite numbers of at least 0, not all of them 0 (in {dtype}), got {got}"
        )
    return read_only(factors)
