"""The table of a network: nothing overlaps, nothing is left over, and everybody finds the same numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import mbbp
from mbbp.kernels.layout import SPARE_ROWS, Layout
from mbbp.kernels.propagation import Forward, forward
from mbbp.parameters import parameter_count, parameter_views

networks = st.lists(st.integers(1, 12), min_size=2, max_size=5)
counts = st.integers(1, 9)
LANES = 4


def parts(layout, sizes, m, threads, dropout):
    """Return the name, the beginning and the length of everything that the workspace holds."""
    found = [("inputs", 0, sizes[0] * m), ("targets", layout.targets, sizes[-1] * m), ("weights", layout.weights, m)]
    for i, row in enumerate(layout.table):
        found += [(f"{name} of {i}", row[name], row.n_out * m) for name in ("z", "a", "delta")]
    for i, row in enumerate(layout.table):
        if i and dropout[i]:
            found.append((f"what is left of the inputs of {i}", row.inputs, row.n_in * m))
    scratch = max(row.n_out * (row.n_in if row.n_out < LANES else 1) for row in layout.table)
    found += [("spare", layout.spare, SPARE_ROWS * m), ("scratch", layout.scratch, scratch)]
    return [*found, ("panels", layout.panels, threads * layout.panel_size)]


@given(sizes=networks, m=counts, threads=st.integers(1, 4), chosen=st.lists(st.booleans(), min_size=5, max_size=5))
def test_the_parts_of_the_workspace_fill_it_and_do_not_overlap(sizes, m, threads, chosen):
    dropout = [0.5 * is_dropped for is_dropped in chosen[: len(sizes) - 1]]
    layout = Layout(sizes, m, threads, LANES, dropout)
    end = 0
    for name, start, size in sorted(parts(layout, sizes, m, threads, dropout), key=lambda part: part[1]):
        assert start == end, name
        end = start + size
    assert end == layout.work_size


@given(sizes=networks, m=counts)
def test_the_inputs_of_a_layer_are_the_outputs_of_the_one_before(sizes, m):
    table = Layout(sizes, m).table
    assert table.inputs.tolist() == [0, *table.a[:-1]]
    assert not table.dropout.any()
    assert table.n_in.tolist() == sizes[:-1]
    assert table.n_out.tolist() == sizes[1:]


@given(sizes=networks, m=counts)
def test_the_parameters_are_where_the_views_are(sizes, m):
    theta = np.arange(parameter_count(sizes))
    for row, W, b in zip(Layout(sizes, m).table, *parameter_views(theta, sizes), strict=True):
        np.testing.assert_array_equal(theta[row.W : row.W + row.n_out * row.n_in].reshape(W.shape, order="F"), W)
        np.testing.assert_array_equal(theta[row.b : row.b + row.n_out], b[:, 0])


@given(sizes=networks, m=counts)
def test_a_block_is_a_view_with_an_example_a_column(sizes, m):
    layout = Layout(sizes, m, lanes=LANES)
    work = np.arange(layout.work_size)
    for index, row in enumerate(layout.table):
        for name, block in zip(("z", "a", "delta"), layout.block(work, index), strict=True):
            assert np.shares_memory(block, work)
            has_rows = row.n_out == 1 or row.n_out < LANES <= m
            expected = work[row[name] : row[name] + row.n_out * m].reshape(row.n_out, m, order="C" if has_rows else "F")
            np.testing.assert_array_equal(block, expected)


@given(sizes=networks, m=st.integers(2, 9), few=st.integers(1, 8))
def test_fewer_examples_use_the_beginning(sizes, m, few):
    few = min(few, m - 1)
    net = mbbp.Network(sizes, dtype="float64", rng=0)
    X = np.random.default_rng(1).random((sizes[0], few))
    layout = net.engine.layout(m)
    model = net.engine.model(layout)
    work = model.record.work
    work[...] = np.nan
    work[: X.size] = X.T.reshape(-1)
    forward.bind(Forward(model=model, inputs=work, start=0, stop=few, m=few, rank=0, step=0), net.dtype)()
    _, activations = mbbp.reference.feedforward(net, X)
    for row, expected in zip(layout.table, activations[1:], strict=True):
        n = row.n_out
        parts = [work[at : at + n * m] for at in (row.z, row.a, row.delta)]
        has_rows = n == 1 or n < layout.lanes <= few
        a = parts[1][: n * few].reshape(n, few, order="C" if has_rows else "F")
        np.testing.assert_allclose(a, expected, rtol=1e-13)
        assert np.isfinite(parts[0][: n * few]).all()
        assert np.isnan(parts[0][n * few :]).all()
        assert np.isnan(parts[1][n * few :]).all()
        assert np.isnan(parts[2]).all()
    assert np.isnan(work[X.size : layout.table[0].z]).all()  # targets and weights
