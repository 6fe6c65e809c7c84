"""The findings: each of them for a network that has this fault, and none for a healthy network."""

import numpy as np
import pytest

import mbbp
from tests.conftest import JIT
from tests.networks import healthy, kinds


@pytest.mark.parametrize(
    ("activation", "cost"),
    [("tanh", "quadratic"), ("sigmoid", "cross_entropy"), (["tanh", "tanh", "softmax"], "log_likelihood")],
)
def test_a_healthy_network_has_no_findings(activation, cost):
    diagnosis = mbbp.diagnose(*healthy(activation=activation, cost=cost))
    assert diagnosis.findings == []
    assert str(diagnosis).endswith("nothing stands out")


def test_large_weights_saturate_their_layer():
    net, X, Y = healthy()
    net.layers[1].W = 30 * net.layers[1].W
    assert kinds(mbbp.diagnose(net, X, Y)) == {"saturated": (3,)}


def test_large_inputs_are_found_with_the_layer_that_they_saturate():
    net, X, Y = healthy()
    diagnosis = mbbp.diagnose(net, 100 * X, Y)
    assert kinds(diagnosis)["large inputs"] == (2,)
    assert kinds(diagnosis)["saturated"] == (2,)
    assert f"{np.sqrt(np.mean((100 * X) ** 2)):.3g}" in str(diagnosis)
    assert "large inputs" not in kinds(mbbp.diagnose(net, 2 * X, Y))


def test_low_inputs_are_found_for_data_and_for_hidden_layers():
    net, X, Y = healthy()
    diagnosis = mbbp.diagnose(net, 0.01 * X, Y)
    assert kinds(diagnosis)["low inputs"] == (2, 3, 4)  # without biases, tanh layers pass low activations on
    assert "inputs scaled" in diagnosis.findings[0].advice
    net, X, Y = healthy(activation=["sigmoid", "tanh", "tanh"])
    net.layers[0].b = net.layers[0].b - 6
    diagnosis = mbbp.diagnose(net, X, Y)
    assert kinds(diagnosis)["low inputs"][0] == 3
    assert "larger initial weights for layer 2" in str(diagnosis)


@pytest.mark.parametrize(("activation", "advice"), [("sigmoid", "cross_entropy"), ("softmax", "log_likelihood")])
def test_saturated_and_wrong_outputs_are_found_unless_the_cost_cancels_sigma_prime(activation, advice):
    net, X, _ = healthy(activation=["tanh", "tanh", activation])
    net.layers[-1].W = 100 * net.layers[-1].W
    right = net.classify(X)
    wrong = (right + 1) % 3
    diagnosis = mbbp.diagnose(net, X, wrong)
    assert kinds(diagnosis)["saturated outputs"] == (4,)
    assert f"try the {advice} cost" in str(diagnosis)
    other = mbbp.Network(net.sizes, ["tanh", "tanh", activation], advice, "float64")
    other.theta = net.theta
    assert "saturated outputs" not in kinds(mbbp.diagnose(other, X, wrong))
    if activation == "softmax":  # the outputs are saturated, but right
        assert "saturated outputs" not in kinds(mbbp.diagnose(net, X, right))


def test_a_few_wrong_outputs_are_no_finding():
    net, X, _ = healthy((8, 6, 3), ["tanh", "softmax"], m=100)
    net.layers[-1].W = 300 * net.layers[-1].W
    labels = net.classify(X)
    labels[:4] = (labels[:4] + 1) % 3
    assert "saturated outputs" not in kinds(mbbp.diagnose(net, X, labels))
    labels[4:12] = (labels[4:12] + 1) % 3
    assert "saturated outputs" in kinds(mbbp.diagnose(net, X, labels))


def test_for_dead_outputs_other_output_layers_are_advised():
    net, X, Y = healthy(activation=["tanh", "tanh", "relu"])
    net.layers[-1].b = net.layers[-1].b - 50
    found = kinds(mbbp.diagnose(net, X, Y + 1))
    assert found["dead"] == (4,)
    assert found["saturated outputs"] == (4,)
    assert "identity outputs for numbers" in mbbp.diagnose(net, X, Y + 1).findings[-1].advice


