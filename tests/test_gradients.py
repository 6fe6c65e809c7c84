"""The gradient against the textbook's loop over examples, and against numeric derivatives."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mbbp
from mbbp import reference
from mbbp.kernels.lowlevel.processor import HAS_AVX, LEVELS, level
from mbbp.parameters import parameter_views

HIDDEN = ["sigmoid", "tanh", "relu", "leaky_relu", "identity"]
OUTPUTS = [
    *((output, "quadratic") for output in [*HIDDEN, "softmax"]),
    ("sigmoid", "cross_entropy"),
    ("softmax", "log_likelihood"),
]
NEW_HIDDEN = ["gelu", "silu", "elu", "softplus", "exp"]
NEW_OUTPUTS = [
    *((output, "quadratic") for output in NEW_HIDDEN),
    ("exp", "poisson"),
    *((output, cost) for output in ("identity", "tanh") for cost in ("huber", "absolute", "quantile", "squared_hinge")),
    ("identity", mbbp.costs.huber(0.25)),
    ("gelu", mbbp.costs.quantile(0.9)),
    ("softmax", "absolute"),
]
ALL_OUTPUTS = OUTPUTS + NEW_OUTPUTS
SEED = 7  # with it, no example has only dead or saturated outputs, and no weighted input is at a kink
SIZES = {1: [4, 3], 2: [4, 5, 3], 3: [4, 6, 5, 2], 4: [3, 5, 4, 7, 2], 5: [3, 4, 5, 4, 5, 3]}
BATCHES = [1, 2, 7, 10, 128]


def mixed():
    """Yield 48 networks in which each hidden activation follows each other one and comes before each output.

    The constants 2, 3 and 4 are chosen so that this holds, and so that each activation is in each layer of each depth.
    """
    for i, (output, cost) in enumerate(OUTPUTS):
        yield (output,), cost
        for j in range(len(HIDDEN)):
            depth = 2 + (i + 3 * j) % 4
            hidden = [HIDDEN[(j + i * k) % len(HIDDEN)] for k in range(depth - 1)]
            yield (*reversed(hidden), output), cost


def uniform():
    """Yield the networks of each depth whose hidden layers all have the same activation."""
    for output, cost in OUTPUTS:
        for hidden in HIDDEN:
            for depth in range(2, 6):
                yield (hidden,) * (depth - 1) + (output,), cost


def new_ones():
    """Yield networks with each new activation in the first and in another hidden layer, and with each new output."""
    for i, (output, cost) in enumerate(NEW_OUTPUTS):
        hidden = NEW_HIDDEN[i % 4]  # exp is for outputs: in two layers it makes numbers that no check can bear
        yield (hidden, "tanh", output), cost
        yield ("tanh", hidden, "sigmoid", output), cost


MIXED = list(mixed())


def parameters(networks, marks=()):
    return [pytest.param(*one, marks=marks, id=f"{'-'.join(one[0])}, {one[1]!s}") for one in networks]


networks = pytest.mark.parametrize(
    ("activation", "cost"),
    parameters(MIXED)
    + parameters(new_ones())
    + parameters([one for one in uniform() if one not in MIXED], pytest.mark.nightly),
)


def lively(rng, n_in, n_out):
    """Draw parameters for which few relus are dead and no gradient vanishes."""
    return 1.5 * rng.standard_normal((n_out, n_in)) / np.sqrt(n_in), 0.5 + abs(rng.standard_normal((n_out, 1)))


def build(activation, cost, dtype="float64"):
    return mbbp.Network(SIZES[len(activation)], activation, cost, dtype, lively, rng=SEED)


def examples(net, m, seed=1):
    """Return inputs, and targets that are probabilities; or unit vectors for a cost of classes."""
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((net.sizes[0], m)), rng.dirichlet(np.ones(net.sizes[-1]), m).T
    return X, np.eye(len(Y))[Y.argmax(axis=0)].T if net.cost_function.is_of_classes else Y


def assert_close(gradient, exact, tolerance):
    largest = np.abs(exact).max()
    assert largest > 0
    assert np.abs(gradient - exact).max() <= tolerance * largest


def assert_no_kink_within_reach(net, X, Y, reach=1e-4):
    """Assert that the steps of a numeric derivative, about 1e-6, cross no kink: z at 0, a at y, a - y at delta."""
    zs, activations = reference.feedforward(net, X)
    cost, distances = net.cost_function, np.abs(activations[-1] - Y)
    kinks = [*cost.kinks, *([cost.parameter] if cost.name == "huber" else [])]
    assert all(np.abs(distances - kink).min() > reach for kink in kinks)
    assert all(np.abs(z).min() > reach for z, layer in zip(zs, net.layers, strict=True) if layer.activation.kinks)


def test_the_networks_have_each_activation_in_each_layer_and_after_each_other_one():
    inner = [activation[:-1] for activation, _ in MIXED]
    assert len({pair for hidden in inner for pair in pairwise(hidden)}) == 5 * 5
    assert len({(len(hidden), *layer) for hidden in inner for layer in enumerate(hidden)}) == 5 * (1 + 2 + 3 + 4)
    assert len({(activation[-2:], cost) for activation, cost in MIXED if len(activation) > 1}) == 5 * 8
    assert {len(activation) for activation, _ in MIXED} == set(SIZES)


@networks
def test_the_gradient_is_the_textbooks(activation, cost):
    net = build(activation, cost)
    for m in BATCHES:
        X, Y = examples(net, m)
        exact, found = reference.gradient(net, X, Y), net.gradient(X, Y)
        assert_close(found.theta, exact.theta, 1e-12)
        assert found.cost == pytest.approx(exact.cost, rel=1e-12)
        assert net.cost(X, Y) == pytest.approx(exact.cost, rel=1e-12)


@networks
def test_the_float32_gradient_is_the_textbooks_to_rounding(activation, cost):
    net = build(activation, cost, "float32")
    X, Y = (array.astype(np.float32) for array in examples(net, 10))
    exact, found = reference.gradient(net, X, Y), net.gradient(X, Y)
    assert found.theta.dtype == np.float32
    has_multiply_adds = HAS_AVX or level() not in LEVELS  # otherwise each product is rounded, too
    assert_close(found.theta, exact.theta, 1e-5 if has_multiply_adds else 2e-5)
    assert found.cost == pytest.approx(exact.cost, rel=1e-5)


@networks
def test_the_gradient_is_the_numeric_one(activation, cost):
    net = build(activation, cost)
    X, Y = examples(net, 3)
    assert_no_kink_within_reach(net, X, Y)
    found = net.gradient(X, Y).theta
    assert_close(found, reference.numeric_gradient(net, X, Y, reference.central_difference), 1e-7)
    assert_close(found, reference.numeric_gradient(net, X, Y, reference.complex_step), 1e-12)


@networks
def test_the_gradient_of_the_input_is_the_numeric_one(activation, cost):
    net = build(activation, cost)
    X, Y = examples(net, 3)
    numeric, direction = np.empty_like(X), np.zeros_like(net.theta)
    _, biases = parameter_views(direction, net.sizes)
    for j, i in np.ndindex(X.shape):
        biases[0][:, 0] = net.layers[0].W[:, j]  # this change of the biases has the effect of a change of input j
        numeric[j, i] = reference.complex_step(net, X[:, i : i + 1], Y[:, i : i + 1], direction)
    found = net.gradient(X, Y, with_respect_to_input=True)
    assert_close(found.inputs, numeric, 1e-12)
    assert_close(found.theta, net.gradient(X, Y).theta, 0)
    assert net.gradient(X, Y).inputs is None


@networks
def test_layers_hold_what_the_textbook_computes_example_by_example(activation, cost):
    net = build(activation, cost)
    X, Y = examples(net, 5)
    net.gradient(X, Y)
    zs, activations = reference.feedforward(net, X)
    errors = [reference.backprop(net, X[:, i : i + 1], Y[:, i : i + 1])[1] for i in range(5)]  # BP3: nabla_b is delta
    for index, layer in enumerate(net.layers):
        delta = np.column_stack([nabla_b[index] for nabla_b in errors])
        assert_close(layer.z, zs[index], 1e-13)
        assert_close(layer.a, activations[index + 1], 1e-13)
        assert_close(layer.delta, delta, 1e-12)


@pytest.mark.parametrize("depth", SIZES)
def test_activations_are_the_textbooks_the_input_first(depth):
    net = build(["tanh"] * (depth - 1) + ["softmax"], "log_likelihood")
    X, _ = examples(net, 9)
    found, (_, exact) = net.activations(X), reference.feedforward(net, X)
    assert [a.shape for a in found] == [(n, 9) for n in net.sizes]
    for a, b in zip(found, exact, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(found[-1], net.feedforward(X))


@pytest.mark.parametrize(("output", "cost"), ALL_OUTPUTS, ids=str)
def test_example_weights_are_factors_of_each_examples_cost(output, cost):
    net = build(["sigmoid", output], cost)
    X, Y = examples(net, 6)
    weights = [0.0, 1.0, 2.5, 0.25, 1.0, 3.0]
    exact, found = reference.gradient(net, X, Y, weights), net.gradient(X, Y, example_weights=weights)
    assert_close(found.theta, exact.theta, 1e-12)
    assert found.cost == pytest.approx(exact.cost, rel=1e-12)
    assert net.cost(X, Y, example_weights=weights) == pytest.approx(exact.cost, rel=1e-12)


@pytest.mark.parametrize("cost", ["quadratic", "cross_entropy"])
def test_labels_stand_for_unit_vectors(cost):
    net = build(["tanh", "sigmoid"], cost)
    X, _ = examples(net, 4)
    labels, vectors = [2, 0, 1, 2], np.eye(3)[[2, 0, 1, 2]].T
    np.testing.assert_array_equal(net.gradient(X, labels).theta, net.gradient(X, vectors).theta)
    assert_close(net.gradient(X, labels).theta, reference.gradient(net, X, labels).theta, 1e-12)


def test_weights_and_biases_are_views_of_the_flat_gradient():
    net = build(["sigmoid"] * 3, "quadratic")
    g = net.gradient(*examples(net, 4))
    for layer, W, b in zip(net.layers, g.weights, g.biases, strict=True):
        assert (W.shape, b.shape) == (layer.W.shape, layer.b.shape)
        assert np.shares_memory(W, g.theta)
        assert np.shares_memory(b, g.theta)
    for place in range(g.theta.size):
        g.theta[:] = net.theta[:] = 0
        g.theta[place] = net.theta[place] = 1
        for layer, W, b in zip(net.layers, g.weights, g.biases, strict=True):
            np.testing.assert_array_equal(W, layer.W)
            np.testing.assert_array_equal(b, layer.b)


def test_what_a_gradient_left_behind_stays_until_the_next_one():
    net = build(["tanh", "sigmoid"], "cross_entropy")
    X, Y = examples(net, 5)
    assert [(layer.z, layer.a, layer.delta) for layer in net.layers] == [(None, None, None)] * 2
    g = net.gradient(X, Y)
    kept = [array.copy() for array in (g.theta, *(x for layer in net.layers for x in (layer.z, layer.a, layer.delta)))]
    net.feedforward(-X)
    net.activations(-X)
    net.accuracy(-X, np.zeros(5, int))
    net.cost(-X, Y)
    now = [g.theta, *(x for layer in net.layers for x in (layer.z, layer.a, layer.delta))]
    for before, after in zip(kept, now, strict=True):
        np.testing.assert_array_equal(before, after)
    net.gradient(-X, Y)
    np.testing.assert_array_equal(g.theta, kept[0])
    assert not np.array_equal(net.layers[0].z, kept[1])


def test_an_assignment_after_a_gradient_changes_no_gradient():
    net = build(["tanh", "sigmoid"], "quadratic")
    X, Y = examples(net, 5)
    first = net.gradient(X, Y)
    theta = first.theta.copy()
    net.theta *= 2
    assert not np.allclose(net.gradient(X, Y).theta, theta)
    np.testing.assert_array_equal(first.theta, theta)


@given(st.permutations(range(8)), st.sampled_from(["float32", "float64"]), st.sampled_from(ALL_OUTPUTS))
def test_the_order_of_the_columns_does_not_matter(order, dtype, output_and_cost):
    output, cost = output_and_cost
    net = build(["tanh", "tanh", output], cost, dtype)
    X, Y = examples(net, 8)
    net.gradient(X, Y)
    deltas = [layer.delta for layer in net.layers]
    exact = net.gradient(X, Y).theta
    assert_close(net.gradient(X[:, order], Y[:, order]).theta, exact, 20 * np.finfo(dtype).eps)
    np.testing.assert_allclose(net.feedforward(X[:, order]), net.feedforward(X)[:, order], rtol=4 * np.finfo(dtype).eps)
    for layer, delta in zip(net.layers, deltas, strict=True):
        assert_close(layer.delta, delta[:, order], 20 * np.finfo(dtype).eps)


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from(ALL_OUTPUTS))
def test_the_gradient_of_a_batch_is_the_mean_of_its_parts(m, n, output_and_cost):
    output, cost = output_and_cost
    net = build(["sigmoid", output], cost)
    X, Y = examples(net, m + n)
    left, right, whole = (net.gradient(X[:, part], Y[:, part]) for part in (slice(m), slice(m, None), slice(None)))
    assert_close(whole.theta, (m * left.theta + n * right.theta) / (m + n), 1e-13)
    assert whole.cost == pytest.approx((m * left.cost + n * right.cost) / (m + n), rel=1e-13)
