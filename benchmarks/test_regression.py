"""Performance regression tests: for each network, the ratios of the engine's speed to other speeds have floors.

The other speeds are those of the book's loop, of NumPy, and of NumPy's matrix product (the roof). The floors are about
two thirds of the ratios that were measured on one core with AVX-512 (AMD EPYC 9004). So noise does not reach them, but
a slow-down by a factor of 2 does. On processors with narrower vectors nothing was measured: the floors are halved, and
do not detect such a slow-down.
"""

from dataclasses import replace

import pytest

from benchmarks.gate import Floor, shortfalls
from mbbp.bench.cases import TABLE
from mbbp.bench.implementations import BookLoop, Mbbp, NumpyMatrices
from mbbp.kernels.gemm.tile import VECTOR_BYTES

ARE_SHARP = VECTOR_BYTES == 64

FLOORS = [
    Floor((2, 3, 1), 4, over_book=118, over_numpy=29, roof=0.0),
    Floor((4, 32, 16, 4), 32, over_book=225, over_numpy=8.9, roof=0.215),
    Floor((24, 8, 2), 200, over_book=490, over_numpy=4.0, roof=0.155),
    Floor((10, 64, 64, 1), 32, over_book=73, over_numpy=3.7, roof=0.44),
    Floor((784, 30, 10), 10, over_book=23, over_numpy=3.9, roof=0.42),
    Floor((784, 30, 10), 32, over_book=24.5, over_numpy=1.88, roof=0.47),
    Floor((784, 100, 10), 10, over_book=15.5, over_numpy=3.15, roof=0.47),
    Floor((784, 128, 64, 10), 128, over_book=19, over_numpy=1.17, roof=0.65),
    Floor((784, 800, 10), 128, over_book=24, over_numpy=1.12, roof=0.65),
]


if not ARE_SHARP:
    FLOORS = [
        replace(one, over_book=one.over_book / 2, over_numpy=one.over_numpy / 2, roof=one.roof / 2) for one in FLOORS
    ]


def named(floor):
    return floor.case.name


def test_there_is_a_floor_for_every_shape_of_the_table():
    assert [(floor.sizes, floor.batch_size) for floor in FLOORS] == list(TABLE)


@pytest.mark.parametrize("floor", FLOORS, ids=named)
def test_the_engine_keeps_its_floor(floor):
    assert shortfalls(floor) == []


class TwiceAsSlow(Mbbp):
    """The engine, with every step taken twice from the same parameters."""

    name = "mbbp, twice as slow"

    def steps(self, order):
        theta = self.net.theta.copy()
        super().steps(order)
        self.net.theta = theta
        super().steps(order)


class SlowPath(NumpyMatrices):
    """Plain NumPy matrices in place of the engine."""

    name = "numpy in the engine's place"


class SlowestPath(BookLoop):
    """The book's loop in place of the engine."""

    name = "the book's loop in the engine's place"


@pytest.mark.parametrize("floor", FLOORS, ids=named)
@pytest.mark.parametrize(
    "slow", [TwiceAsSlow, SlowPath, SlowestPath] if ARE_SHARP else [SlowestPath], ids=lambda kind: kind.name
)
def test_the_gate_trips(slow, floor):
    assert shortfalls(floor, slow) != []
