"""The Levenberg-Marquardt method in NumPy, with the Jacobian of the oracle, for the tests."""

import copy

import numpy as np

from mbbp import reference
from tests.problems import is_weight

LARGEST_RATIO, PROBE = 0.75, 0.1


class Prototype:
    """Steps with J written out, and H. B. Nielsen's rule for the damping, on a copy of a network."""

    def __init__(self, net, X, Y, *, damping=1e-4, scaling=False, acceleration=True, l2=0.0, weights=None):
        self.net, self.X, self.Y = copy.deepcopy(net), X, Y
        self.first_damping, self.has_scaling, self.accelerates = damping, scaling, acceleration
        self.weights = np.ones(X.shape[1]) if weights is None else weights
        self.decay = l2 / X.shape[1] * is_weight(net)
        self.damping, self.largest = None, np.zeros(net.theta.size)

    def residuals(self, theta, batch):
        """Return the residuals, the first output of all examples first."""
        outputs = reference.feedforward(self.net, self.X[:, batch], theta)[1][-1]
        return ((outputs - self.Y[:, batch]) * np.sqrt(self.weights[batch])).ravel()

    def jacobian(self, batch):
        rows = reference.jacobian(self.net, self.X[:, batch]) * np.sqrt(self.weights[batch])[:, None]
        return rows.reshape(-1, self.net.theta.size)

    def value(self, theta, batch):
        """Return half the sum of the squares, and the same with the penalty."""
        r = self.residuals(theta, batch)
        return 0.5 * r @ r, 0.5 * r @ r + 0.5 * batch.size * self.decay @ theta**2

    def step(self, batch):
        """Take a step, and return the cost after it, summed."""
        theta, m = self.net.theta.copy(), batch.size
        J, r = self.jacobian(batch), self.residuals(theta, batch)
        A, g = J.T @ J + m * np.diag(self.decay), J.T @ r + m * self.decay * theta
        diagonal = np.diag(J.T @ J) / m
        scales = np.ones(theta.size)
        if self.has_scaling:
            self.largest = np.maximum(self.largest, diagonal)
            scales = np.maximum(self.largest, self.largest.max() * np.finfo(float).eps)
        if self.damping is None:
            self.damping = self.first_damping * (1.0 if self.has_scaling else diagonal.max())
        _, value = self.value(theta, batch)
        growth = 2.0
        for _ in range(40):
            M = m * self.damping * np.diag(scales)
            p = np.linalg.solve(A + M, -g)
            whole = p + self.bend(theta, p, J, r, A + M, batch) if self.accelerates else p
            is_long = np.linalg.norm(whole - p) * 2 > LARGEST_RATIO * np.linalg.norm(p)
            if not is_long:
                after, reduced = self.value(theta + whole, batch)
                if reduced < value:
                    gain = (value - reduced) / (-(g @ p) - 0.5 * p @ A @ p)  # what the parabola foresees
                    self.damping *= max(1 / 3, 1 - (2 * gain - 1) ** 3)
                    self.net.theta = theta + whole
                    return after
            self.damping *= growth
            growth *= 2.0
        raise AssertionError("no step")

    def bend(self, theta, p, J, r, matrix, batch):
        """Return half of the acceleration."""
        ahead = self.residuals(theta + PROBE * p, batch)
        curvature = 2 / PROBE * ((ahead - r) / PROBE - J @ p)
        return 0.5 * np.linalg.solve(matrix, -J.T @ curvature)

    def epoch(self, batch_size=None):
        """Take a step for each mini-batch, in order."""
        n = self.X.shape[1]
        size = batch_size or n
        return [self.step(np.arange(start, min(start + size, n))) for start in range(0, n, size)]
