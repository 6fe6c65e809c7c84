"""The equations of chapter 2 against the engine and the textbook's program: feedforward, BP1 to BP4, the algorithm."""

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import mbbp
from mbbp import chapter2, reference
from mbbp.chapter2 import numbering
from tests.networks import ELEMENTWISE, OUTPUTS, distance, examples_to_try, fixed, problems

few = settings(max_examples=examples_to_try)


def slopes(net, passed):
    """Return sigma'(z) of every layer that has one."""
    return {
        l: net.layers[l - 2].activation.derivative(z)
        for l, z in passed.z.items()
        if net.layers[l - 2].activation.name != "softmax"
    }


# ------------------------------------------------------------------------------------------------------ the whole of it


def test_every_name_is_exported_and_its_docstring_says_what_it_returns():
    assert sorted(chapter2.__all__) == sorted(set(chapter2.__all__))
    for name in chapter2.__all__:
        assert getattr(chapter2, name).__doc__


def test_no_file_imports_a_kernel_or_numba():
    files = sorted(Path(chapter2.__file__).parent.glob("*.py"))
    assert len(files) >= 10
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith(("numba", "mbbp.kernels"))], path


# ---------------------------------------------------------------------------------------------------------- feedforward


@few
@given(problems())
def test_the_three_forms_of_feedforward_are_the_engines(problem):
    net, X, Y = problem
    net.gradient(X, Y)
    L = len(net.sizes)
    whole = chapter2.feedforward_by_matrix(net, X)
    assert list(whole.z) == list(range(2, L + 1))
    assert list(whole.a) == list(range(1, L + 1))
    assert distance(whole.output, net.feedforward(X)) < 1e-13
    for l, layer in enumerate(net.layers, 2):
        assert distance(whole.z[l], layer.z) < 1e-13
        assert distance(whole.a[l], layer.a) < 1e-13
    for i in range(X.shape[1]):
        for form in (chapter2.feedforward_by_index, chapter2.feedforward_by_vector):
            z, a = form(net, X[:, i : i + 1])
            for l in range(2, L + 1):
                assert z[l].shape == (net.sizes[l - 1], 1)
                assert distance(z[l], whole.z[l][:, i : i + 1]) < 1e-13
                assert distance(a[l], whole.a[l][:, i : i + 1]) < 1e-13
            np.testing.assert_array_equal(a[1], X[:, i : i + 1])


def test_the_inputs_of_a_float32_network_are_rounded_as_the_engine_does():
    net, X, Y = fixed(dtype="float32")
    X = X * np.pi
    np.testing.assert_array_equal(chapter2.feedforward_by_matrix(net, X).a[1], X.astype(np.float32))
    assert distance(chapter2.backpropagation(net, X, Y).theta, net.gradient(X, Y).theta) < 1e-5


def test_parameters_are_numbered_by_the_layer_they_lead_into_and_are_copies():
    net, _, _ = fixed()
    before = net.theta.copy()
    W, b = chapter2.parameters(net)
    assert list(W) == list(b) == [2, 3, 4]
    for l, layer in enumerate(net.layers, 2):
        np.testing.assert_array_equal(W[l], layer.W)
        np.testing.assert_array_equal(b[l], layer.b)
    np.testing.assert_array_equal(numbering.flat(W, b), net.theta)
    W[2][...] = b[3][...] = 7
    np.testing.assert_array_equal(net.theta, before)


# -------------------------------------------------------------------------------------------------------- the equations


