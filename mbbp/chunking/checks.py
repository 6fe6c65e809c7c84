"""The check of each block that is read: what is wrong is told with the argument, the file and the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mbbp.arrays import as_numeric_array
from mbbp.chunking.parts import Block, Part, Room
from mbbp.engine import Engine
from mbbp.inputs import as_inputs, check_scaled, scaled
from mbbp.kernels.examples import Examples
from mbbp.parameters import Array
from mbbp.scaling import Scaling
from mbbp.targets import as_targets


class Checker:
    """Checks blocks for a network, and makes examples of them as the kernels read them.

    Parameters
    ----------
    engine : Engine
        The network.
    scaling : Scaling, optional
        How inputs are scaled, for the check that they stay finite.
    finite : bool
        Whether inputs are checked to be finite. Labels always are in range: the kernels write where a label says.
    """

    def __init__(self, engine: Engine, scaling: Scaling | None, *, finite: bool = True) -> None:
        self._engine, self._scaling, self._finite = engine, scaling, finite

    def examples(self, part: Part, room: Room | None = None) -> Iterator[Examples]:
        """Yield the checked examples of a part, block by block; their inputs have no scaling.

        Raises
        ------
        ValueError
            If a shape is wrong, or a number is NaN, inf or out of range.
        TypeError
            If something does not hold real numbers.
        """
        first = part.first
        for block in part.blocks(room):
            if len(block.X.shape) == 0 or len(block.X):
                examples = self._check(part, first, block)
                first += examples.n
                yield examples

    def _check(self, part: Part, first: int, block: Block) -> Examples:
        engine, dtype = self._engine, self._engine.dtype
        n_in, n_out = engine.sizes[0], engine.sizes[-1]
        X, y = block.X, block.y
        last = first + len(X) - 1 if X.ndim else first
        X_name, y_name, weights_name = (
            f"{name[:-1]}, rows {first} to {last})" if name.endswith(")") else f"{name} (rows {first} to {last})"
            for name in (*part.names, "weights")[:3]
        )
        if X.ndim != 2 or X.shape[1] != n_in:
            hint = "; each example must be a row" if X.ndim == 2 and X.shape[0] == n_in else ""
            raise ValueError(f"{X_name}: expected shape (n, {n_in}), got {X.shape}{hint}")
        n = len(X)
        if y.ndim not in (1, 2) or len(y) != n or (y.ndim == 2 and y.shape[1] != n_out):
            hint = "; for labels pass a vector" if y.ndim == 2 and y.shape == (n, 1) else ""
            raise ValueError(
                f"{y_name}: expected shape ({n},) for labels or ({n}, {n_out}) for desired outputs, got {y.shape}{hint}"
            )
        rows = as_inputs(X_name, X.T, n_in, dtype, check_finite=False)
        if self._finite:
            self._check_finite(X_name, first, rows)
        targets, labels = as_targets(y_name, y.T, n_out, n, dtype, X_name, is_regression=engine.is_regression)
        if len(targets):
            engine.cost.check_targets(y_name, targets.T)
        weights = np.empty(0, dtype) if block.weights is None else self._weights(weights_name, block.weights, n)
        return Examples(rows, targets, labels, weights)

    def _check_finite(self, name: str, first: int, rows: Array) -> None:
        dtype = self._engine.dtype
        try:
            check_scaled(name, rows, self._scaling, dtype)
        except ValueError:
            # its message counts columns, and from the beginning of the block
            row, column = (int(i) for i in np.argwhere(~np.isfinite(scaled(rows, self._scaling, dtype)))[0])
            what = f"numbers that {dtype} can hold" if np.isfinite(rows[row, column]) else "finite numbers"
            raise ValueError(
                f"{name}: expected {what}, got {rows[row, column]} in row {first + row}, column {column}"
            ) from None

    def _weights(self, name: str, given: Array, n: int) -> Array:
        weights = as_numeric_array(name, given)
        if weights.shape != (n,):
            raise ValueError(f"{name}: expected {n} numbers, one for each example, got shape {weights.shape}")
        with np.errstate(over="ignore", under="ignore"):
            factors = weights.astype(self._engine.dtype)
        wrong = ~(np.isfinite(factors) & (factors >= 0))
        if wrong.any():
            raise ValueError(f"{name}: expected finite numbers of at least 0, got {weights[wrong][0]}")
        return factors
