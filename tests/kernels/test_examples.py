"""How examples are gathered into the workspace: of any dtype, in any order, each thread its own columns."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mbbp
from mbbp.inputs import scaled
from mbbp.kernels.examples import Examples, Source, SparseRows, gather, prefetch_first_rows, source_of
from mbbp.kernels.layout import Layout
from mbbp.kernels.lowlevel.kernel import kernel
from mbbp.kernels.lowlevel.records import Int, Integers, PointerTo, record
from mbbp.kernels.propagation import Model
from tests.kernels.matrices import seeds

N = 7  # examples
M = 6  # columns of the workspace
KINDS = {  # the dtype of the inputs and that of the network
    "float32": ("float32", "float32"),
    "float64": ("float64", "float64"),
    "float32 for float64": ("float32", "float64"),
    "float64 for float32": ("float64", "float32"),
    "bytes": ("uint8", "float32"),
    "bytes for float64": ("uint8", "float64"),
    "bools": ("bool", "float32"),
    "shorts": ("int16", "float32"),
    "integers": ("int64", "float32"),
}
kinds = pytest.mark.parametrize(("inputs", "dtype"), KINDS.values(), ids=KINDS)
SCALINGS = [None, mbbp.Scaling(factor=1 / 255), mbbp.Scaling(mean=40.0), mbbp.Scaling(mean=-1.0, factor=0.1)]
scalings = pytest.mark.parametrize("scaling", SCALINGS, ids=str)
LANES = 4
orders = st.lists(st.integers(0, N - 1), min_size=1, max_size=M)


@record
class Gathering(NamedTuple):
    model: PointerTo(Model)
    source: PointerTo(Source)
    order: Integers
    start: Int
    stop: Int
    m: Int


@kernel(Gathering)
def gather_range(at):
    g = at[0]
    model, source = g.model[0], g.source[0]
    prefetch_first_rows(source, g.order, model, g.start, g.stop)
    gather(g.source, g.order, model, g.start, g.stop, g.m)
    return 0


def gathered(examples, n_in, n_out, dtype, order, start=0, stop=None):
    """Return the inputs (n_in, M), the targets (n_out, m) and the weights (M,) of a workspace that was all NaN."""
    net = mbbp.Network([n_in, n_out], dtype=dtype, rng=0)
    layout = Layout(net.sizes, M, lanes=LANES)
    model = net.engine.model(layout, is_weighted=examples.weights.size > 0)
    work = model.record.work
    work[...] = np.nan
    source = source_of(examples, net.dtype)
    m = len(order)
    stop = m if stop is None else stop
    call = Gathering(model=model, source=source, order=np.array(order, np.int64), start=start, stop=stop, m=m)
    gather_range.bind(call, net.dtype)()
    assert np.isnan(work[layout.table[0].z :]).all()
    inputs, targets = work[: layout.targets].reshape(M, n_in).T, work[layout.targets : layout.weights]
    assert np.isnan(targets[n_out * m :]).all()
    has_rows = n_out == 1 or n_out < LANES <= m
    targets = targets[: n_out * m].reshape(n_out, m, order="C" if has_rows else "F")
    return inputs, targets, work[layout.weights : layout.weights + M]


def examples(rng, inputs, dtype, n_in=3, n_out=2, labels=(), weighted=False, scaling=None):
    """Return examples with labels, or else with targets."""
    is_float = np.dtype(inputs).kind == "f"
    rows = rng.standard_normal((N, n_in)) if is_float else rng.integers(0, 256, (N, n_in))
    targets = rng.standard_normal((0 if len(labels) else N, n_out))
    weights = rng.random(N if weighted else 0)
    return Examples(
        rows.astype(inputs), targets.astype(dtype), np.array(labels, np.int64), weights.astype(dtype), scaling
    )


@kinds
@scalings
@given(order=orders, n_in=st.integers(1, 5), seed=seeds)
def test_inputs_of_any_dtype_in_any_order(inputs, dtype, scaling, order, n_in, seed):
    given_ones = examples(np.random.default_rng(seed), inputs, dtype, n_in, scaling=scaling)
    found, targets, _ = gathered(given_ones, n_in, 2, dtype, order)
    values = scaled(given_ones.inputs, scaling, np.dtype(dtype))
    m = len(order)
    np.testing.assert_array_equal(found[:, :m], values[order].T)
    np.testing.assert_array_equal(targets, given_ones.targets[order].T)
    assert np.isnan(found[:, m:]).all()


@kinds
@given(order=st.lists(st.integers(0, N - 1), min_size=M, max_size=M), start=st.integers(0, M), stop=st.integers(0, M))
def test_a_range_touches_its_own_columns_alone(inputs, dtype, order, start, stop):
    for labels in ((), np.arange(N) % 2):
        given_ones = examples(np.random.default_rng(1), inputs, dtype, labels=labels, weighted=True)
        whole = gathered(given_ones, 3, 2, dtype, order)
        some = gathered(given_ones, 3, 2, dtype, order, start, stop)
        own = np.arange(M)[start:stop]
        others = np.setdiff1d(np.arange(M), own)
        for all_of_it, found in zip(whole, some, strict=True):
            np.testing.assert_array_equal(found[..., own], all_of_it[..., own])
            assert np.isnan(found[..., others]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(order=orders, n_out=st.integers(1, 4), seed=seeds)
def test_labels_become_unit_vectors_and_for_one_output_stay_themselves(dtype, order, n_out, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, max(2, n_out), N)
    _, targets, _ = gathered(examples(rng, dtype, dtype, n_out=n_out, labels=labels), 3, n_out, dtype, order)
    expected = labels[order][None] if n_out == 1 else np.eye(n_out)[:, labels[order]]
    np.testing.assert_array_equal(targets[:, : len(order)], expected)


@pytest.mark.parametrize("kind", ["uint8", "int64"])
def test_labels_of_both_dtypes_go_before_the_targets_that_name_them(kind, rng):
    both = examples(rng, "float32", "float32")._replace(labels=(np.arange(N) % 2).astype(kind))
    np.testing.assert_array_equal(gathered(both, 3, 2, "float32", [4, 1])[1][:, :2], [[1, 0], [0, 1]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(order=orders)
def test_weights_go_with_their_examples(dtype, order):
    rng = np.random.default_rng(1)
    weighted = examples(rng, dtype, dtype, weighted=True)
    np.testing.assert_array_equal(gathered(weighted, 3, 2, dtype, order)[2][: len(order)], weighted.weights[order])
    plain = weighted._replace(weights=np.empty(0, dtype))
    assert np.isnan(gathered(plain, 3, 2, dtype, order)[2]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stored", ["float32", "float64"])
def test_sparse_rows_are_gathered_as_dense_ones(dtype, stored, rng):
    dense = np.where(rng.random((9, 5)) < 0.4, rng.standard_normal((9, 5)), 0).astype(stored)
    dense[3] = 0
    row, columns = np.nonzero(dense)
    starts = np.searchsorted(row, np.arange(10))
    sparse = SparseRows.of(dense[row, columns], columns.astype(np.int32), starts.astype(np.int32), 5)
    assert Examples(sparse, np.empty((9, 0)), np.empty(0), np.empty(0)).n == 9
    net = mbbp.Network([5, 4, 3], dtype=dtype, rng=0)
    np.testing.assert_array_equal(net.engine.predict(sparse), net.engine.predict(dense))
    given = Examples(dense, np.empty((0, 3), dtype), rng.integers(0, 3, 9), np.empty(0, dtype))
    one, other = (net.engine.gradient(each).theta for each in (given, given._replace(inputs=sparse)))
    np.testing.assert_array_equal(one, other)
