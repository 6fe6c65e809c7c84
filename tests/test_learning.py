"""Networks learn small classic problems."""

import numpy as np
import pytest

import mbbp
from mbbp.solvers import OPTIMIZERS
from tests.conftest import JIT

BITS = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
XOR = np.array([0, 1, 1, 0])


@pytest.mark.parametrize(
    ("sizes", "options", "training"),
    [
        ([2, 4, 1], {"cost": "cross_entropy"}, {"learning_rate": 1.0}),
        ([2, 4, 2], {"activation": ["tanh", "softmax"], "cost": "log_likelihood"}, {"learning_rate": 0.5}),
        ([2, 6, 1], {"activation": ["tanh", "sigmoid"]}, {"optimizer": "adam", "learning_rate": 0.03}),
    ],
    ids=str,
)
def test_xor(sizes, options, training):
    net = mbbp.Network(sizes, dtype="float64", rng=0, **options)
    history = net.fit(BITS, XOR, epochs=1000, batch_size=4, **training)
    np.testing.assert_array_equal(net.classify(BITS), XOR)
    assert net.accuracy(BITS, XOR) == history[-1].training_accuracy == 1.0


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_a_wave(optimizer):
    x = np.linspace(-np.pi, np.pi, 60).reshape(1, -1)
    net = mbbp.Network([1, 12, 1], activation=["tanh", "identity"], dtype="float64", rng=3)
    net.fit(x, np.sin(x), epochs=200, learning_rate=mbbp.schedules.Cosine(0.05, 200), optimizer=optimizer)
    error = net.feedforward(x) - np.sin(x)
    assert np.sqrt((error**2).mean()) < 0.02


@pytest.mark.skipif(not JIT, reason="needs compiled kernels")
@pytest.mark.parametrize(
    ("options", "training"),
    [
        ({}, {"learning_rate": 3.0}),
        ({"cost": "cross_entropy"}, {"learning_rate": 0.5, "l2": 0.1}),
        *[({"activation": ["relu", "softmax"], "cost": "log_likelihood"}, {"optimizer": name}) for name in OPTIMIZERS],
    ],
    ids=str,
)
def test_digits(options, training):
    data = mbbp.datasets.load_digits()
    net = mbbp.Network([64, 30, 10], rng=0, scaling=data.scaling, **options)
    net.fit(data.x_train, data.y_train, epochs=30, **training)
    assert net.accuracy(data.x_test, data.y_test) >= 0.95
