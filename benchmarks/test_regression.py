"""Performance regression tests: at each shape the engine keeps its distance from the book's loop, NumPy and the roof.

The floors are about two thirds of what was measured on one core with AVX-512 (AMD EPYC 9004): far enough under it that
noise does not reach them, and far enough over the half that a slow-down by 2 would leave. On processors with narrower
vectors, where they were not measured, they are halved, and would not notice that slow-down.
"""

from dataclasses import replace

import pytest
from mbbp.kernels.tile import VECTOR_BYTES

from benchmarks.gate import Floor, shortfalls
from mbbp.bench.cases import TABLE
from mbbp.bench.implementations import BookLoop, Mbbp, NumpyMatrices

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
    """The engine, but every step is taken twice, from the same parameters."""

    name = "mbbp, twice as slow"

    def steps(self, order):
        theta = self.net.theta.copy()
        super().steps(order)
        self.net.theta = theta
        super().steps(order)


class SlowPath(NumpyMatrices):
    """Plain NumPy matrices in the engine's place."""

    name = "numpy in the engine's place"


class SlowestPath(BookLoop):
    """The book's loop in the engine's place."""

    name = "the book's loop in the engine's place"


@pytest.mark.parametrize("floor", FLOORS, ids=named)
@pytest.mark.parametrize(
    "slow", [TwiceAsSlow, SlowPath, SlowestPath] if ARE_SHARP else [SlowestPath], ids=lambda kind: kind.name
)
def test_the_gate_trips(slow, floor):
    assert shortfalls(floor, slow) != []
