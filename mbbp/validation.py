"""The boundary: what callers give becomes what the kernels need, or an error that names the argument.

Nothing is changed before everything is checked, and nothing of the caller's is ever written to. What already has the
engine's dtype and layout is passed on without a copy.
"""

import math
import operator
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from mbbp.kernels.examples import PIXEL
from mbbp.kernels.finite import ALL_FINE, Checked, check
from mbbp.parameters import Array

NUMERIC_KINDS = "buif"


def refuse_unknown(argument: str, name: object, known: Iterable[str]) -> NoReturn:
    """Raise the error for a name that is in no table.

    Raises
    ------
    ValueError
        Always; it lists the known names.
    """
    raise ValueError(f"{argument}: unknown name {name!r}; known are {', '.join(sorted(known))}")


def as_dtype(dtype: object) -> np.dtype[Any]:
    """Return float32 or float64 as a dtype.

    Raises
    ------
    ValueError
        If `dtype` is neither.
    """
    try:
        found = None if dtype is None else np.dtype(dtype)  # type: ignore[call-overload]
    except TypeError:
        found = None
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype: expected 'float32' or 'float64', got {dtype!r}")
    return np.dtype(found)


def as_sizes(sizes: Iterable[int]) -> list[int]:
    """Return the layers' sizes as a list of ints.

    Raises
    ------
    ValueError
        If there are fewer than two layers, or one has no neuron.
    TypeError
        If they are not whole numbers.
    """
    expected = "expected the neurons of at least two layers, each 1 or more"
    try:
        numbers = [operator.index(n) for n in sizes]
    except TypeError:
        raise TypeError(f"sizes: {expected}, got {sizes!r}") from None
    if len(numbers) < 2 or min(numbers) < 1:
        raise ValueError(f"sizes: {expected}, got {numbers}")
    return numbers


def as_count(argument: str, value: object, least: int = 1) -> int:
    """Return a whole number of at least `least`.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If it is too small.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{argument}: expected a whole number, got {value!r}") from None
    if number < least:
        raise ValueError(f"{argument}: expected {least} or more, got {number}")
    return number


def as_number(
    argument: str, value: Any, least: float = 0.0, below: float = math.inf, *, positive: bool = False
) -> float:
    """Return a finite number with least <= number < below.

    Parameters
    ----------
    argument : str
        What to call it in an error.
    value : number
        What was given.
    least, below : float
        The range.
    positive : bool
        Whether zero is refused too.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is out of range, NaN or inf.
    """
    interval = f"a finite number {'above' if positive else 'of at least'} {least:g}"
    if below < math.inf:
        interval += f" and below {below:g}"
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{argument}: expected {interval}, got {value!r}") from None
    if not (least <= number < below) or (positive and number <= least):
        raise ValueError(f"{argument}: expected {interval}, got {value!r}")
    return number


def as_numeric_array(argument: str, value: ArrayLike) -> Array:
    """Return an array of real numbers, of any shape and dtype.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If its rows are not of one length.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{argument}: expected rows of equal length, got rows of different lengths") from None
    if array.dtype.kind not in NUMERIC_KINDS:
        raise TypeError(f"{argument}: expected real numbers, got dtype {array.dtype}")
    return array


def _refuse_not_finite(argument: str, array: Array, cast: Array) -> NoReturn:
    row, column = (int(i) for i in np.argwhere(~np.isfinite(cast))[0])
    value = array[row, column]
    if np.isfinite(value):
        raise ValueError(
            f"{argument}: expected numbers that {cast.dtype} can hold, got {value} in row {row}, column {column}; "
            "scale them, or build the network with dtype='float64'"
        )
    raise ValueError(f"{argument}: expected finite numbers, got {value} in row {row}, column {column}")


def are_finite(rows: Array) -> bool:
    """Say whether a contiguous array of float32 or float64 holds no NaN and no inf."""
    flat = rows.reshape(-1)
    return bool(check.bind(Checked(flat, flat.size, np.empty(0, np.int64), 0, 0), rows.dtype)() == ALL_FINE)


