"""A part of the training data is held out for validation."""

import numpy as np
import pytest

import mbbp
from mbbp.subsets import split
from tests.problems import N, continuous, labelled, network


@pytest.mark.parametrize("problem", [labelled, continuous])
@pytest.mark.parametrize("shuffle", [True, False])
def test_it_trains_on_the_rest_and_scores_the_part(problem, shuffle):
    X, Y = problem()
    chosen, held_out = split(N, None, 0.3)
    net, by_hand = network(), network()
    weights = np.linspace(1, 2, N)
    net.fit(X, Y, epochs=3, batch_size=4, l2=0.1, shuffle=shuffle, validation_split=0.3, example_weights=weights)
    by_hand.fit(
        X[:, chosen],
        Y[..., chosen],
        epochs=3,
        batch_size=4,
        l2=0.1,
        shuffle=shuffle,
        validation_data=(X[:, held_out], Y[..., held_out]),
        example_weights=weights[chosen],
    )
    np.testing.assert_allclose(net.theta, by_hand.theta, rtol=0, atol=1e-13)
    assert net.history["training_cost"] == pytest.approx(by_hand.history["training_cost"], rel=1e-12)
    weighted = network()
    weighted.theta = net.theta
    score = weighted.cost(X[:, held_out], Y[..., held_out], example_weights=weights[held_out])
    assert net.history["validation_cost"][-1] == pytest.approx(score, rel=1e-12)
    assert net.history["validation_accuracy"] == by_hand.history["validation_accuracy"]


def test_a_further_call_holds_the_same_examples_out():
    X, y = labelled()
    net, at_once = network(), network()
    for _ in range(2):
        net.fit(X, y, epochs=2, validation_split=0.2)
    at_once.fit(X, y, epochs=4, validation_split=0.2)
    assert net.theta.tobytes() == at_once.theta.tobytes()


@pytest.mark.parametrize(("n", "fraction", "size"), [(10, 0.2, 2), (10, 0.01, 1), (2, 0.99, 1), (7, 0.99, 6)])
def test_both_parts_have_examples_and_every_example_has_a_part(n, fraction, size):
    chosen, held_out = split(n, None, fraction)
    assert held_out.size == size
    assert sorted([*chosen, *held_out]) == list(range(n))


def test_balanced_weights_count_the_training_part():
    X, y = labelled()
    chosen, _held_out = split(N, None, 0.3)
    net, by_hand = network(), network()
    net.fit(X, y, epochs=1, validation_split=0.3, class_weights="balanced")
    by_hand.fit(X[:, chosen], y[chosen], epochs=1, class_weights="balanced")
    np.testing.assert_allclose(net.theta, by_hand.theta, rtol=0, atol=1e-13)


def test_early_stopping_watches_it():
    X, y = labelled()
    net = network()
    net.fit(X, y, epochs=500, learning_rate=5.0, validation_split=0.3, early_stopping=2)
    assert len(net.history) < 500
    costs = net.history["validation_cost"]
    _, held_out = split(N, None, 0.3)
    assert net.cost(X[:, held_out], y[held_out]) == pytest.approx(min(costs), rel=1e-12)


@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (1, ValueError), (-0.1, ValueError), (np.nan, ValueError), ("0.1", TypeError)]
)
def test_a_fraction_that_makes_no_sense(value, error):
    net = network()
    with pytest.raises(error, match="validation_split: expected a finite number above 0 and below 1"):
        net.fit(*labelled(), validation_split=value)
    with pytest.raises(ValueError, match="validation_split: expected None with validation_data, got both"):
        net.fit(*labelled(), validation_split=0.1, validation_data=labelled())
    with pytest.raises(ValueError, match="validation_split: expected at least two examples to split, got 1"):
        mbbp.Network([4, 5, 3]).fit(np.zeros((4, 1)), [0], validation_split=0.5)
