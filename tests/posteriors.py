"""Networks with a likelihood, and their Laplace approximation by explicit matrices in NumPy, for several test files."""

import math

import numpy as np
import pytest

import mbbp
from mbbp import reference
from tests.derivatives import problem

EXACT = 1e-10
WHICH = pytest.mark.parametrize("parameters", ["all", "last_layer"])
LIKELIHOODS = {
    "identity": ("identity", "quadratic"),
    "sigmoid numbers": ("sigmoid", "quadratic"),
    "softmax numbers": ("softmax", "quadratic"),
    "sigmoid": ("sigmoid", "cross_entropy"),
    "softmax": ("softmax", "log_likelihood"),
    "exp": ("exp", "poisson"),
}
OF_ALL = pytest.mark.parametrize("kind", LIKELIHOODS)
PRIOR, NOISE = 0.7, 0.3


def made(kind, sizes=(3, 5, 4, 3), dtype="float64", m=40, scaled="standardized", seed=0):
    """Return a network, inputs, targets that fit, and the settings of the two hyperparameters."""
    output, cost = LIKELIHOODS[kind]
    net, X, _, rng = problem(list(sizes), [*["tanh"] * (len(sizes) - 2), output], cost, dtype, m, seed, scaled)
    if cost == "quadratic":
        Y = net.feedforward(X) + 0.5 * rng.standard_normal((sizes[-1], m))
    elif cost == "log_likelihood":
        Y = rng.integers(0, sizes[-1], m)
    else:
        Y = rng.integers(0, 2 if cost == "cross_entropy" else 5, (sizes[-1], m)).astype(float)
    fixed = {"prior_precision": PRIOR, **({"noise_variance": NOISE} if cost == "quadratic" else {})}
    return net, X, Y, fixed


def with_identity_outputs(net):
    """Return a network in float64 whose outputs are the weighted inputs z^L of another one."""
    activations = [layer.activation for layer in net.layers[:-1]]
    other = mbbp.Network(net.sizes, [*activations, "identity"], "quadratic", "float64", scaling=net.scaling)
    other.theta = net.theta
    return other


class Explicit:
    """The same from the Jacobian of the oracle: all matrices in full, and inverted."""

    def __init__(self, net, X, Y, parameters, prior, noise):
        self.net, self.cost, self.noise = net, net.cost_function.name, noise
        n_last = net.sizes[-1] * (net.sizes[-2] + 1)
        self.chosen = slice(None) if parameters == "all" else slice(-n_last, None)
        y = reference.unit_vectors(Y, net.sizes[-1])
        f, J = self.function(X)
        theta = np.asarray(net.theta, np.float64)[self.chosen]
        H = sum(J[:, i].T @ self.second(f[:, i], y[:, i]) @ J[:, i] for i in range(X.shape[1]))
        self.S = np.linalg.inv(H + prior * np.eye(theta.size))
        determinant = np.linalg.slogdet(H / prior + np.eye(theta.size))[1]
        self.log = self.log_likelihood(f, y) - 0.5 * (prior * theta @ theta + determinant)
        self.gamma = np.trace(H @ self.S)

    def function(self, X):
        of = self.net if self.cost == "quadratic" else with_identity_outputs(self.net)
        return reference.feedforward(of, X)[1][-1], reference.jacobian(of, X)[..., self.chosen]

    def second(self, f, y):
        if self.cost == "quadratic":
            return np.eye(f.size) / self.noise
        if self.cost == "log_likelihood":
            a = np.exp(f) / np.exp(f).sum()
            return np.diag(a) - np.outer(a, a)
        return np.diag(np.exp(f) if self.cost == "poisson" else np.exp(f) / (1 + np.exp(f)) ** 2)

    def log_likelihood(self, f, y):
        if self.cost == "quadratic":
            return (-0.5 * (f - y) ** 2 / self.noise - 0.5 * np.log(2 * np.pi * self.noise)).sum()
        if self.cost == "poisson":
            return (y * f - np.exp(f) - np.vectorize(math.lgamma)(y + 1)).sum()
        if self.cost == "log_likelihood":
            return (y * np.log(np.exp(f) / np.exp(f).sum(axis=0))).sum()
        return (y * f - np.logaddexp(0, f)).sum()

    def predict(self, X):
        f, J = self.function(X)
        v = np.array([[J[k, i] @ self.S @ J[k, i] for i in range(X.shape[1])] for k in range(len(f))])
        if self.cost == "quadratic":
            return f, v, v + self.noise
        if self.cost == "poisson":
            mean = np.exp(f + v / 2)
            return mean, v, mean + (np.exp(v) - 1) * np.exp(2 * f + v)
        moderated = f / np.sqrt(1 + np.pi * v / 8)
        mean = 1 / (1 + np.exp(-moderated))
        if self.cost == "log_likelihood":
            mean = np.exp(moderated) / np.exp(moderated).sum(axis=0)
        return mean, v, mean * (1 - mean)


def assert_close(found, exact, tolerance=EXACT):
    assert np.shape(found) == np.shape(exact)
    assert np.abs(found - exact).max() <= tolerance * (1.0 + np.abs(exact).max())