def test_only_relus_that_are_off_for_all_examples_are_dead():
    net, X, Y = healthy((8, 20, 3), ["relu", "identity"], initializer="he")
    before = mbbp.diagnose(net, X, Y)
    assert before.layers[0].saturated > 0.25
    assert kinds(before) == {}
    net.layers[0].b[:3] = -100
    diagnosis = mbbp.diagnose(net, X, Y)
    assert kinds(diagnosis) == {"dead": (2,)}
    assert diagnosis.layers[0].stuck == 3
    assert "3 of 20 neurons are off for all 60 examples" in " ".join(str(diagnosis).split())


def test_the_gradient_of_a_deep_sigmoid_network_vanishes():
    net, X, Y = healthy((8, *[10] * 6, 3), "sigmoid")
    diagnosis = mbbp.diagnose(net, X, Y)
    last = diagnosis.layers[-1].error
    layers = tuple(row.l for row in diagnosis.layers[:-1] if row.error < last / 100)
    assert len(layers) >= 2
    assert kinds(diagnosis) == {"vanishing": layers}
    least = min(row.error for row in diagnosis.layers)
    assert f"{least:.1e}, 1/{last / least:,.0f} of the output layer's {last:.1e}" in " ".join(str(diagnosis).split())


def test_an_error_of_0_is_a_vanishing_gradient():
    net, X, Y = healthy()
    net.layers[2].W = 0 * net.layers[2].W
    diagnosis = mbbp.diagnose(net, X, Y)
    assert kinds(diagnosis)["vanishing"] == (2, 3)
    assert "nothing of the output layer's" in " ".join(str(diagnosis).split())


def test_with_large_relu_weights_the_gradient_explodes():
    net, X, Y = healthy((8, *[30] * 5, 3), [*["relu"] * 5, "identity"], initializer="large")
    diagnosis = mbbp.diagnose(net, X, Y)
    assert 2 in kinds(diagnosis)["exploding"]
    assert "times the output layer's" in " ".join(str(diagnosis).split())


def test_a_gradient_much_larger_than_the_weights_is_exploding():
    net, X, Y = healthy(activation=["tanh", "tanh", "identity"])
    assert kinds(mbbp.diagnose(net, X, Y)) == {}
    found = mbbp.diagnose(net, X, 1000 * Y)
    assert 4 in kinds(found)["exploding"]
    assert "times as long as |W|" in " ".join(str(found).split())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_a_finding(value):
    net, X, Y = healthy()
    net.layers[1].W[0, 0] = value
    diagnosis = mbbp.diagnose(net, X, Y)
    assert list(kinds(diagnosis)) == ["not finite"]
    assert 3 in kinds(diagnosis)["not finite"]
    assert "clip_norm" in str(diagnosis)


def test_a_custom_activation_is_measured_by_its_derivative():
    custom = mbbp.Activation("soft", lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2)
    net, X, Y = healthy(activation=[custom, "tanh", "tanh"])
    assert kinds(mbbp.diagnose(net, X, Y)) == {}
    net.layers[0].W = 1000 * net.layers[0].W
    assert kinds(mbbp.diagnose(net, X, Y))["saturated"] == (2,)


@pytest.mark.skipif(not JIT, reason="training needs compiled kernels")
def test_the_advice_for_saturated_outputs_helps():
    """From large initial weights, a network learns fast with the cross-entropy and slowly with the quadratic cost."""
    data = mbbp.datasets.load_digits()
    networks = {
        cost: mbbp.Network(
            [64, 10],
            "sigmoid",
            cost,
            initializer=lambda rng, n_in, n_out: (rng.standard_normal((n_out, n_in)), np.full((n_out, 1), 20.0)),
            rng=0,
        )
        for cost in ("quadratic", "cross_entropy")
    }
    assert "saturated outputs" in kinds(mbbp.diagnose(networks["quadratic"], data.x_train, data.y_train))
    assert "saturated outputs" not in kinds(mbbp.diagnose(networks["cross_entropy"], data.x_train, data.y_train))
    for net in networks.values():
        net.fit(data.x_train, data.y_train, epochs=2, learning_rate=0.5)
    slow, fast = (networks[cost].accuracy(data.x_test, data.y_test) for cost in ("quadratic", "cross_entropy"))
    assert fast > 0.85
    assert slow < 0.5
