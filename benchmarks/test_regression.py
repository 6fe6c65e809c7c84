"""Performance regression tests: for each network, the ratios of the engine's speed to other speeds have floors.

The other speeds are those of the book's loop, of NumPy, and of NumPy's matrix product (the roof). Each level of
processor has its own floors: about two thirds of the least ratio that was measured at that level on one core. So noise
does not reach them, but a slow-down by a factor of 3 does. The smallest network has 0.8 of it at v3, where one kind of
processor reaches 1.6 times the ratio of another. The machines were an Intel Xeon with AVX-512 (all levels;
NumPy's own products then still use AVX-512), an AMD EPYC of the kind Zen 3 (v3), and one of the kind Zen 4 (v4 only; at
lower levels it is taken to reach three quarters of that, or what the Xeon loses there).
benchmarks/against.py finds much smaller losses, on any machine.
"""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier as ScikitLearns

from benchmarks import gate
from benchmarks.gate import TRIES, Floor, fit_ratio, missed_in_all_tries, row_ratio, shortfalls
from mbbp.activations import ACTIVATIONS, Activation
from mbbp.bench.cases import TABLE
from mbbp.bench.implementations import BookLoop, Mbbp, NumpyMatrices
from mbbp.kernels.activations import Block
from mbbp.kernels.layout import SPARE_ROWS
from mbbp.kernels.lowlevel import processor
from mbbp.sklearn import MLPClassifier

FLOORS_OF = {
    "x86-64-v2": [
        Floor((2, 3, 1), 4, over_book=117, over_numpy=27, roof=0.0),
        Floor((4, 32, 16, 4), 32, over_book=81, over_numpy=5.0, roof=0.075),
        Floor((24, 8, 2), 200, over_book=298, over_numpy=2.4, roof=0.074),
        Floor((10, 64, 64, 1), 32, over_book=19, over_numpy=1.0, roof=0.11),
        Floor((784, 30, 10), 10, over_book=7.0, over_numpy=1.1, roof=0.1),
        Floor((784, 30, 10), 32, over_book=6.0, over_numpy=0.5, roof=0.11),
        Floor((784, 100, 10), 10, over_book=4.2, over_numpy=0.9, roof=0.12),
        Floor((784, 128, 64, 10), 128, over_book=4.4, over_numpy=0.28, roof=0.13),
        Floor((784, 800, 10), 128, over_book=6.0, over_numpy=0.26, roof=0.13),
    ],
    "x86-64-v3": [
        Floor((2, 3, 1), 4, over_book=145, over_numpy=36, roof=0.0),
        Floor((4, 32, 16, 4), 32, over_book=167, over_numpy=6.6, roof=0.16),
        Floor((24, 8, 2), 200, over_book=364, over_numpy=3.0, roof=0.099),
        Floor((10, 64, 64, 1), 32, over_book=54, over_numpy=2.8, roof=0.28),
        Floor((784, 30, 10), 10, over_book=17, over_numpy=2.9, roof=0.26),
        Floor((784, 30, 10), 32, over_book=18, over_numpy=1.4, roof=0.3),
        Floor((784, 100, 10), 10, over_book=11, over_numpy=2.3, roof=0.29),
        Floor((784, 128, 64, 10), 128, over_book=14, over_numpy=0.87, roof=0.35),
        Floor((784, 800, 10), 128, over_book=18, over_numpy=0.83, roof=0.36),
    ],
    "x86-64-v4": [
        Floor((2, 3, 1), 4, over_book=117, over_numpy=29, roof=0.0),
        Floor((4, 32, 16, 4), 32, over_book=223, over_numpy=8.8, roof=0.2),
        Floor((24, 8, 2), 200, over_book=485, over_numpy=4.0, roof=0.11),
        Floor((10, 64, 64, 1), 32, over_book=73, over_numpy=3.7, roof=0.37),
        Floor((784, 30, 10), 10, over_book=23, over_numpy=3.9, roof=0.33),
        Floor((784, 30, 10), 32, over_book=24, over_numpy=1.9, roof=0.45),
        Floor((784, 100, 10), 10, over_book=15, over_numpy=3.1, roof=0.38),
        Floor((784, 128, 64, 10), 128, over_book=19, over_numpy=1.2, roof=0.56),
        Floor((784, 800, 10), 128, over_book=24, over_numpy=1.1, roof=0.56),
    ],
}
FLOORS = FLOORS_OF.get(processor.level() or "") or [
    # nothing was measured there
    replace(one, over_book=one.over_book / 2, over_numpy=one.over_numpy / 2, roof=one.roof / 2)
    for one in FLOORS_OF["x86-64-v2"]
]


# The smallest network, a wide mini-batch, and the book's network. The other shapes are tested in the nightly run.
REPRESENTATIVE = [((2, 3, 1), 4), ((24, 8, 2), 200), ((784, 30, 10), 10)]


def named(floor):
    return floor.case.name


def test_there_is_a_floor_for_every_shape_of_the_table():
    assert [(floor.sizes, floor.batch_size) for floor in FLOORS] == list(TABLE)


@pytest.mark.parametrize("floor", FLOORS, ids=named)
def test_the_engine_keeps_its_floor(floor):
    assert shortfalls(floor) == []


class ThriceAsSlow(Mbbp):
    """The engine, with every step taken three times from the same parameters."""

    name = "mbbp, three times as slow"

    def steps(self, order):
        theta = self.net.theta.copy()
        for _ in range(2):
            super().steps(order)
            self.net.theta = theta
        super().steps(order)