def as_columns(
    argument: str, value: ArrayLike, n_rows: int, dtype: np.dtype[Any], *, check_finite: bool = True
) -> Array:
    """Return a matrix with one example a column, as the kernels read it.

    Parameters
    ----------
    argument : str
        What to call it in an error.
    value : array_like of shape (n_rows, m)
        Real numbers, in any order of memory.
    n_rows : int
        The number of rows that is expected.
    dtype : dtype
        The network's dtype.
    check_finite : bool
        Whether to look for NaN and inf here; if not, the caller does.

    Returns
    -------
    ndarray of shape (n_rows, m)
        In Fortran order and read-only. It shares memory with `value` where dtype and order are right already.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If the shape is wrong, there is no column, or a number is NaN, inf or too large for `dtype`.
    """
    array = as_numeric_array(argument, value)
    _check_columns(argument, array, n_rows)
    with np.errstate(over="ignore", invalid="ignore"):
        columns = np.require(array, dtype, ["F", "A"]).view(np.ndarray)
        if check_finite and not are_finite(columns.T):
            _refuse_not_finite(argument, array, columns)
    return _read_only(columns)


def as_inputs(
    argument: str, value: ArrayLike, n_rows: int, dtype: np.dtype[Any], *, check_finite: bool = True
) -> Array:
    """Return inputs with one example a row, as the kernels read them.

    A NumPy array of uint8 holds pixels, as images come: 0 to 255 stand for 0 to 1. It stays in bytes, and the numbers
    are made when a mini-batch is gathered. Anything else is numbers.

    Parameters
    ----------
    argument, value, n_rows, dtype, check_finite
        As for `as_columns`.

    Returns
    -------
    ndarray of shape (m, n_rows)
        Of the network's dtype or uint8, in C order and read-only. It shares memory with `value` where it can.

    Raises
    ------
    TypeError, ValueError
        As `as_columns` does.
    """
    if not (isinstance(value, np.ndarray) and value.dtype == np.uint8):
        return as_columns(argument, value, n_rows, dtype, check_finite=check_finite).T
    _check_columns(argument, value, n_rows)
    return _read_only(np.require(value, requirements=["F", "A"]).view(np.ndarray).T)


def input_values(inputs: Array, dtype: np.dtype[Any]) -> Array:
    """Return inputs as the numbers that they stand for, as the kernels make them; always a new array."""
    return np.multiply(inputs, dtype.type(PIXEL)) if inputs.dtype == np.uint8 else inputs.astype(dtype)


def _check_columns(argument: str, array: Array, n_rows: int) -> None:
    if array.ndim != 2:
        hint = f"; for a single example pass {argument}.reshape(-1, 1)" if array.ndim == 1 else ""
        raise ValueError(f"{argument}: expected shape ({n_rows}, m) with one example a column, got {array.shape}{hint}")
    if array.shape[0] != n_rows:
        hint = f"; for rows of samples pass {argument}.T" if array.shape[1] == n_rows else ""
        raise ValueError(f"{argument}: expected shape ({n_rows}, m), got {array.shape}{hint}")
    if array.shape[1] == 0:
        raise ValueError(f"{argument}: expected at least one column, got shape {array.shape}")


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def as_labels(argument: str, value: ArrayLike, n_outputs: int) -> Array:
    """Return labels as int64 (m,).

    A network with a single output tells two classes apart, so its labels are 0 and 1; otherwise they are
    0 ... n_outputs - 1.

    Raises
    ------
    TypeError
        If they are not real numbers.
    ValueError
        If one is not whole, negative or too large, or there is none.
    """
    labels = as_numeric_array(argument, value).reshape(-1)
    largest = max(n_outputs - 1, 1)
    expected = f"expected labels from 0 to {largest}"
    hint = "; for a regression pass a matrix (1, m)" if n_outputs == 1 else ""
    if labels.size == 0:
        raise ValueError(f"{argument}: expected at least one label, got none")
    for fault, name in (
        (~np.isfinite(labels), ""),
        (labels != np.floor(labels), "which is not whole, "),
        (labels < 0, ""),
        (labels > largest, ""),
    ):
        if fault.any():
            where = int(np.argmax(fault))
            raise ValueError(f"{argument}: {expected}, got {labels[where]}, {name}at position {where}{hint}")
    return labels.astype(np.int64)


