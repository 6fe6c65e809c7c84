"""The gradient check: a right gradient passes, a wrong one does not, and the worst place is named."""

import math
import re

import numpy as np
import pytest

import mbbp
from mbbp import reference
from mbbp.parameters import parameter_views
from tests.derivatives import METHODS as OTHERS

METHODS = ["central", "complex"]
DTYPES = ["float32", "float64"]


def cube(z):
    return z * z * z


def cube_prime(z):
    return 3 * z * z


def wrong_cube_prime(z):
    return 3 * z * z + 0.01


def infinite(z):
    return math.inf + 0 * z


def not_a_number(z):
    return math.nan * z


def sometimes_infinite(z):
    return math.inf if z > 1.5 else 3 * z * z


def half_square(a, y):
    return 0.5 * (a - y) ** 2


def wrong_difference(a, y):
    return 1.01 * (a - y)


def exponential(z):
    return math.exp(z)


def problem(*sizes_and_activation, m=5, **options):
    """Return a network and a mini-batch for it."""
    net = mbbp.Network(*sizes_and_activation, **{"dtype": "float64", "rng": 3} | options)
    rng = np.random.default_rng(4)
    return net, rng.standard_normal((net.sizes[0], m)), rng.dirichlet(np.ones(net.sizes[-1]), m).T


