"""The compiled derivatives of a network against the oracle's: all activations and costs, sizes, dtypes and orders."""

import copy

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mbbp
from mbbp import reference
from mbbp.activations import ACTIVATIONS
from mbbp.costs import COSTS
from tests.derivatives import METHODS, calls, parts, problem

TOLERANCES = {"float32": 1e-4, "float64": 1e-12}
HIDDEN = sorted(set(ACTIVATIONS) - {"softmax"})
ALL_COSTS = [*COSTS.values(), mbbp.costs.huber(0.25), mbbp.costs.quantile(0.9)]
OUTPUTS = [(output, cost) for cost in ALL_COSTS for output in ACTIVATIONS if cost.required_activation in (None, output)]
BATCHES = st.one_of(st.integers(1, 12), st.sampled_from([127, 128, 129, 255, 256, 257]), st.integers(1, 300))


def assert_close(found, exact, tolerance):
    assert found.shape == exact.shape
    assert np.abs(found - exact).max() <= tolerance * (np.abs(exact).max() or 1.0)


def assert_all_close(net, X, Y, rng, only=METHODS):
    tolerance, before = TOLERANCES[net.dtype.name], net.theta.tobytes()
    for name, arguments in calls(net, X, Y, rng):
        if name in only:
            found, exact = getattr(net, name)(*arguments), getattr(reference, name)(net, *arguments)
            for one, other in zip(parts(found), parts(exact), strict=True):
                assert_close(one, other, tolerance)
                assert one.dtype == (np.float64 if name == "gradient_norms" else net.dtype)
    assert net.theta.tobytes() == before


def assume_no_kink_near(net, X, Y, reach=1e-4):
    """Leave out examples where rounding decides which side of a kink is taken."""
    zs, activations = reference.feedforward(net, X)
    kinked = {"relu", "leaky_relu", "elu"}  # the second derivative of elu jumps
    for layer, z in zip(net.layers, zs, strict=True):
        assume(layer.activation.name not in kinked or np.abs(z).min() > reach)
    cost, d = net.cost_function, activations[-1] - Y
    places = {"absolute": 0.0, "quantile": 0.0, "huber": cost.parameter, "squared_hinge": None}
    if cost.name == "squared_hinge":
        assume(np.abs(1 - (2 * Y - 1) * activations[-1]).min() > reach)
    elif cost.name in places:
        assume(np.abs(np.abs(d) - places[cost.name]).min() > reach)


