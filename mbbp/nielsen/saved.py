"""Reading the book's JSON file of a network. Nothing in it is believed before it is checked."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mbbp.fileformat.structure import MOST_LAYERS
from mbbp.parameters import Array
from mbbp.validation import as_sizes


class Saved(NamedTuple):
    """What a file holds."""

    sizes: tuple[int, ...]
    weights: list[Array]  # (n_out, n_in)
    biases: list[Array]  # (n_out, 1)
    cost: str


def read_saved(path: str | Path, dtype: np.dtype[Any], argument: str = "filename") -> Saved:
    """Read a network's parameters.

    Parameters
    ----------
    path : path
        The file.
    dtype : dtype
        The dtype of the parameters.
    argument : str
        The name of the path in an error message.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it does not hold a network, or a parameter is no finite number of this dtype. The message names the file and
        the place in it.
    """
    content = Path(path).read_bytes()
    try:
        return _checked(json.loads(content.decode("utf-8")), dtype)
    except RecursionError:
        reason = "its brackets are nested too deeply"
    except KeyError as error:
        reason = f"it has no {error}"
    except (ValueError, TypeError) as error:
        reason = str(error)
    raise ValueError(
        f"{argument}: expected a network that save wrote, got {str(path)!r}, which is another or damaged file "
        f"({reason:.500})"
    )


def _checked(data: Any, dtype: np.dtype[Any]) -> Saved:
    if not isinstance(data, dict):
        raise ValueError(f"expected a JSON object, got {data!r:.100}")
    given, cost = data["sizes"], data["cost"]
    if not isinstance(given, list) or not all(type(n) is int for n in given):
        raise ValueError(f"sizes: expected a list of whole numbers, got {given!r:.100}")
    if len(given) - 1 > MOST_LAYERS:
        raise ValueError(f"sizes: expected at most {MOST_LAYERS:,} layers, got {len(given) - 1:,}")
    if not isinstance(cost, str):
        raise ValueError(f"cost: expected a name, got {cost!r:.100}")
    sizes = tuple(as_sizes(given))
    shapes = [(n, n_in) for n_in, n in pairwise(sizes)]
    weights = _matrices("weights", data["weights"], shapes, dtype)
    biases = _matrices("biases", data["biases"], [(n, 1) for n, _ in shapes], dtype)
    return Saved(sizes, weights, biases, cost)


def _matrices(name: str, given: Any, shapes: list[tuple[int, int]], dtype: np.dtype[Any]) -> list[Array]:
    _check_list(name, given, len(shapes), "matrices (one for each layer)")
    return [
        _matrix(f"{name}[{i}]", one, *shape, dtype) for i, (one, shape) in enumerate(zip(given, shapes, strict=True))
    ]


def _matrix(name: str, rows: Any, n_rows: int, n_columns: int, dtype: np.dtype[Any]) -> Array:
    _check_list(name, rows, n_rows, "rows")
    for i, row in enumerate(rows):
        _check_list(f"{name}[{i}]", row, n_columns, "numbers")
        if not {int, float}.issuperset(map(type, row)):  # NumPy would make numbers of true, null and "1.5"
            j = next(j for j, number in enumerate(row) if type(number) not in (int, float))
            raise ValueError(f"{name}[{i}][{j}]: expected a number, got {row[j]!r:.100}")
    with np.errstate(over="ignore"):  # the error below gives the place
        try:
            matrix = np.array(rows, np.float64).astype(dtype)
        except OverflowError:
            raise ValueError(f"{name}: expected finite numbers, got a whole number above {dtype}'s range") from None
    finite = np.isfinite(matrix)
    if not finite.all():
        i, j = (int(k) for k in np.argwhere(~finite)[0])
        raise ValueError(f"{name}[{i}][{j}]: expected a finite number in {dtype}, got {rows[i][j]}")
    return matrix


def _check_list(name: str, given: Any, n: int, what: str) -> None:
    if not isinstance(given, list):
        raise ValueError(f"{name}: expected a list of {n} {what}, got {given!r:.100}")
    if len(given) != n:
        raise ValueError(f"{name}: expected a list of {n} {what}, got {len(given)}")