@few
@given(problems(ELEMENTWISE))
def test_bp1_to_bp4_are_what_the_engine_computes(problem):
    net, X, Y = problem
    gradient = net.gradient(X, Y)
    z, a = chapter2.feedforward_by_matrix(net, X)
    L = len(net.sizes)
    slope = slopes(net, chapter2.Feedforward(z, a))
    W, _ = chapter2.parameters(net)
    delta = {L: chapter2.bp1(net.cost_function.gradient(a[L], Y), slope[L])}
    for l in range(L - 1, 1, -1):
        delta[l] = chapter2.bp2(W[l + 1], delta[l + 1], slope[l])
    for l, layer in enumerate(net.layers, 2):
        assert distance(delta[l], layer.delta) < 1e-12
        assert distance(chapter2.bp3(delta[l]), gradient.biases[l - 2]) < 1e-12
        assert distance(chapter2.bp4(delta[l], a[l - 1]), gradient.weights[l - 2]) < 1e-12


def test_the_short_names_are_the_equations():
    assert (chapter2.bp1, chapter2.bp2) == (chapter2.output_error, chapter2.backpropagated_error)
    assert (chapter2.bp3, chapter2.bp4) == (chapter2.bias_gradient, chapter2.weight_gradient)


def test_of_one_example_bp3_is_the_error_itself_and_bp4_a_product_of_two_numbers(rng):
    delta, a = rng.standard_normal((3, 1)), rng.standard_normal((4, 1))
    np.testing.assert_array_equal(chapter2.bias_gradient(delta), delta)
    found = chapter2.weight_gradient(delta, a)
    for j, k in np.ndindex(3, 4):
        assert found[j, k] == a[k, 0] * delta[j, 0]


def test_the_hadamard_product_is_elementwise_and_of_the_books_example():
    np.testing.assert_array_equal(chapter2.hadamard([1, 2], [3, 4]), [3, 8])
    np.testing.assert_array_equal(
        chapter2.hadamard(np.full((2, 3), 2.0), np.arange(6).reshape(2, 3)), [[0, 2, 4], [6, 8, 10]]
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chapter2.hadamard([[1], [2]], [[1, 2]]), r"t: the shape of s, \(2, 1\), is wanted, got \(1, 2\)"),
        (lambda: chapter2.hadamard([1], "x"), "t: numbers are wanted"),
        (lambda: chapter2.hadamard([[1], [1, 2]], [1]), "s: rows of equal length are wanted"),
        (lambda: chapter2.bp1([1.0, 2.0], [1.0, 2.0]), r"grad_a_C: a matrix \(n, m\) is wanted, got shape \(2,\)"),
        (
            lambda: chapter2.bp1([[1.0]], [[1.0, 2.0]]),
            r"sigma_prime_z: a matrix \(1, 1\) is wanted, as grad_a_C has it",
        ),
        (lambda: chapter2.bp2(np.ones((2, 3)), np.ones((3, 1)), np.ones((3, 1))), r"delta_next: a matrix \(2, m\)"),
        (lambda: chapter2.bp2(np.ones((2, 3)), np.ones((2, 1)), np.ones((2, 1))), r"sigma_prime_z: a matrix \(3, 1\)"),
        (lambda: chapter2.bp2(np.ones((2, 3)), np.ones((2, 4)), np.ones((3, 1))), r"sigma_prime_z: a matrix \(3, 4\)"),
        (lambda: chapter2.bp3(np.ones((2, 0))), r"delta: at least one column is wanted, got shape \(2, 0\)"),
        (
            lambda: chapter2.bp4(np.ones((2, 3)), np.ones((2, 4))),
            r"a_in: a matrix \(n, 3\) is wanted, a column for each",
        ),
        (lambda: chapter2.sigma_prime_matrix(np.ones((2, 2))), r"sigma_prime_z: a matrix \(n, 1\) is wanted"),
        (
            lambda: chapter2.output_error_by_matrix(np.ones((2, 3)), np.ones((2, 1))),
            r"Sigma_prime_z: a matrix \(2, 2\)",
        ),
        (
            lambda: chapter2.backpropagated_error_by_matrix(np.ones((2, 2)), np.ones((1, 2)), np.ones((2, 1))),
            r"delta_next: a matrix \(1, 1\)",
        ),
        (
            lambda: chapter2.backpropagated_error_by_matrix(np.ones((1, 1)), np.ones((1, 2)), np.ones((1, 1))),
            r"Sigma_prime_z: a matrix \(2, 2\)",
        ),
        (lambda: chapter2.error_as_product(2, {3: [[1]]}, {3: [[1]]}, [[1]]), "Sigma_prime: .* got none for 2"),
        (lambda: chapter2.error_as_product(2, {2: [[1]], 3: [[1]]}, {}, [[1]]), "W: .* got none for 3"),
        (lambda: chapter2.error_as_product(4, {3: [[1]]}, {}, [[1]]), "Sigma_prime: .* got none for 4"),
        (
            lambda: chapter2.error_as_product(2, {2: np.eye(2), 3: [[1]]}, {3: np.ones((1, 3))}, [[1]]),
            r"W\[3\]: a matrix \(1, 2\) is wanted",
        ),
        (lambda: chapter2.error_as_product(2, {2: np.eye(2)}, {}, [[1]]), r"grad_a_C: a matrix \(2, 1\) is wanted"),
    ],
)
def test_what_does_not_fit_together_is_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


