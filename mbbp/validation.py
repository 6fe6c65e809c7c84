"""Checks of the arguments that callers pass: each function returns what the kernels need, or raises an error.

The error names the argument. The caller's arrays are never changed. An array that already has the network's dtype and
the right order in memory is not copied.
"""

import math
import operator
import reprlib
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from mbbp.kernels.examples import PIXEL
from mbbp.kernels.finite import ALL_FINE, Checked, check
from mbbp.parameters import Array, parameter_count

NUMERIC_KINDS = "buif"
LARGEST = 2**63 - 1  # the largest number that a kernel's int64 can hold
MOST_PARAMETERS = 2**40  # more than any memory holds; NumPy's own error for such an array would not name the sizes
NO_LABELS = np.empty(0, np.int64)  # of examples that name no classes


def refuse_unknown(argument: str, name: object, known: Iterable[str]) -> NoReturn:
    """Raise the error for an unknown name.

    Raises
    ------
    ValueError
        Always; it lists the known names.
    """
    raise ValueError(f"{argument}: expected one of {', '.join(sorted(known))}, got {name!r}")


def shown(value: object) -> str:
    """Return a short text of a value, for the end of an error message."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python does not write out whole numbers of more than 4,300 digits
        return "a whole number of several thousand digits"


def as_dtype(dtype: object) -> np.dtype[Any]:
    """Return float32 or float64 as a dtype.

    Raises
    ------
    ValueError
        If `dtype` is neither.
    """
    try:
        found = None if dtype is None else np.dtype(dtype)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        found = None
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype: expected 'float32' or 'float64', got {dtype!r}")
    return np.dtype(found)


def as_sizes(sizes: Iterable[int]) -> list[int]:
    """Return the sizes of the layers as a list of ints.

    Raises
    ------
    ValueError
        If there are fewer than two layers, or a size is below 1.
    TypeError
        If they are not whole numbers.
    """
    expected = "expected at least two whole numbers of 1 or more"
    try:
        numbers = [operator.index(n) for n in sizes]
    except TypeError:
        raise TypeError(f"sizes: {expected}, got {sizes!r}") from None
    if len(numbers) < 2 or min(numbers) < 1:
        raise ValueError(f"sizes: {expected}, got {numbers}")
    if parameter_count(numbers) > MOST_PARAMETERS:
        raise ValueError(f"sizes: expected at most {MOST_PARAMETERS:,} weights and biases, got sizes {shown(numbers)}")
    return numbers


def as_count(argument: str, value: object, least: int = 1, most: int = LARGEST) -> int:
    """Return a whole number of at least `least` and at most `most`.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If it is too small or too large.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{argument}: expected a whole number, got {shown(value)}") from None
    if number < least:
        raise ValueError(f"{argument}: expected {least} or more, got {shown(number)}")
    if number > most:
        raise ValueError(f"{argument}: expected {most} or less, got {shown(number)}")
    return number


def as_number(
    argument: str, value: Any, least: float = 0.0, below: float = math.inf, *, positive: bool = False
) -> float:
    """Return a finite number with least <= number < below.

    Parameters
    ----------
    argument : str
        The name of the argument in an error message.
    value : number
        The number to check.
    least, below : float
        The range: `least` belongs to it, `below` does not.
    positive : bool
        Whether `least` is outside the range too.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is out of range, NaN or inf.
    """
    interval = "a finite number"
    if least > -math.inf:
        interval += f" {'above' if positive else 'of at least'} {least:g}"
    if below < math.inf:
        interval += f" and below {below:g}"
    try:
        number = _as_float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{argument}: expected {interval}, got {shown(value)}") from None
    if not (least <= number < below) or number == -math.inf or (positive and number <= least):
        raise ValueError(f"{argument}: expected {interval}, got {shown(value)}")
    return number


