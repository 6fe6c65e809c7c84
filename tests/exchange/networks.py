"""Networks of every kind for the tests of formats, and the distance between outputs."""

import numpy as np

import mbbp
from mbbp.activations import ACTIVATIONS

DTYPES = ["float32", "float64"]
SCALINGS = {
    "unscaled": None,
    "factor": 1 / 16,
    "factors": mbbp.Scaling(factor=[2.0, 0.5, -3.0]),
    "standardized": mbbp.Scaling([0.1, -2.0, 30.0], [2.0, 0.5, 0.01]),
}
SCHEMAS = {
    "no schema": None,
    "texts": mbbp.Schema([mbbp.Column("a"), mbbp.Column("c", ["x", "y"])], ["zero", "one", "two"], ["kind"]),
    "numbers": mbbp.Schema(classes=["10", "-3", "7"]),
    "numbers that are texts": mbbp.Schema(classes=["01", "2", "3"]),
}
OUTPUT_COSTS = {
    "softmax": ["log_likelihood", "quadratic"],
    "sigmoid": ["cross_entropy", "quadratic"],
    "exp": ["poisson"],
    "identity": ["quadratic", "absolute", "squared_hinge", mbbp.costs.huber(0.3), mbbp.costs.quantile(0.9)],
    "tanh": ["quadratic"],
}
HIDDEN = [name for name in ACTIVATIONS if name not in ("softmax", "exp")]
EVERY_ACTIVATION = [*((name, name) for name in HIDDEN), ("tanh", "softmax"), ("tanh", "exp")]
"""A hidden activation and an output activation: every activation of the package is there."""


def made(sizes=(3, 5, 3), hidden="tanh", output="softmax", cost=None, dtype="float32", scaling=None, **options):
    """Return a network whose biases are not 0, and whose weighted inputs are of the order of 1."""
    activation = [hidden] * (len(sizes) - 2) + [output]
    net = mbbp.Network(sizes, activation, cost, dtype, rng=len(sizes) + sum(sizes), scaling=scaling, **options)
    rng = np.random.default_rng(1)
    for layer in net.layers:
        layer.b = rng.standard_normal(layer.b.shape)
    return net


def inputs(net, m=9, seed=0):
    """Return inputs (n_in, m), in the dtype of the network."""
    return np.random.default_rng(seed).standard_normal((net.sizes[0], m)).astype(net.dtype)


def rows(X):
    """Return the inputs as other programs want them: one example per row, in C order."""
    return np.ascontiguousarray(X.T)


def difference(found, exact):
    """Return the largest difference, relative to the largest output if this is above 1."""
    found, exact = np.asarray(found), np.asarray(exact)
    assert found.shape == exact.shape
    assert found.dtype == exact.dtype
    return np.abs(found - exact).max() / max(1.0, np.abs(exact).max())


def tolerance(net):
    """Return how far outputs may be apart, in the measure of `difference`."""
    return 2e-6 if net.dtype == np.float32 else 1e-14


def assert_same(found, net):
    """Check that two networks compute the same to the bit, and that the same is known of both."""
    X = inputs(net)
    assert found.sizes == net.sizes
    assert found.dtype == net.dtype
    assert np.array_equal(found.theta, net.theta)
    assert np.array_equal(found.feedforward(X), net.feedforward(X))
    assert [one.activation.name for one in found.layers] == [one.activation.name for one in net.layers]
    assert found.cost_function == net.cost_function
    assert found.engine.dropout == net.engine.dropout
    assert found.schema == net.schema
    assert found.metadata == net.metadata