RIGHT = [
    ("sigmoid", "quadratic"),
    ("sigmoid", "cross_entropy"),
    (["tanh", "softmax"], "log_likelihood"),
    (["identity", "softmax"], "quadratic"),
    (["relu", "relu"], "quadratic"),
    ("leaky_relu", "quadratic"),
    ([mbbp.Activation("cube", cube, cube_prime), "tanh"], "quadratic"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("activation", "cost"), RIGHT)
def test_a_right_gradient_passes(activation, cost, method, dtype):
    net, X, Y = problem([4, 6, 3], activation, cost, dtype=dtype)
    check = mbbp.check_gradients(net, X, Y, method=method, raise_on_failure=True)
    assert check.passed
    assert check.method == method
    assert [(one.layer, one.kind, one.compared + one.skipped) for one in check.layers] == [
        (0, "W", 24),
        (0, "b", 6),
        (1, "W", 18),
        (1, "b", 3),
    ]
    assert "the gradient is right" in str(check)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_derivative_is_found_in_and_before_its_layer(method, dtype):
    wrong = mbbp.Activation("cube", cube, wrong_cube_prime)
    net, X, Y = problem([4, 5, 6, 3], ["tanh", wrong, "tanh"], dtype=dtype)
    check = mbbp.check_gradients(net, X, Y, method=method)
    assert not check.passed
    assert "the gradient is WRONG" in str(check)
    wrong_layers = {one.layer for one in check.layers if one.worst > check.tolerance}
    assert wrong_layers == {0, 1}  # the layer after it does not depend on its derivative
    assert max(check.directions) > check.tolerance


def test_the_worst_place_is_named():
    wrong = mbbp.Activation("cube", cube, wrong_cube_prime)
    net, X, Y = problem([4, 6, 3], [wrong, "tanh"])
    g = net.gradient(X, Y)
    check = mbbp.check_gradients(net, X, Y)
    numeric = parameter_views(reference.numeric_gradient(net, X, Y), net.sizes)
    for one in check.layers:
        backprop, exact = (g.weights, numeric[0]) if one.kind == "W" else (g.biases, numeric[1])
        off = np.abs(backprop[one.layer] - exact[one.layer])
        assert one.index == np.unravel_index(off.argmax(), off.shape)
        assert (one.backprop, one.numeric) == (backprop[one.layer][one.index], exact[one.layer][one.index])
        assert one.worst == pytest.approx(off.max() / np.abs(g.theta).max(), rel=1e-9)
    worst = max(check.layers, key=lambda one: one.worst)
    row = next(line for line in str(check).splitlines() if line.split()[0] == f"{worst.layer}.{worst.kind}")
    assert f"{worst.kind}[{worst.index[0]}, {worst.index[1]}]" in row


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_table_fits_into_the_terminal_and_no_word_is_broken(columns, monkeypatch):
    net, X, Y = problem([300, 200, 3], "sigmoid")
    check = mbbp.check_gradients(net, 1e-5 * X, Y, max_parameters=20)
    monkeypatch.setenv("COLUMNS", "100000")
    words = str(check).split()
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = str(check).splitlines()
    assert " ".join(lines).split() == words
    table, text = lines[:5], lines[5:]
    assert max(map(len, table)) <= 80
    assert max(map(len, text)) <= columns


def test_the_repr_is_one_line_and_a_notebook_shows_the_table():
    net, X, Y = problem([4, 5, 3], "tanh")
    check = mbbp.check_gradients(net, X, Y)
    assert re.fullmatch(
        r"GradientCheck\(right: worst relative difference \d\.\de-\d\d, 1e-06 allowed "
        r"\(numeric derivative: central\)\)",
        repr(check),
    )
    html = check._repr_html_()
    assert html.count("<tr>") == 5
    assert f"<td>1.b</td><td>3</td><td>0</td><td>{check.layers[3].worst:.1e}</td><td>b[" in html
    assert "the gradient is right: worst relative difference" in html
    assert f"10 random directions: worst {max(check.directions):.1e}" in html
    wrong = mbbp.check_gradients(net, X, Y, tolerance=1e-30)
    assert repr(wrong).startswith("GradientCheck(WRONG: ")


def test_where_all_parameters_were_skipped_the_table_has_no_place():
    net, X, Y = problem([4, 5, 3], ["relu", "relu"])
    net.theta = 0 * net.theta
    check = mbbp.check_gradients(net, X, Y)
    row = next(line for line in str(check).splitlines() if line.startswith("1.b "))
    assert check.layers[3].index is None
    assert row.split()[4:] == ["-", "-", "-"]


def test_a_wrong_cost_is_found_in_every_layer():
    net, X, Y = problem([4, 5, 3], "tanh", mbbp.Cost("half", half_square, wrong_difference))
    check = mbbp.check_gradients(net, X, Y)
    assert all(one.worst > check.tolerance for one in check.layers)
    with pytest.raises(AssertionError, match=r"check_gradients:\n(.*\n)+the gradient is WRONG"):
        mbbp.check_gradients(net, X, Y, raise_on_failure=True)


@pytest.mark.parametrize("derivative", [infinite, not_a_number, sometimes_infinite])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_gradient_that_is_not_finite_does_not_pass(derivative):
    net, X, Y = problem([4, 5, 3], [mbbp.Activation("cube", cube, derivative), "tanh"], m=1)
    net.layers[0].W[:2], net.layers[0].b[:2] = 0, [[0], [2]]  # sometimes_infinite is finite for neuron 0 only
    assert not mbbp.check_gradients(net, X, Y).passed
    assert not mbbp.check_gradients(net, X, Y, directions=0).passed


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_parameters_at_a_kink_are_skipped_and_counted(activation):
    net, X, Y = problem([4, 6, 3], [activation, "tanh"])
    net.layers[0].W[2], net.layers[0].b[2] = 0, 0  # the weighted input of neuron 2 is 0 for every example
    check = mbbp.check_gradients(net, X, Y)
    assert check.passed
    assert [(one.compared, one.skipped) for one in check.layers] == [(20, 4), (5, 1), (18, 0), (3, 0)]
    assert check.directions == []  # every direction crosses it


def test_a_users_own_kink_is_skipped_too():
    wrong_at_1 = mbbp.Activation("abs", lambda z: abs(z - 1), lambda z: 1.0 if z > 1 else -1.0, kinks=[1.0])
    net, X, Y = problem([4, 2, 3], [wrong_at_1, "tanh"])
    net.layers[0].W[1], net.layers[0].b[1] = 0, 1
    check = mbbp.check_gradients(net, X, Y)
    assert check.passed
    assert [one.skipped for one in check.layers] == [4, 1, 0, 0]


def test_of_many_parameters_a_random_choice_is_compared():
    net, X, Y = problem([20, 10, 3], "tanh")
    check = mbbp.check_gradients(net, X, Y, max_parameters=7, directions=4, rng=1)
    assert [one.compared for one in check.layers] == [7, 7, 7, 3]
    assert len(check.directions) == 4
    assert check == mbbp.check_gradients(net, X, Y, max_parameters=7, directions=4, rng=1)
    assert check != mbbp.check_gradients(net, X, Y, max_parameters=7, directions=4, rng=2)


def test_random_directions_find_what_the_choice_misses():
    net, X, Y = problem([20, 10, 3], "tanh", mbbp.Cost("half", half_square, wrong_difference))
    assert min(mbbp.check_gradients(net, X, Y, max_parameters=1).directions) > 1e-6


def test_the_tolerance_decides():
    net, X, Y = problem([4, 5, 3], "tanh", mbbp.Cost("half", half_square, wrong_difference))
    worst = mbbp.check_gradients(net, X, Y).worst
    assert mbbp.check_gradients(net, X, Y, tolerance=worst).passed
    assert not mbbp.check_gradients(net, X, Y, tolerance=0.99 * worst).passed


def test_labels_and_a_vanishing_gradient_pass():
    net, X, _ = problem([4, 5, 3], "sigmoid", "cross_entropy")
    assert mbbp.check_gradients(net, X, [0, 2, 1, 1, 0]).passed
    flat, X, Y = problem([4, 5, 3], ["relu", "relu"])
    flat.theta = np.full(flat.theta.size, -1.0)
    assert mbbp.check_gradients(flat, np.abs(X), Y).passed


@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_not_changed(method):
    net, X, Y = problem([4, 5, 3], "tanh")
    theta, state, arrays = net.theta.copy(), net.rng.bit_generator.state, (X.copy(), Y.copy())
    mbbp.check_gradients(net, X, Y, method=method)
    np.testing.assert_array_equal(net.theta, theta)
    np.testing.assert_array_equal((X, Y)[0], arrays[0])
    np.testing.assert_array_equal(Y, arrays[1])
    assert net.rng.bit_generator.state == state


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "forward"}, ValueError, "method: expected one of central, complex, got 'forward'"),
        ({"max_parameters": 0}, ValueError, "max_parameters: expected 1 or more, got 0"),
        ({"directions": -1}, ValueError, "directions: expected 0 or more, got -1"),
        ({"directions": 1.5}, TypeError, "directions: expected a whole number"),
        ({"X": np.zeros((3, 5))}, ValueError, r"X: expected shape \(4, m\)"),
        ({"Y": [0, 1]}, ValueError, "Y: expected one target for each of the 5 columns of X, got 2 labels"),
    ],
)
def test_bad_arguments_are_named(options, error, message):
    net, X, Y = problem([4, 5, 3], "tanh")
    with pytest.raises(error, match=message):
        mbbp.check_gradients(net, **{"X": X, "Y": Y} | options)