class Targets(NamedTuple):
    """Desired outputs, one example a row: as numbers, as labels, or as both.

    Attributes
    ----------
    rows : ndarray of shape (m, n_L), or (0, n_L) where they are the unit vectors of the labels
    labels : ndarray of int64, shape (m,), or (0,) where they name no classes
    """

    rows: Array
    labels: Array


def as_targets(argument: str, value: ArrayLike, n_outputs: int, m: int, dtype: np.dtype[Any], against: str) -> Targets:
    """Return desired outputs; this is where it is decided whether they name classes.

    They do if they are labels, or a matrix whose columns are unit vectors (for a single output: 0 or 1).

    Raises
    ------
    TypeError, ValueError
        As `as_columns` and `as_labels` do, and if there are not `m` of them, one for each column of `against`.
    """
    array = as_numeric_array(argument, value)
    if array.ndim == 1:
        labels = as_labels(argument, array, n_outputs)
        if labels.size == m:
            return Targets(_read_only(np.empty((0, n_outputs), dtype)), _read_only(labels))
        got = f"{labels.size} labels"
    else:
        columns = as_columns(argument, array, n_outputs, dtype)
        if columns.shape[1] == m:
            return Targets(columns.T, _read_only(labels_of(columns.T)))
        got = f"{columns.shape[1]} columns"
    raise ValueError(f"{argument}: expected one target for each of the {m} columns of {against}, got {got}")


def labels_of(rows: Array) -> Array:
    """Return the labels that rows of desired outputs name, (m,), or (0,) if they name no classes."""
    is_one = rows == 1
    names_classes = bool((is_one | (rows == 0)).all())
    if names_classes and rows.shape[1] > 1:
        names_classes = bool((is_one.sum(axis=1) == 1).all())
    if not names_classes:
        return np.empty(0, np.int64)
    labels = is_one[:, 0] if rows.shape[1] == 1 else is_one.argmax(axis=1)
    return labels.astype(np.int64)


def unit_vectors(labels: Array, n_outputs: int, dtype: np.dtype[Any]) -> Array:
    """Return labels as columns (n_outputs, m): 1 in the row of the label, else 0; for one output the label itself."""
    if n_outputs == 1:
        return labels.astype(dtype).reshape(1, -1)
    columns = np.zeros((n_outputs, labels.size), dtype, order="F")
    columns[labels, np.arange(labels.size)] = 1
    return columns


def as_example_weights(argument: str, value: ArrayLike | None, m: int, dtype: np.dtype[Any]) -> Array:
    """Return one factor for each example's cost, (m,), or (0,) for None: every example counts alike.

    Raises
    ------
    TypeError
        If they are not real numbers.
    ValueError
        If there are not `m` of them, one is negative or not finite, or all are 0.
    """
    if value is None:
        return _read_only(np.zeros(0, dtype))
    weights = as_numeric_array(argument, value)
    if weights.shape != (m,):
        raise ValueError(f"{argument}: expected {m} numbers, one for each example, got shape {weights.shape}")
    with np.errstate(over="ignore", under="ignore"):
        factors = weights.astype(dtype)
    if not (np.isfinite(factors).all() and (factors >= 0).all() and factors.any()):
        raise ValueError(f"{argument}: expected finite numbers of at least 0, not all of them 0 (as {dtype})")
    return _read_only(factors)
