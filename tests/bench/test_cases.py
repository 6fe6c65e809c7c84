"""The cases: their operations, names, sweeps and data."""

import numpy as np
import pytest

from mbbp.bench.cases import BEYOND_CACHE, TABLE, Case, batch_cases, make_case_data, sweep_cases

pytestmark = pytest.mark.usefixtures("quick")


def test_flops_are_those_counted_by_hand():
    # [2, 3, 1], one example: forward 2*3 + 3*1 = 9 multiply-adds, gradients as many, and 3*1 to carry the error back
    assert Case((2, 3, 1), 1).flops == 2 * (9 + 9 + 3)
    assert Case((2, 3, 1), 4).flops == 4 * 42
    assert Case((2, 3, 1), 4, what="gradient").flops == 4 * 42
    assert Case((2, 3, 1), 1, what="predict").flops == 18
    assert Case((784, 30, 10), 10).flops == 2 * 10 * (2 * (784 * 30 + 30 * 10) + 30 * 10)
    # no error is carried back through a single layer
    assert Case((5, 3), 2).flops == 2 * 2 * (15 + 15)


def test_names_and_keys():
    case = Case((784, 30, 10), 32, "float64", "gradient")
    assert case.name == "[784, 30, 10], m = 32"
    assert case.key == "gradient 784-30-10 m32 float64"
    large = Case((24, 8, 2), 200, n=840_000)
    assert large.name == "[24, 8, 2], m = 200, 81 MB of data"
    assert large.key == "step 24-8-2 m200 float32 n840000"
    assert case.n_parameters == 23860
    keys = [Case(sizes, m).key for sizes, m in TABLE]
    assert len(set(keys)) == len(keys) == 9


def test_sweeps():
    assert [place for place, _ in sweep_cases("width", [7, 30, 2], 10, "float32", "step")] == [8 << i for i in range(7)]
    widths = sweep_cases("width", [7, 30, 20, 2], 10, "float32", "step")
    assert widths[0][1].sizes == (7, 8, 8, 2)
    assert sweep_cases("width", [7, 2], 10, "float32", "step")[0][1].sizes == (7, 8, 2)
    depths = sweep_cases("depth", [7, 30, 2], 10, "float32", "step")
    assert [len(case.sizes) - 2 == place for place, case in depths] == [True] * 6
    batches = sweep_cases("batch", [7, 30, 2], 10, "float32", "step")
    assert [case.batch_size for _, case in batches] == [place for place, _ in batches] == [1 << i for i in range(10)]
    assert [case.batch_size for case in batch_cases([7, 2], [3, 4], "float32", "step")] == [3, 4]


def test_data_are_the_same_for_a_seed_and_shared_and_exact_in_float32():
    case = Case((6, 5, 3), 4)
    one, other = make_case_data(case, 3), make_case_data(Case((6, 2, 3), 8, "float64"), 3)
    assert one.rows("float64")[0] is other.rows("float64")[0]
    assert one.rows("float32")[0] is other.rows("float32")[0]
    assert np.array_equal(one.rows("float32")[0], one.rows("float64")[0])
    assert np.array_equal(one.theta, one.theta.astype(np.float32))
    assert one.theta.size == case.n_parameters != other.theta.size
    assert not np.array_equal(make_case_data(case, 4).rows("float64")[0], one.rows("float64")[0])
    assert make_case_data(Case((2, 3, 1), 4), 0).rows("float64")[1].shape == (64, 1)
    assert make_case_data(Case((2, 3, 1), 4000), 0).n == 16000
    assert make_case_data(Case((2, 3, 1), 4, n=20_000), 0).n == 20_000


def test_the_data_beyond_the_cache_are_80_megabytes_and_whole_mini_batches():
    sizes, m, n = BEYOND_CACHE
    assert n % m == 0
    assert n * sizes[0] * 4 > 80e6