@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 1e-4), ("float64", 1e-12)])
def test_the_other_derivatives_are_compared_too(dtype, allowed):
    net, X, Y = problem([4, 6, 3], ["silu", "softmax"], "log_likelihood", dtype=dtype, m=15)
    check = mbbp.check_gradients(net, X, Y, derivatives=True)
    assert list(check.derivatives) == OTHERS
    assert check.left_out == {}
    assert check.derivative_tolerance == allowed
    assert 0 < max(check.derivatives.values()) <= allowed
    name = max(OTHERS, key=check.derivatives.get)
    line = f"12 other derivatives: right: worst {check.derivatives[name]:.1e} ({name}), {allowed:.0e} allowed"
    assert line in " ".join(str(check).split())
    assert line in check._repr_html_()
    assert "other derivatives" not in repr(check)


@pytest.mark.parametrize("name", OTHERS)
def test_another_derivative_that_is_wrong_is_found(name, monkeypatch):
    net, X, Y = problem([4, 6, 3], "tanh")
    right = getattr(mbbp.Network, name)

    def wrong(self, *arguments):
        result = right(self, *arguments)
        if hasattr(result, "theta"):
            return result._replace(inputs=1.001 * result.inputs)
        return (*result[:-1], 1.001 * result[-1]) if isinstance(result, tuple) else 1.001 * result

    monkeypatch.setattr(mbbp.Network, name, wrong)
    check = mbbp.check_gradients(net, X, Y, derivatives=True)
    assert not check.passed
    assert check.worst == check.derivatives[name] == pytest.approx(1e-3, rel=1e-6)
    assert all(worst <= 1e-12 for other, worst in check.derivatives.items() if other != name)
    assert f"12 other derivatives: {name} WRONG: worst 1.0e-03 ({name}), 1e-12 allowed" in repr(check)
    with pytest.raises(AssertionError, match=f"{name} WRONG"):
        mbbp.check_gradients(net, X, Y, derivatives=True, raise_on_failure=True)