def _as_float(value: Any) -> float:
    """Return a number as a float, or inf if it is too large for one; raise TypeError for what is no real number."""
    if isinstance(value, str | bytes) or (
        isinstance(value, np.ndarray | np.generic) and (value.ndim or value.dtype.kind not in NUMERIC_KINDS)
    ):
        raise TypeError
    try:
        return float(value)
    except OverflowError:
        return math.inf


def as_flag(argument: str, value: object) -> bool:
    """Return True or False.

    Raises
    ------
    TypeError
        If it is neither, nor NumPy's.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{argument}: expected True or False, got {value!r}")
    return bool(value)


def as_generator(argument: str, rng: int | np.random.Generator | None) -> np.random.Generator:
    """Return a generator of random numbers: the given one, or a new one from a seed. None takes a seed from the system.

    Raises
    ------
    TypeError
        If it is neither a seed nor a generator.
    ValueError
        If it is a negative number.
    """
    expected = "expected a whole number of 0 or more as the seed, or a numpy.random.Generator"
    try:
        return np.random.default_rng(rng)
    except TypeError:
        raise TypeError(f"{argument}: {expected}, got {shown(rng)}") from None
    except ValueError:
        raise ValueError(f"{argument}: {expected}, got {shown(rng)}") from None


def as_numeric_array(argument: str, value: ArrayLike) -> Array:
    """Return an array of real numbers, of any shape and dtype.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If its rows have different lengths.
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
    """Return whether a contiguous array of float32 or float64 holds no NaN and no inf."""
    flat = rows.reshape(-1)
    return bool(check.run(Checked(flat, flat.size, NO_LABELS, 0, 0), rows.dtype) == ALL_FINE)


def as_columns(
    argument: str, value: ArrayLike, n_rows: int, dtype: np.dtype[Any], *, check_finite: bool = True
) -> Array:
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
    check_finite : bool
        Whether to look for NaN and inf. If False, the caller must do it.

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
    _check_columns(argument, array, n_rows)
    with np.errstate(over="ignore", invalid="ignore"):
        columns = np.require(array, dtype, ["F", "A"]).view(np.ndarray)
        if check_finite and not are_finite(columns.T):
            _refuse_not_finite(argument, array, columns)
    return _read_only(columns)


def as_inputs(
    argument: str, value: ArrayLike, n_rows: int, dtype: np.dtype[Any], *, check_finite: bool = True
) -> Array:
    """Return inputs with one example per row, as the kernels read them.

    A NumPy array of uint8 holds pixels: 0 to 255 stand for 0 to 1. It stays uint8, and each mini-batch is scaled when
    it is gathered. Other inputs are not scaled.

    Parameters
    ----------
    argument, value, n_rows, dtype, check_finite
        As for `as_columns`.

    Returns
    -------
    ndarray of shape (m, n_rows)
        Of the network's dtype or uint8, in C order and read-only. It shares memory with `value` if possible.

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
    """Return inputs in a new array of the network's dtype, with pixels scaled as the kernels do it."""
    return np.multiply(inputs, dtype.type(PIXEL)) if inputs.dtype == np.uint8 else inputs.astype(dtype)


def _check_columns(argument: str, array: Array, n_rows: int) -> None:
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


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def as_writeable(array: Array) -> Array:
    """Return an array that the kernels may write to: in C order, aligned and writeable; a copy only if it has to be."""
    return np.require(array, requirements=["C", "A", "W"]).view(np.ndarray)


