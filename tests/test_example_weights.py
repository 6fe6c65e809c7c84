"""The weights of examples and of classes: factors of each example's cost."""

import numpy as np
import pytest

import mbbp
from tests.problems import N, continuous, figures, labelled, mini_batches, network

RATE = 0.3


def one_step(X, y, learning_rate=RATE, **options):
    """Return the parameters after a single step over all examples."""
    net = network()
    net.fit(X, y, epochs=1, batch_size=X.shape[1], learning_rate=learning_rate, **options)
    return net.theta


def test_a_step_is_the_references():
    X, y = labelled()
    weights = np.random.default_rng(3).uniform(0, 3, N)
    net = network()
    expected = net.theta - RATE * mbbp.reference.gradient(net, X, y, weights).theta
    np.testing.assert_allclose(one_step(X, y, example_weights=weights), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_each_weight_goes_with_its_example_through_the_shuffle(optimizer):
    X, y = labelled()
    weights = np.random.default_rng(3).uniform(0, 3, N)
    net, by_hand = network(), network()
    for batch in mini_batches(net.rng, N, 5, 2):
        by_hand.fit(
            X[:, batch],
            y[batch],
            epochs=1,
            batch_size=5,
            shuffle=False,
            learning_rate=RATE,
            optimizer=optimizer,
            example_weights=weights[batch],
        )
    net.fit(X, y, epochs=2, batch_size=5, learning_rate=RATE, optimizer=optimizer, example_weights=weights)
    np.testing.assert_allclose(net.theta, by_hand.theta, rtol=0, atol=1e-13)


def test_weight_2_is_as_good_as_the_example_twice():
    X, y = labelled()
    columns = np.append(np.arange(N), [4, 9])
    weights = np.bincount(columns)
    twice = one_step(X[:, columns], y[columns], learning_rate=RATE * (N + 2) / N)  # a mean over N + 2, not N
    np.testing.assert_allclose(one_step(X, y, example_weights=weights), twice, rtol=0, atol=1e-14)


def test_weight_0_is_as_good_as_no_example():
    X, y = labelled()
    weights = np.ones(N)
    weights[5] = 0
    without = one_step(np.delete(X, 5, axis=1), np.delete(y, 5), learning_rate=RATE * (N - 1) / N)
    np.testing.assert_allclose(one_step(X, y, example_weights=weights), without, rtol=0, atol=1e-14)


def test_weights_of_1_change_no_bit():
    X, y = labelled()
    assert one_step(X, y, example_weights=np.ones(N)).tobytes() == one_step(X, y).tobytes()


def test_the_recorded_cost_is_the_weighted_one():
    X, y = labelled()
    weights = np.linspace(0, 2, N)
    net = network()
    expected = net.cost(X, y, example_weights=weights)
    history = net.fit(X, y, epochs=1, batch_size=N, example_weights=weights)
    assert history[0].training_cost == pytest.approx(expected, rel=1e-12)


# ------------------------------------------------------------------------------------------------------------- classes

SKEWED = np.array([0] * 14 + [1] * 7 + [2] * 2)
BALANCED = [N / (3 * 14), N / (3 * 7), N / (3 * 2)]


@pytest.mark.parametrize(
    ("class_weights", "factors"),
    [
        ({0: 2.0, 2: 0.5}, [2, 1, 0.5]),
        ({}, [1, 1, 1]),
        ({np.int64(1): 0}, [1, 0, 1]),
        ({1.0: 3}, [1, 3, 1]),
        ([2, 1, 0.5], [2, 1, 0.5]),
        (np.array([0.0, 0.0, 1.0]), [0, 0, 1]),
        ("balanced", BALANCED),
    ],
    ids=str,
)
@pytest.mark.parametrize("own", [None, np.linspace(0.5, 2, N)], ids=["alone", "with example_weights"])
@pytest.mark.parametrize("as_vectors", [False, True])
def test_a_class_weight_is_that_of_its_examples(class_weights, factors, own, as_vectors):
    X = continuous()[0]
    weights = np.array(factors)[SKEWED] * (1 if own is None else own)
    y = np.eye(3)[:, SKEWED] if as_vectors else SKEWED
    by_class, by_example = network(), network()
    one = by_class.fit(X, y, epochs=2, class_weights=class_weights, example_weights=own)
    other = by_example.fit(X, y, epochs=2, example_weights=weights)
    assert by_class.theta.tobytes() == by_example.theta.tobytes()
    assert figures(one) == figures(other)


def test_balanced_means_that_every_class_has_the_same_say():
    shares = np.bincount(SKEWED, weights=np.array(BALANCED)[SKEWED])
    np.testing.assert_allclose(shares, N / 3)


def test_balanced_leaves_a_missing_class_out():
    X, y = continuous()[0], np.array([0] * 20 + [2] * 3)
    weights = np.where(y == 0, N / (2 * 20), N / (2 * 3))
    assert one_step(X, y, class_weights="balanced").tobytes() == one_step(X, y, example_weights=weights).tobytes()


@pytest.mark.parametrize("class_weights", [{1: 4.0}, [1, 4], "balanced"], ids=str)
def test_a_single_output_tells_two_classes_apart(class_weights):
    X, y = labelled()[0], np.array([0, 1, 0, 0, 0] * 4 + [0, 0, 1])
    factors = [N / (2 * 18), N / (2 * 5)] if class_weights == "balanced" else [1, 4]
    nets = [mbbp.Network([4, 3, 1], dtype="float64", rng=0) for _ in range(2)]
    nets[0].fit(X, y, epochs=1, class_weights=class_weights)
    nets[1].fit(X, y, epochs=1, example_weights=np.array(factors)[y])
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"example_weights": np.ones(N - 1)}, ValueError, "example_weights: expected 23 numbers"),
        ({"example_weights": np.ones((1, N))}, ValueError, r"example_weights: expected 23 numbers.*\(1, 23\)"),
        ({"example_weights": np.zeros(N)}, ValueError, "example_weights: .*not all of them 0"),
        ({"example_weights": -np.ones(N)}, ValueError, "example_weights: expected finite numbers of at least 0"),
        ({"example_weights": np.full(N, np.nan)}, ValueError, "example_weights: expected finite numbers"),
        ({"example_weights": ["1"] * N}, TypeError, "example_weights: expected real numbers"),
        ({"class_weights": {3: 1.0}}, ValueError, "class_weights: expected labels from 0 to 2, got 3"),
        ({"class_weights": {"a": 1.0}}, ValueError, "class_weights: expected labels from 0 to 2, got 'a'"),
        ({"class_weights": {1: -1.0}}, ValueError, r"class_weights\[1\]: .*at least 0"),
        ({"class_weights": {1: "many"}}, TypeError, r"class_weights\[1\]: "),
        ({"class_weights": {0: 0, 1: 0, 2: 0}}, ValueError, "class_weights: .*not all of them 0"),
        ({"class_weights": [1, 2]}, ValueError, "class_weights: expected 3 numbers"),
        ({"class_weights": [1, 2, np.inf]}, ValueError, "class_weights: expected finite numbers"),
        ({"class_weights": "fair"}, ValueError, "class_weights: expected 'balanced'.*got 'fair'"),
    ],
    ids=str,
)
def test_weights_that_make_no_sense_are_refused(options, error, message):
    net = network()
    before = net.theta.copy()
    with pytest.raises(error, match=message):
        net.fit(*labelled(), **options)
    np.testing.assert_array_equal(net.theta, before)
    assert len(net.history) == 0