def test_another_derivative_that_is_not_a_number_or_of_another_shape_does_not_pass(monkeypatch):
    net, X, Y = problem([4, 6, 3], "tanh")
    monkeypatch.setattr(mbbp.Network, "jacobian", lambda self, X: np.full((3, 5, self.theta.size), np.nan))
    monkeypatch.setattr(mbbp.Network, "laplacian", lambda self, X: np.zeros((5, 3)))
    check = mbbp.check_gradients(net, X, Y, derivatives=True)
    assert check.derivatives["jacobian"] == check.derivatives["laplacian"] == math.inf
    assert not check.passed


@pytest.mark.parametrize(
    ("of_activation", "of_cost", "left_out"),
    [
        (None, None, ["directional_derivatives", "laplacian", "hessian_vector_product", "gauss_newton_vector_product"]),
        (None, lambda a, y: 1.0, ["directional_derivatives", "laplacian", "hessian_vector_product"]),
        (lambda z: 6 * z, None, ["hessian_vector_product", "gauss_newton_vector_product"]),
        (lambda z: 6 * z, lambda a, y: 1.0, []),
    ],
)
def test_what_needs_a_missing_second_derivative_is_left_out_and_said(of_activation, of_cost, left_out):
    own = mbbp.Activation("cube", cube, cube_prime, second_derivative=of_activation)
    cost = mbbp.Cost("half", half_square, lambda a, y: a - y, second_derivative=of_cost)
    net, X, Y = problem([4, 6, 3], [own, "tanh"], cost)
    check = mbbp.check_gradients(net, X, Y, derivatives=True, raise_on_failure=True)
    assert list(check.left_out) == left_out
    assert list(check.derivatives) == [name for name in OTHERS if name not in left_out]
    said = f"not compared, since no second_derivative is given: {', '.join(left_out)}"
    assert (said in " ".join(str(check).split())) == (said in check._repr_html_()) == bool(left_out)


def test_examples_at_a_kink_are_not_compared():
    net, X, Y = problem([4, 6, 3], ["relu", "tanh"])
    net.layers[0].b[2] = -net.layers[0].W[2] @ X[:, 1]  # the weighted input is 0 but for rounding
    check = mbbp.check_gradients(net, X, Y, derivatives=True)
    assert check.passed
    assert list(check.derivatives) == OTHERS
    net.layers[0].W[2], net.layers[0].b[2] = 0, 0
    check = mbbp.check_gradients(net, X, Y, derivatives=True)
    assert check.passed
    assert check.derivatives == {}
    assert check.left_out == dict.fromkeys(OTHERS, "every example is at a kink")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("activation", "cost"), RIGHT[:4])
def test_saturated_neurons_raise_no_false_alarm(activation, cost, dtype):
    """Their derivatives are right to few digits: 1 - a has no more."""
    net, X, Y = problem([4, 6, 3], activation, cost, dtype=dtype)
    net.layers[1].W, net.layers[1].b = 12 * net.layers[1].W, np.array([[12.0], [-12.0], [15.0]])
    check = mbbp.check_gradients(net, X, Y, derivatives=True)
    assert len(check.derivatives) == 12
    assert max(check.derivatives.values()) <= check.derivative_tolerance


def test_a_jacobian_that_is_too_large_is_left_out(monkeypatch):
    net, X, Y = problem([4, 6, 3], "tanh")
    monkeypatch.setattr("mbbp.check_derivatives.MOST_NUMBERS", 3 * net.theta.size - 1)
    assert mbbp.check_gradients(net, X, Y, derivatives=True).left_out == {"jacobian": "it is too large"}


def test_functions_without_a_complex_form_are_told_apart_from_wrong_ones():
    net, X, Y = problem([4, 5, 3], [mbbp.Activation("exp", exponential, exponential), "tanh"])
    assert mbbp.check_gradients(net, X, Y).passed
    with pytest.raises(TypeError, match="method: expected 'central' for functions that do not take complex numbers"):
        mbbp.check_gradients(net, X, Y, method="complex")