class SlowPath(NumpyMatrices):
    """Plain NumPy matrices in place of the engine."""

    name = "numpy in the engine's place"


class SlowestPath(BookLoop):
    """The book's loop in place of the engine."""

    name = "the book's loop in the engine's place"


def is_representative(floor):
    return (floor.sizes, floor.batch_size) in REPRESENTATIVE


@pytest.mark.parametrize(
    "floor",
    [pytest.param(one, marks=() if is_representative(one) else pytest.mark.nightly) for one in FLOORS],
    ids=named,
)
@pytest.mark.parametrize("slow", [ThriceAsSlow, SlowestPath], ids=lambda kind: kind.name)
def test_the_gate_trips(slow, floor):
    assert shortfalls(floor, slow) != []


@pytest.mark.parametrize("floor", [one for one in FLOORS if is_representative(one)], ids=named)
def test_the_gate_trips_for_numpy(floor):
    """Only where layers are small: NumPy's products of large matrices are as fast as the engine's, or faster."""
    assert shortfalls(floor, SlowPath) != []


@pytest.mark.parametrize(
    ("shares_of_the_floor", "tries", "passes"),
    [
        ([1.0], 1, True),
        ([0.9] * (TRIES - 1) + [1.0], TRIES, True),
        ([0.9] * TRIES, TRIES, False),
        ([0.1, 1.0], 2, True),  # noise may disturb one try very much
        ([0.1, 0.6, 1.0], 3, True),
        ([0.1, 0.2], 2, False),
    ],
)
def test_there_are_as_many_tries_as_help(shares_of_the_floor, tries, passes, monkeypatch):
    left = [{"over_book": 10 * share, "over_numpy": 2.0, "roof": 0.5} for share in shares_of_the_floor]
    monkeypatch.setattr(gate, "ratios", lambda floor, engine: left.pop(0))
    missed = shortfalls(Floor((2, 3, 1), 4, over_book=10, over_numpy=2, roof=0.5))
    assert (missed == []) == passes
    assert tries == len(shares_of_the_floor) - len(left)


# The least of how many times as long scikit-learn's estimator takes for a fit to the digits, for each mini-batch size,
# and for the outputs of one row. On the Xeon it takes 1.6, 3.1, 6.3 and 34 times as long at v2, 2.6, 5.4, 11 and 39
# times at v3, and 3.4, 6, 12 and 40 times at v4. Nothing was measured on other kinds of processors.
FIT_FLOORS_OF = {"x86-64-v3": {200: 1.8, 32: 3.5, 8: 6.0}, "x86-64-v4": {200: 1.8, 32: 3.5, 8: 6.0}}
FIT_FLOORS = FIT_FLOORS_OF.get(processor.level() or "", {200: 1.2, 32: 2.0, 8: 4.2})
ROW_FLOOR = 8.0


def fit_shortfalls(ours, batch_size):
    floors = {"fit": FIT_FLOORS[batch_size]}
    return missed_in_all_tries(f"digits, batch {batch_size}", floors, lambda: fit_ratio(ours, batch_size))


def row_shortfalls(ours):
    return missed_in_all_tries("one row", {"predict": ROW_FLOOR}, lambda: row_ratio(ours))


class FitsThriceAsSlowly(MLPClassifier):
    """Our estimator, with the whole training done three times."""

    def fit(self, X, y):
        for _ in range(2):
            super().fit(X, y)
        return super().fit(X, y)


class ChecksEachRow(MLPClassifier):
    """Our estimator, with scikit-learn's check of every row, as for a list."""

    def predict(self, X):
        return super().predict(X.tolist())


@pytest.mark.parametrize("batch_size", FIT_FLOORS)
def test_a_fit_of_the_estimator_keeps_its_floor(batch_size):
    assert fit_shortfalls(MLPClassifier, batch_size) == []


@pytest.mark.parametrize("batch_size", [200, *(pytest.param(m, marks=pytest.mark.nightly) for m in (32, 8))])
@pytest.mark.parametrize("slow", [FitsThriceAsSlowly, ScikitLearns])
def test_the_gate_of_the_fit_trips(slow, batch_size):
    assert fit_shortfalls(slow, batch_size) != []


def test_a_prediction_of_one_row_keeps_its_floor():
    assert row_shortfalls(MLPClassifier) == []


@pytest.mark.parametrize("slow", [ChecksEachRow, ScikitLearns])
def test_the_gate_of_one_row_trips(slow):
    assert row_shortfalls(slow) != []


def swish(z):
    return z / (1 + math.exp(-z))


def swish_prime(z):
    s = 1 / (1 + math.exp(-z))
    return s + z * s * (1 - s)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_custom_activation_takes_as_long_as_a_built_in_one_with_the_same_arithmetic(dtype):
    n, m = 64, 128
    z, a, delta = np.random.default_rng(0).standard_normal((3, n * m)).astype(dtype)
    spare = np.empty(SPARE_ROWS * m, dtype)
    block, kind = Block(z=z, a=a, delta=delta, n=n, m=m, rs=1, cs=n, spare=spare), np.dtype(dtype)
    custom = Activation("swish", swish, swish_prime).kernels.activate.bind(block, kind).run
    built_in = ACTIVATIONS["sigmoid"].kernels.activate.bind(block, kind).run
    best = {custom: math.inf, built_in: math.inf}
    for _ in range(50):
        for run in best:
            began = time.process_time()
            for _ in range(20):
                run()
            best[run] = min(best[run], time.process_time() - began)
    assert best[custom] < 1.3 * best[built_in]