# ---------------------------------------------------------------------------------------------- the alternate equations


@few
@given(problems(most_examples=3))
def test_the_alternate_equations_and_the_product_are_the_engines_error(problem):
    net, X, Y = problem
    net.gradient(X, Y)
    L = len(net.sizes)
    W, _ = chapter2.parameters(net)
    for i in range(X.shape[1]):
        z, a = chapter2.feedforward_by_vector(net, X[:, i : i + 1])
        Sigma_prime = {l: chapter2.activation_jacobian(net.layers[l - 2].activation, z[l]) for l in z}
        grad_a_C = net.cost_function.gradient(a[L], Y[:, i : i + 1])
        delta = chapter2.output_error_by_matrix(Sigma_prime[L], grad_a_C)
        for l in range(L, 1, -1):
            if l < L:
                delta = chapter2.backpropagated_error_by_matrix(Sigma_prime[l], W[l + 1], delta)
            exact = net.layers[l - 2].delta[:, i : i + 1]
            assert distance(delta, exact) < 1e-11
            assert distance(chapter2.error_as_product(l, Sigma_prime, W, grad_a_C), exact) < 1e-11


@few
@given(problems(ELEMENTWISE, most_examples=1))
def test_sigma_prime_matrix_does_what_the_hadamard_product_does(problem):
    net, X, Y = problem
    passed = chapter2.backpropagation(net, X, Y)
    for l, slope in slopes(net, passed).items():
        matrix = chapter2.sigma_prime_matrix(slope)
        np.testing.assert_array_equal(matrix, chapter2.activation_jacobian(net.layers[l - 2].activation, passed.z[l]))
        np.testing.assert_array_equal(matrix @ passed.a[l], chapter2.hadamard(slope, passed.a[l]))
        assert np.count_nonzero(matrix - np.diag(np.diag(matrix))) == 0


def test_the_jacobian_of_softmax_is_the_numeric_one(rng):
    softmax = mbbp.Network([1, 4], "softmax").layers[0].activation
    z = rng.standard_normal((4, 1))
    numeric = np.hstack([reference.softmax(z + 1e-30j * np.eye(4)[:, j : j + 1]).imag / 1e-30 for j in range(4)])
    assert distance(chapter2.activation_jacobian(softmax, z), numeric) < 1e-15


# -------------------------------------------------------------------------------------------------------- the algorithm


@few
@given(problems())
def test_backpropagation_is_the_engines_in_every_intermediate(problem):
    net, X, Y = problem
    gradient = net.gradient(X, Y)
    passed = chapter2.backpropagation(net, X, Y)
    np.testing.assert_array_equal(passed.a[1], X)
    for l, layer in enumerate(net.layers, 2):
        for found, exact in (
            (passed.z[l], layer.z),
            (passed.a[l], layer.a),
            (passed.delta[l], layer.delta),
            (passed.nabla_w[l], gradient.weights[l - 2]),
            (passed.nabla_b[l], gradient.biases[l - 2]),
        ):
            assert found.shape == exact.shape
            assert distance(found, exact) < 1e-12
    assert distance(passed.theta, gradient.theta) < 1e-12
    assert passed.cost == pytest.approx(gradient.cost, rel=1e-12)
    assert distance(passed.theta, reference.gradient(net, X, Y).theta) < 1e-12