CANCELLED = {
    "a subset without weights": ({"subset": np.flatnonzero(SKEWED == 0)}, np.where(SKEWED == 0, 0.0, 1.0), None),
    "a subset of a class without weight": ({"subset": np.flatnonzero(SKEWED == 0)}, None, {0: 0.0}),
    "what is not held out": ({"validation_split": np.flatnonzero(SKEWED != 0)}, None, {0: 0.0}),
    "weights and classes": ({}, np.where(SKEWED == 0, 0.0, 1.0), [1.0, 0.0, 0.0]),
}


@pytest.mark.parametrize(("part", "weights", "class_weights"), CANCELLED.values(), ids=CANCELLED)
def test_what_counts_for_nothing_is_not_trained_on(part, weights, class_weights):
    X, net = np.random.default_rng(0).random((4, N)), mbbp.Network([4, 5, 3], rng=0)
    before = net.theta.tobytes()
    argument = "class_weights" if class_weights else "example_weights"
    with pytest.raises(ValueError, match=rf"{argument}: expected numbers .*, not all of them 0, got zeros"):
        net.fit(X, SKEWED, epochs=1, example_weights=weights, class_weights=class_weights, **part)
    assert (net.theta.tobytes(), len(net.history)) == (before, 0)


def test_class_weights_want_classes():
    with pytest.raises(ValueError, match="class_weights: expected labels or unit vectors as y, got other targets"):
        network().fit(*continuous(), class_weights="balanced")


@pytest.mark.parametrize("weight", [1e39, 1e-60])
def test_factors_that_float32_does_not_hold_are_refused(weight):
    net = mbbp.Network([2, 2], rng=0)
    with pytest.raises(ValueError, match="example_weights: expected finite numbers"):
        net.cost(np.zeros((2, 2)), [0, 1], example_weights=[weight, weight])
