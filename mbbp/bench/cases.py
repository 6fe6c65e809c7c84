"""The cases that are measured: networks, mini-batches, the operations that they take, and their data."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mbbp.parameters import Array, backprop_flops, parameter_count

WHATS = ("step", "gradient", "predict", "epoch")
BATCH_SIZES = (1, 2, 5, 10, 32, 100, 256)
EXAMPLES = 4096  # fewer where one example is large, but at least four mini-batches

# The networks of the regression tests and of the README's table: from tiny ones to some larger than the nearest caches.
TABLE: tuple[tuple[tuple[int, ...], int], ...] = (
    ((2, 3, 1), 4),
    ((4, 32, 16, 4), 32),
    ((24, 8, 2), 200),
    ((10, 64, 64, 1), 32),
    ((784, 30, 10), 10),
    ((784, 30, 10), 32),
    ((784, 100, 10), 10),
    ((784, 128, 64, 10), 128),
    ((784, 800, 10), 128),
)
LARGEST = ((784, 1024, 1024, 10), 256)  # only in the README's table: the book's loop takes seconds for one step
BEYOND_CACHE = ((24, 8, 2), 200, 840_000)  # only there, too: 81 MB of inputs, which are in no cache


@dataclass(frozen=True)
class Case:
    """One network with one mini-batch size.

    Attributes
    ----------
    sizes : tuple of int
        The number of neurons in each layer, the input layer first.
    batch_size : int
        The number of examples in a mini-batch, m.
    dtype : {"float32", "float64"}
        The dtype of all computations, except that the book's loop always runs in float64 too.
    what : {"step", "gradient", "predict", "epoch"}
        One unit of work: a whole step of training (gather, forward, backward, update); the gradient of one mini-batch;
        its outputs; or a step as a part of whole calls that train for an epoch.
    n : int
        The number of examples; 0 for so few that they stay in the caches.
    """

    sizes: tuple[int, ...]
    batch_size: int
    dtype: str = "float32"
    what: str = "step"
    n: int = 0

    @property
    def name(self) -> str:
        """The name of the case in tables."""
        size = self.n * self.sizes[0] * np.dtype(self.dtype).itemsize
        of = f", {size / 1e6:.0f} MB of data" if self.n else ""
        return f"[{', '.join(map(str, self.sizes))}], m = {self.batch_size}{of}"

    @property
    def key(self) -> str:
        """The name of the case in files, different for each case."""
        of = f" n{self.n}" if self.n else ""
        return f"{self.what} {'-'.join(map(str, self.sizes))} m{self.batch_size} {self.dtype}{of}"

    @property
    def n_parameters(self) -> int:
        """The number of weights and biases."""
        return parameter_count(self.sizes)

    @property
    def flops(self) -> int:
        """The floating-point operations of the matrix products in one unit of work; see `backprop_flops`."""
        if self.what == "predict":
            return 2 * self.batch_size * sum(n_in * n_out for n_in, n_out in pairwise(self.sizes))
        return backprop_flops(self.sizes, self.batch_size)

    def steps_per_epoch(self, n: int) -> int:
        """Return the number of whole mini-batches in n examples."""
        return n // self.batch_size


class CaseData:
    """The data and initial parameters that all implementations of a case use.

    Parameters
    ----------
    rows, targets : ndarray of shapes (n, n_in), (n, n_L)
        One example per row, in float64. The rows of `targets` are unit vectors, or labels 0 and 1 for one output.
    theta : ndarray
        The initial parameters, in float64 and in the order of ``net.theta``.
    """

    def __init__(self, rows: Array, targets: Array, theta: Array) -> None:
        self.theta = theta
        self.n = rows.shape[0]
        self._of_dtype = {"float64": (rows, targets)}

    def rows(self, dtype: str) -> tuple[Array, Array]:
        """Return inputs (n, n_in) and targets (n, n_L) of a dtype. All callers share them, so none may write."""
        if dtype not in self._of_dtype:
            rows, targets = self._of_dtype["float64"]
            self._of_dtype[dtype] = (rows.astype(dtype), targets.astype(dtype))
        return self._of_dtype[dtype]

    def starting_at(self, theta: Array) -> CaseData:
        """Return the same arrays with other initial parameters."""
        other = copy.copy(self)
        other.theta = theta
        return other


def make_case_data(case: Case, seed: int) -> CaseData:
    """Draw the data of a case: inputs uniform in [0, 1) as those of images, labels, and the book's initial parameters.

    All numbers are rounded to float32 first, so that both dtypes start from the same numbers. Cases that need the same
    examples share them, because all cases of a run stay in memory.
    """
    from mbbp.network import Network

    n = case.n or max(4 * case.batch_size, min(EXAMPLES, max(256, (1 << 22) // case.sizes[0])))
    theta = Network(case.sizes, rng=seed).theta.astype(np.float64)
    return _drawn(case.sizes[0], case.sizes[-1], n, seed).starting_at(theta)


@functools.lru_cache(maxsize=4)
def _drawn(n_in: int, n_out: int, n: int, seed: int) -> CaseData:
    rng = np.random.default_rng(seed)
    rows = rng.random((n, n_in), np.float32).astype(np.float64)
    labels = rng.integers(0, max(n_out, 2), n)
    targets = labels.reshape(-1, 1).astype(np.float64) if n_out == 1 else np.eye(n_out)[labels]
    return CaseData(rows, targets, np.zeros(0))


def batch_cases(sizes: Sequence[int], batch_sizes: Sequence[int], dtype: str, what: str) -> list[Case]:
    """Return one network with several mini-batch sizes."""
    return [Case(tuple(sizes), m, dtype, what) for m in batch_sizes]


def sweep_cases(over: str, sizes: Sequence[int], batch_size: int, dtype: str, what: str) -> list[tuple[int, Case]]:
    """Return cases along one dimension, each with its place (width, depth or mini-batch size) there.

    Parameters
    ----------
    over : {"width", "depth", "batch"}
        Width gives all hidden layers 8, 16 ... 512 neurons. Depth takes 1 to 8 hidden layers, as wide as the first one.
        Batch takes mini-batches of 1, 2, 4 ... 512.
    sizes, batch_size, dtype, what
        The network and the work to start from.
    """
    first, last = sizes[0], sizes[-1]
    hidden = list(sizes[1:-1]) or [30]
    if over == "width":
        grown = [(w, (first, *[w] * len(hidden), last), batch_size) for w in (8, 16, 32, 64, 128, 256, 512)]
    elif over == "depth":
        grown = [(d, (first, *[hidden[0]] * d, last), batch_size) for d in (1, 2, 3, 4, 6, 8)]
    else:
        grown = [(m, tuple(sizes), m) for m in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)]
    return [(place, Case(shape, m, dtype, what)) for place, shape, m in grown]