# ------------------------------------------------------------------------------------------------ against the oracle


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("number", "output", "cost"), [(i, *one) for i, one in enumerate(OUTPUTS)], ids=str)
def test_all_are_the_oracles(number, output, cost, dtype):
    hidden = [HIDDEN[(number + 3 * place) % len(HIDDEN)] for place in range(number % 4)]
    sizes = [[4, 3], [3, 5, 2], [4, 17, 5, 3], [3, 4, 6, 5, 2]][number % 4]
    scaled = ("no", "factor", "standardized")[number % 3]
    net, X, Y, rng = problem(sizes, [*hidden, output], cost, dtype, 7, number, scaled, "CF"[number // 2 % 2])
    assert_all_close(net, X, Y, rng)


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_every_activation_in_two_hidden_layers(hidden, dtype):
    net, X, Y, rng = problem([5, 6, 7, 3], [hidden, hidden, "softmax"], "log_likelihood", dtype, 5, 4, "factor")
    assert_all_close(net, X, Y, rng)


SUMS = ["backpropagate", "vjp", "hessian_vector_product", "gauss_newton_vector_product", "clipped_gradient_sum"]
sizes_to_try = st.lists(st.integers(1, 40), min_size=2, max_size=4)
kinds = {
    "output_and_cost": st.sampled_from(OUTPUTS),
    "hidden": st.sampled_from(["sigmoid", "tanh", "relu", "gelu", "silu", "elu", "softplus"]),
    "dtype": st.sampled_from(list(TOLERANCES)),
    "scaled": st.sampled_from(["no", "factor", "standardized"]),
    "order": st.sampled_from("CF"),
    "seed": st.integers(0, 2**32 - 1),
}


def drawn(sizes, m, output_and_cost, hidden, dtype, scaled, order, seed):
    output, cost = output_and_cost
    activation = [hidden] * (len(sizes) - 2) + [output]
    return problem(sizes, activation, cost, dtype, m, seed, scaled, order)


@settings(max_examples=20)
@given(sizes=sizes_to_try, m=BATCHES, **kinds)
def test_sums_over_the_examples_at_all_sizes(sizes, m, **kind):
    net, X, Y, rng = drawn(sizes, m, **kind)
    assume_no_kink_near(net, X, Y)
    assert_all_close(net, X, Y, rng, SUMS)


@settings(max_examples=30)
@given(sizes=sizes_to_try, m=BATCHES, **kinds)
def test_what_belongs_to_single_examples_at_all_sizes(sizes, m, **kind):
    """The oracle is asked for some columns alone: at both ends, and where a chunk ends."""
    net, X, Y, rng = drawn(sizes, m, **kind)
    columns = sorted({i for i in (0, 127, 128, m // 2, m - 1) if i < m})
    x, y, tolerance = X[:, columns], Y[:, columns], TOLERANCES[net.dtype.name]
    assume_no_kink_near(net, x, y)
    v, V = rng.standard_normal(net.theta.size).astype(net.dtype), rng.standard_normal((len(X), 2)).astype(net.dtype)
    U, T = rng.standard_normal((sizes[-1], m)).astype(net.dtype), rng.standard_normal(X.shape).astype(net.dtype)
    pairs = [
        (net.jvp(X, v, T)[:, columns], reference.jvp(net, x, v, T[:, columns])),
        (net.jacobian(X)[:, columns], reference.jacobian(net, x)),
        (net.input_jacobian(X)[:, columns], reference.input_jacobian(net, x)),
        (net.laplacian(X)[:, columns], reference.laplacian(net, x)),
        (net.per_example_gradients(X, Y)[columns], reference.per_example_gradients(net, x, y)),
        (net.gradient_norms(X, Y)[columns], reference.gradient_norms(net, x, y)),
        (net.vjp(X, U)[1][:, columns], reference.vjp(net, x, U[:, columns])[1]),
    ]
    found, exact = net.directional_derivatives(X, V), reference.directional_derivatives(net, x, V)
    pairs += [(one[..., columns], other) for one, other in zip(found, exact, strict=True)]
    for one, other in pairs:
        assert_close(one, other, tolerance)


@settings(max_examples=20)
@given(sizes=sizes_to_try, m=BATCHES, **kinds)
def test_they_agree_with_each_other_at_all_sizes(sizes, m, **kind):
    kind["dtype"] = "float64"
    net, X, Y, rng = drawn(sizes, m, **kind)
    v, U = rng.standard_normal(net.theta.size), rng.standard_normal((sizes[-1], m))
    J, rows = net.jacobian(X), net.per_example_gradients(X, Y)
    assert_close(net.jvp(X, v), J @ v, 1e-12)
    assert_close(net.vjp(X, U)[0], np.einsum("km,kmp->p", U, J), 1e-11)
    assert_close(net.gradient(X, Y).theta, rows.mean(axis=0), 1e-11)
    assert_close(net.gradient_norms(X, Y), np.linalg.norm(rows, axis=1), 1e-12)
    assert_close(net.clipped_gradient_sum(X, Y, 1e6), rows.sum(axis=0), 1e-11)
    norms = np.maximum(np.linalg.norm(rows, axis=1), 1e-300)
    most = float(np.median(norms))
    assert_close(
        net.clipped_gradient_sum(X, Y, most), (rows * np.minimum(1, most / norms)[:, np.newaxis]).sum(0), 1e-11
    )
    assert_close(net.laplacian(X), net.directional_derivatives(X, np.eye(len(X))).second.sum(axis=0), 1e-12)
    assert_close(net.directional_derivatives(X, np.eye(len(X))).first, np.moveaxis(net.input_jacobian(X), -1, 0), 1e-12)


def test_labels_stand_for_unit_vectors():
    net, X, _, rng = problem([4, 5, 3], ["tanh", "softmax"], "log_likelihood", m=4)
    labels, vectors = np.array([2, 0, 1, 2]), np.eye(3)[[2, 0, 1, 2]].T
    v = rng.standard_normal(net.theta.size)
    for name, more in (
        ("hessian_vector_product", (v,)),
        ("gauss_newton_vector_product", (v,)),
        ("per_example_gradients", ()),
        ("gradient_norms", ()),
        ("clipped_gradient_sum", (0.1,)),
    ):
        np.testing.assert_array_equal(getattr(net, name)(X, labels, *more), getattr(net, name)(X, vectors, *more))


def test_inputs_of_any_kind_are_taken():
    net, X, Y, rng = problem([4, 5, 3], "tanh", "quadratic")
    whole = (10 * X).astype(np.int8)
    for name, arguments in calls(net, whole, Y, rng):
        other = (whole.tolist(), *arguments[1:])
        for one, two in zip(parts(getattr(net, name)(*arguments)), parts(getattr(net, name)(*other)), strict=True):
            np.testing.assert_array_equal(one, two)


def test_the_derivatives_of_a_gradient_change_no_layer():
    net, X, Y, rng = problem([4, 5, 3], "tanh", "quadratic")
    net.gradient(X, Y)
    before = [part.tobytes() for layer in net.layers for part in (layer.z, layer.a, layer.delta)]
    for name, arguments in calls(net, -X, Y, rng):
        getattr(net, name)(*arguments)
    assert before == [part.tobytes() for layer in net.layers for part in (layer.z, layer.a, layer.delta)]


def test_a_network_that_was_changed_or_copied_is_differentiated_as_it_is():
    net, X, Y, rng = problem([4, 5, 3], "tanh", "quadratic")
    assert_all_close(net, X, Y, rng)
    other = copy.deepcopy(net)
    net.theta *= 0.5
    assert_all_close(net, X, Y, rng)
    assert_all_close(other, X, Y, rng)
    net.fit(X, Y, epochs=2)
    assert_all_close(net, X, Y, rng)


# ------------------------------------------------------------------------------------------------------- custom ones


def cube(z):
    return z * z * z


def cube_prime(z):
    return 3 * z * z


def cube_second_derivative(z):
    return 6 * z


def fourth(a, y):
    return (a - y) ** 4


def fourth_gradient(a, y):
    return 4 * (a - y) ** 3


def fourth_second_derivative(a, y):
    return 12 * (a - y) ** 2


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_custom_second_derivatives_are_compiled(dtype):
    own = mbbp.Activation("cube", cube, cube_prime, second_derivative=cube_second_derivative)
    cost = mbbp.Cost("fourth", fourth, fourth_gradient, second_derivative=fourth_second_derivative)
    net, X, Y, rng = problem([4, 5, 6, 3], [own, "tanh", own], cost, dtype, 9)
    assert_all_close(net, X, Y, rng)
    assert_all_close(copy.deepcopy(net), X, Y, rng)


def test_a_missing_second_derivative_is_told_and_the_rest_works():
    own, cost = mbbp.Activation("cube", cube, cube_prime), mbbp.Cost("fourth", fourth, fourth_gradient)
    net, X, Y, rng = problem([4, 5, 3], [own, "tanh"], cost)
    of_activation = ["directional_derivatives", "laplacian"]
    of_cost = ["gauss_newton_vector_product"]
    of_both = ["hessian_vector_product"]
    says = "expected a second_derivative for second-order products, got none"
    for name, arguments in calls(net, X, Y, rng):
        if name in of_activation + of_cost + of_both:
            whose = "cube" if name in of_activation else "fourth" if name in of_cost else "(cube|fourth)"
            with pytest.raises(TypeError, match=rf"^(activation|cost) '{whose}': {says}$"):
                getattr(net, name)(*arguments)
    assert_all_close(net, X, Y, rng, set(METHODS) - {*of_activation, *of_cost, *of_both})
    net, X, Y, rng = problem([4, 5, 3], [own, "tanh"], "quadratic")
    assert_all_close(net, X, Y, rng, of_cost)  # it needs that of the cost alone