@pytest.mark.parametrize(("output", "cost"), OUTPUTS)
def test_labels_and_saturated_outputs_are_taken_as_the_engine_takes_them(output, cost):
    net, X, _ = fixed((3, 4, 3), ["tanh", output], cost)
    net.layers[-1].W = 300 * net.layers[-1].W
    labels = [0, 2, 1, 1]
    passed, gradient = chapter2.backpropagation(net, X, labels), net.gradient(X, labels)
    assert distance(passed.theta, gradient.theta) < 1e-12
    assert passed.cost == pytest.approx(gradient.cost, rel=1e-12)


def test_a_users_own_functions_go_through_the_algorithm():
    own = mbbp.Activation("cube", lambda z: z * z * z, lambda z: 3 * z * z)
    fourth = mbbp.Cost("fourth", lambda a, y: (a - y) ** 4, lambda a, y: 4 * (a - y) ** 3)
    net, X, Y = fixed((3, 4, 2), [own, "tanh"], fourth)
    assert distance(chapter2.backpropagation(net, X, Y).theta, net.gradient(X, Y).theta) < 1e-12


def test_the_algorithm_prints_its_steps_with_their_numbers():
    net, X, Y = fixed((2, 3, 1), "sigmoid", m=2)
    passed = chapter2.backpropagation(net, X, Y)
    text = str(passed)
    assert [line[:2] for line in text.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3.", "4.", "5."]
    for equation in (
        "a^1 = X   (2, 2)",
        "z^2 = W^2 a^1 + b^2   (3, 2)",
        "a^3 = sigma(z^3), sigmoid   (1, 2)",
        "delta^3 = grad_a C ⊙ sigma'(z^3)   (1, 2)",
        "delta^2 = ((W^3)^T delta^3) ⊙ sigma'(z^2)   (3, 2)",
        "dC/dW^2 = 1/m delta^2 (a^1)^T   (3, 2)",
        "dC/db^3 = 1/m sum_x delta^3   (1, 1)",
    ):
        assert equation in text
    assert f"{passed.delta[3][0, 0]:.4f}".rstrip("0") in text
    assert repr(passed) == f"Backpropagation([2, 3, 1], m = 2, C = {passed.cost:.6g})"
    assert "4. Output" in str(chapter2.backpropagation(*fixed((2, 1), m=2)))  # no hidden layer, no step back


@few
@given(problems())
def test_a_step_of_gradient_descent_is_the_books(problem):
    net, X, Y = problem
    before = net.theta.copy()
    step = chapter2.gradient_descent_step(net, X, Y, 0.7)
    np.testing.assert_array_equal(net.theta, before)
    exact = reference.sgd(net, X, Y, [range(X.shape[1])], 0.7)
    assert distance(step.theta, exact) < 1e-12
    W, b = chapter2.parameters(net)
    for l in W:
        assert distance(step.W[l], W[l] - 0.7 * step.passed.nabla_w[l]) == 0
        assert distance(step.b[l], b[l] - 0.7 * step.passed.nabla_b[l]) == 0
    net.fit(X, Y, epochs=1, batch_size=X.shape[1], learning_rate=0.7, shuffle=False)
    assert distance(net.theta, step.theta) < 1e-12


def test_nothing_is_changed():
    net, X, Y = fixed()
    copies = net.theta.copy(), X.copy(), Y.copy(), net.rng.bit_generator.state
    chapter2.backpropagation(net, X, Y)
    chapter2.gradient_descent_step(net, X, Y, 1.0)
    chapter2.backpropagation_with_modified_neuron(net, X, Y, 2, 0, "sigmoid")
    chapter2.backpropagation_with_linear_neurons(net, X, Y)
    for now, before in zip((net.theta, X, Y), copies, strict=False):
        np.testing.assert_array_equal(now, before)
    assert net.rng.bit_generator.state == copies[3]
    assert [layer.z for layer in net.layers] == [None] * 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net, X, Y: chapter2.backpropagation("net", X, Y), "net: an mbbp.Network is wanted, got 'net'"),
        (lambda net, X, Y: chapter2.feedforward_by_matrix(None, X), "net: an mbbp.Network is wanted, got None"),
        (lambda net, X, Y: chapter2.backpropagation(net, X[:2], Y), "X: 3 rows are wanted"),
        (lambda net, X, Y: chapter2.backpropagation(net, X, Y[:, :2]), "Y: one target for each of the 4 columns"),
        (lambda net, X, Y: chapter2.feedforward_by_matrix(net, X[:2]), "X: 3 rows are wanted"),
        (lambda net, X, Y: chapter2.feedforward_by_index(net, X), r"X: a single example, of shape \(3, 1\), is wanted"),
        (lambda net, X, Y: chapter2.feedforward_by_vector(net, X), "X: a single example, .* got 4 columns"),
        (lambda net, X, Y: chapter2.gradient_descent_step(net, X, Y, -1), "learning_rate: a finite number above 0"),
        (lambda net, X, Y: chapter2.gradient_descent_step(net, X, Y, "x"), "learning_rate: a finite number above 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    net, X, Y = fixed()
    with pytest.raises((ValueError, TypeError), match=message):
        call(net, X, Y)


# -------------------------------------------------------------------------------------------------------- the exercises


def numeric_gradient(net, X, Y, functions):
    """Return the gradient by complex steps, neuron by neuron, where functions[l][j] is sigma of neuron j of layer l."""

    def cost(theta):
        weights, biases = mbbp.parameters.parameter_views(theta, net.sizes)
        total = 0.0
        for i in range(X.shape[1]):
            a = X[:, i]
            for l, (W, b) in enumerate(zip(weights, biases, strict=True), 2):
                z = np.array([sum(W[j, k] * a[k] for k in range(a.size)) + b[j, 0] for j in range(W.shape[0])])
                a = np.array([functions[l][j](z[j : j + 1])[0] for j in range(z.size)])
            total += net.cost_function.function(z[:, None], a[:, None], Y[:, i : i + 1])[0]
        return total / X.shape[1]

    steps = 1e-30j * np.eye(net.theta.size)
    return np.array([cost(net.theta + step).imag / 1e-30 for step in steps])


@pytest.mark.parametrize("f", ["sigmoid", "relu", "identity", "tanh"])
@pytest.mark.parametrize(("l", "j"), [(2, 0), (2, 3), (3, 1), (4, 1)])
def test_a_modified_neuron_changes_what_the_numeric_derivative_says(l, j, f):
    net, X, Y = fixed((2, 4, 3, 2), "tanh", m=3)
    found = chapter2.backpropagation_with_modified_neuron(net, X, Y, l, j, f)
    functions = {n: [reference.tanh] * net.sizes[n - 1] for n in (2, 3, 4)}
    functions[l][j] = getattr(reference, f)
    assert distance(found.theta, numeric_gradient(net, X, Y, functions)) < 1e-12
    plain = net.gradient(X, Y).theta
    assert (distance(found.theta, plain) < 1e-12) == (f == "tanh")  # with sigma for f nothing changes
    assert f"tanh, but for neuron {j}, {f}" in str(found)


def test_a_modified_neuron_among_linear_ones_leaves_the_weighted_inputs_as_they_are():
    net, X, Y = fixed((2, 3, 2), "identity")
    found = chapter2.backpropagation_with_modified_neuron(net, X, Y, 2, 1, "tanh")
    np.testing.assert_array_equal(found.z[2], chapter2.feedforward_by_matrix(net, X).z[2])
    np.testing.assert_array_equal(found.a[2][1], np.tanh(found.z[2][1]))


def test_a_modified_neuron_alone_in_its_layer_is_a_layer_of_its_own_activation():
    net, X, Y = fixed((3, 4, 1, 2), "tanh")
    other, *_ = fixed((3, 4, 1, 2), ["tanh", "sigmoid", "tanh"])
    found = chapter2.backpropagation_with_modified_neuron(net, X, Y, 3, 0, "sigmoid")
    assert distance(found.theta, other.gradient(X, Y).theta) < 1e-12
    own = mbbp.Activation("cube", lambda z: z * z * z, lambda z: 3 * z * z)
    other, *_ = fixed((3, 4, 1, 2), ["tanh", own, "tanh"])
    found = chapter2.backpropagation_with_modified_neuron(net, X, Y, 3, 0, own)
    assert distance(found.theta, other.gradient(X, Y).theta) < 1e-12


@pytest.mark.parametrize(("output", "cost"), [("sigmoid", "cross_entropy"), ("softmax", "log_likelihood")])
def test_a_hidden_neuron_may_be_modified_whatever_the_cost(output, cost):
    net, X, Y = fixed((2, 3, 1, 3), ["tanh", "tanh", output], cost)
    other, *_ = fixed((2, 3, 1, 3), ["tanh", "relu", output], cost)
    found = chapter2.backpropagation_with_modified_neuron(net, X, Y, 3, 0, "relu")
    assert distance(found.theta, other.gradient(X, Y).theta) < 1e-12
    with pytest.raises(ValueError, match=r"l: .* a hidden layer \(2 to 3\) is wanted, got the output layer 4"):
        chapter2.backpropagation_with_modified_neuron(net, X, Y, 4, 0, "relu")


@pytest.mark.parametrize(
    ("l", "j", "f", "message"),
    [
        (1, 0, "relu", "l: 2 or more is wanted, got 1"),
        (5, 0, "relu", "l: a layer from 2 to 4 is wanted, got 5"),
        (2.5, 0, "relu", "l: a whole number is wanted"),
        (2, 4, "relu", "j: layer 2 has neurons 0 to 3, got 4"),
        (2, -1, "relu", "j: 0 or more is wanted"),
        (2, 0, "swish", "f: unknown name 'swish'"),
        (2, 0, "softmax", "f: softmax is no function of one neuron"),
        (2, 0, None, "f: a name or an mbbp.Activation is wanted"),
    ],
)
def test_a_neuron_that_is_not_there_is_refused(l, j, f, message):
    net, X, Y = fixed()
    with pytest.raises((ValueError, TypeError), match=message):
        chapter2.backpropagation_with_modified_neuron(net, X, Y, l, j, f)


@few
@given(problems([("identity", "quadratic"), ("tanh", "quadratic")]))
def test_linear_neurons_are_the_engines_with_the_identity(problem):
    net, X, Y = problem
    linear = mbbp.Network(net.sizes, "identity", dtype="float64")
    linear.theta = net.theta
    gradient = linear.gradient(X, Y)
    found = chapter2.backpropagation_with_linear_neurons(net, X, Y)
    assert distance(found.theta, gradient.theta) < 1e-12
    assert found.cost == pytest.approx(gradient.cost, rel=1e-12)
    for l, layer in enumerate(linear.layers, 2):
        assert distance(found.delta[l], layer.delta) < 1e-12
        np.testing.assert_array_equal(found.z[l], found.a[l])


def test_linear_neurons_want_a_cost_that_takes_them():
    net, X, Y = fixed(activation="sigmoid", cost="cross_entropy")
    with pytest.raises(
        ValueError, match="net: a cost that takes linear outputs, as quadratic does, is wanted, got cross_"
    ):
        chapter2.backpropagation_with_linear_neurons(net, X, Y)
