"""What is measured: networks, mini-batches, and the work that they are by count."""

import copy
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mbbp.parameters import Array, parameter_count

WHATS = ("step", "gradient", "predict", "epoch")
BATCH_SIZES = (1, 2, 5, 10, 32, 100, 256)
EXAMPLES = 4096  # at least four mini-batches, and less where one example is huge

# The networks of the regression tests and of the README's table: from nothing to what outgrows the nearest caches.
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
LARGEST = ((784, 1024, 1024, 10), 256)  # in the README's table alone: the book's loop takes seconds for a step


@dataclass(frozen=True)
class Case:
    """One network with one size of mini-batch.

    Attributes
    ----------
    sizes : tuple of int
        Neurons in each layer, the input layer first.
    batch_size : int
        Examples in a mini-batch, m.
    dtype : {"float32", "float64"}
        What the engines compute in, apart from the book's loop, which always runs in float64 too.
    what : {"step", "gradient", "predict", "epoch"}
        What one unit of work is: a whole step of training (gather, forward, backward, update); the gradient of one
        mini-batch; its outputs; or a step, counted over whole calls that train for an epoch.
    """

    sizes: tuple[int, ...]
    batch_size: int
    dtype: str = "float32"
    what: str = "step"

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"[{', '.join(map(str, self.sizes))}], m = {self.batch_size}"

    @property
    def key(self) -> str:
        """What tells it from all other cases, in files."""
        return f"{self.what} {'-'.join(map(str, self.sizes))} m{self.batch_size} {self.dtype}"

    @property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return parameter_count(self.sizes)

    @property
    def flops(self) -> int:
        """Floating-point operations of one unit of work, counting the matrix products alone: 2 per multiply-add.

        Forward is one product a layer. Backward is one for the weights' gradient, and one to carry the error
        back, which the first layer does not need.
        """
        products = [n_in * n_out for n_in, n_out in pairwise(self.sizes)]
        multiply_adds = sum(products) if self.what == "predict" else 3 * sum(products) - products[0]
        return 2 * self.batch_size * multiply_adds

    def steps_per_epoch(self, n: int) -> int:
        """Return how many whole mini-batches there are in n examples."""
        return n // self.batch_size


class Examples:
    """The data that every engine of a case works on.

    Parameters
    ----------
    rows, targets : ndarray of shapes (n, n_in), (n, n_L)
        One example a row, in float64; `targets` holds unit vectors.
    theta : ndarray
        The parameters that every engine starts from, in float64 and in the order of ``net.theta``.
    """

    def __init__(self, rows: Array, targets: Array, theta: Array) -> None:
        self.theta = theta
        self.n = rows.shape[0]
        self._of_dtype = {"float64": (rows, targets)}

    def rows(self, dtype: str) -> tuple[Array, Array]:
        """Return inputs (n, n_in) and targets (n, n_L) of a dtype: the same arrays for all who ask, nobody writes."""
        if dtype not in self._of_dtype:
            rows, targets = self._of_dtype["float64"]
            self._of_dtype[dtype] = (rows.astype(dtype), targets.astype(dtype))
        return self._of_dtype[dtype]

    def starting_at(self, theta: Array) -> "Examples":
        """Return the same examples, arrays and all, for another network's parameters."""
        other = copy.copy(self)
        other.theta = theta
        return other


def make_examples(case: Case, seed: int) -> Examples:
    """Draw the data of a case: inputs uniform in [0, 1) as images are, labels, and the book's initial parameters.

    All numbers are rounded to float32 first, so that engines of either dtype start from the same ones. Cases that need
    the same examples share them: a run keeps all its engines alive, and the memory would add up.
    """
    from mbbp.network import Network

    n = max(4 * case.batch_size, min(EXAMPLES, max(256, (1 << 22) // case.sizes[0])))
    theta = Network(case.sizes, rng=seed).theta.astype(np.float64)
    return _drawn(case.sizes[0], case.sizes[-1], n, seed).starting_at(theta)


@functools.lru_cache(maxsize=4)
def _drawn(n_in: int, n_out: int, n: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    rows = rng.random((n, n_in), np.float32).astype(np.float64)
    labels = rng.integers(0, max(n_out, 2), n)
    targets = labels.reshape(-1, 1).astype(np.float64) if n_out == 1 else np.eye(n_out)[labels]
    return Examples(rows, targets, np.zeros(0))


def batch_cases(sizes: Sequence[int], batch_sizes: Sequence[int], dtype: str, what: str) -> list[Case]:
    """Return one network at several sizes of mini-batch."""
    return [Case(tuple(sizes), m, dtype, what) for m in batch_sizes]


def sweep_cases(over: str, sizes: Sequence[int], batch_size: int, dtype: str, what: str) -> list[tuple[int, Case]]:
    """Return cases along one dimension, each with its place there.

    Parameters
    ----------
    over : {"width", "depth", "batch"}
        Width sets all hidden layers to 8, 16 ... 512 neurons; depth has 1 to 8 hidden layers as wide as the first one;
        batch has mini-batches of 1, 2, 4 ... 512.
    sizes, batch_size, dtype, what
        The network and the work that is varied.
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