def as_labels(argument: str, value: ArrayLike, n_outputs: int) -> Array:
    """Return labels as int64, of shape (m,).

    A network with a single output has two classes, with the labels 0 and 1. Otherwise the labels are from 0 to
    n_outputs - 1.

    Raises
    ------
    TypeError
        If the labels are not real numbers.
    ValueError
        If there is no label, or one is not a whole number or out of range.
    """
    labels = as_numeric_array(argument, value).reshape(-1)
    largest = max(n_outputs - 1, 1)
    expected = f"expected labels from 0 to {largest}"
    hint = "; for a regression pass a matrix (1, m)" if n_outputs == 1 else ""
    if labels.size == 0:
        raise ValueError(f"{argument}: expected at least one label, got none")
    for fault, name in (
        (~np.isfinite(labels), ""),
        (labels != np.floor(labels), " (not a whole number)"),
        (labels < 0, ""),
        (labels > largest, ""),
    ):
        if fault.any():
            where = int(np.argmax(fault))
            raise ValueError(f"{argument}: {expected}, got {labels[where]}{name} at position {where}{hint}")
    return labels.astype(np.int64)


class Targets(NamedTuple):
    """The targets of some examples: their desired outputs, their labels, or both.

    Attributes
    ----------
    rows : ndarray of shape (m, n_L) or (0, n_L)
        The desired outputs, one example per row. Empty if the targets were given as labels.
    labels : ndarray of int64, shape (m,) or (0,)
        The labels. Empty if the targets do not name classes.
    """

    rows: Array
    labels: Array


def as_targets(argument: str, value: ArrayLike, n_outputs: int, m: int, dtype: np.dtype[Any], against: str) -> Targets:
    """Return checked targets, and decide whether they name classes.

    They name classes if they are labels, or if every column is a unit vector (for a single output: 0 or 1).

    Parameters
    ----------
    argument, against : str
        The names of the targets and of the inputs in an error message.
    value : array_like of shape (m,) or (n_outputs, m)
        Labels, or desired outputs.
    n_outputs : int
        The number of outputs of the network.
    m : int
        The number of examples.
    dtype : dtype
        The network's dtype.

    Raises
    ------
    TypeError
        If `value` does not hold real numbers.
    ValueError
        If a shape is wrong, a number is NaN, inf or too large for `dtype`, or a label is out of range.
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
    """Return the labels of rows of desired outputs, of shape (m,), or (0,) if the rows do not name classes."""
    is_one = rows == 1
    names_classes = bool((is_one | (rows == 0)).all())
    if names_classes and rows.shape[1] > 1:
        names_classes = bool((is_one.sum(axis=1) == 1).all())
    if not names_classes:
        return np.empty(0, np.int64)
    labels = is_one[:, 0] if rows.shape[1] == 1 else is_one.argmax(axis=1)
    return labels.astype(np.int64)


def unit_vectors(labels: Array, n_outputs: int, dtype: np.dtype[Any]) -> Array:
    """Return labels as columns (n_outputs, m): 1 in the row of the label, else 0. One output is the label itself."""
    if n_outputs == 1:
        return labels.astype(dtype).reshape(1, -1)
    columns = np.zeros((n_outputs, labels.size), dtype, order="F")
    columns[labels, np.arange(labels.size)] = 1
    return columns


def as_example_weights(argument: str, value: ArrayLike | None, m: int, dtype: np.dtype[Any]) -> Array:
    """Return a factor for the cost of each example, of shape (m,), or (0,) for None: then all factors are 1.

    Raises
    ------
    TypeError
        If the factors are not real numbers.
    ValueError
        If there are not `m` factors, one is negative, NaN or inf, or all are 0.
    """
    if value is None:
        return _read_only(np.zeros(0, dtype))
    weights = as_numeric_array(argument, value)
    if weights.shape != (m,):
        raise ValueError(f"{argument}: expected {m} numbers, one for each example, got shape {weights.shape}")
    with np.errstate(over="ignore", under="ignore"):
        factors = weights.astype(dtype)
    if not (np.isfinite(factors).all() and (factors >= 0).all() and factors.any()):
        wrong = np.flatnonzero(~(np.isfinite(factors) & (factors >= 0)))
        got = f"{weights[wrong[0]]} at position {wrong[0]}" if wrong.size else "zeros"
        raise ValueError(
            f"{argument}: expected finite numbers of at least 0, not all of them 0 (in {dtype}), got {got}"
        )
    return _read_only(factors)
