"""The probability of the targets that belongs to each cost, and what a Gaussian around its argument makes of it.

A likelihood is a function of f: of the outputs a^L for a Gaussian, of the weighted inputs z^L for the others, for which
minus its logarithm is convex. All arrays are float64, with one example per column: f and y are (n_L, m).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np

from mbbp.costs import Cost
from mbbp.parameters import Array


class Likelihood(ABC):
    """The base of the likelihoods.

    Attributes
    ----------
    noun : str
        What the targets are, for a sentence.
    has_noise : bool
        Whether it has the variance of a noise. It is then a Gaussian, and f is a^L; else f is z^L.
    """

    noun = ""
    has_noise = False

    @abstractmethod
    def misfit(self, f: Array, y: Array) -> float:
        """Return minus twice the logarithm of the probability; of a Gaussian the sum of the squared residuals."""

    @abstractmethod
    def weigh(self, rows: Array, f: Array, y: Array) -> None:
        """Multiply the derivatives of f of each example by a root R of B, in place.

        Parameters
        ----------
        rows : ndarray of shape (n_L, m, p)
            ``[k, i]`` is the derivative of f_k of example i by p parameters: J of each example.
        f, y : ndarray of shape (n_L, m)

        Notes
        -----
        B is the second derivative by f of minus the logarithm of the probability, and R^T R = B, so the product of the
        new rows with themselves is J^T B J. Of a Gaussian, B is taken for a noise of variance 1.
        """

    @abstractmethod
    def outputs(self, f: Array) -> Array:
        """Return the mean of the target for each f (..., n_L, m)."""

    @abstractmethod
    def integrate(self, f: Array, variance: Array, noise_variance: float) -> tuple[Array, Array]:
        """Return the mean and the variance of a new target, where f has a Gaussian distribution around `f`."""


class Gaussian(Likelihood):
    """y = a^L + noise."""

    noun = "numbers with Gaussian noise"
    has_noise = True

    def misfit(self, f: Array, y: Array) -> float:
        """Return the sum of the squared residuals."""
        return float(np.square(f - y).sum())

    def weigh(self, rows: Array, f: Array, y: Array) -> None:
        """Leave the rows as they are: B = 1."""

    def outputs(self, f: Array) -> Array:
        """Return f."""
        return f

    def integrate(self, f: Array, variance: Array, noise_variance: float) -> tuple[Array, Array]:
        """Return f, and the sum of the two variances."""
        return f, variance + noise_variance


class Bernoulli(Likelihood):
    """Each output is the probability of a class of its own: a = sigma(z)."""

    noun = "classes, one for each output"

    def misfit(self, f: Array, y: Array) -> float:
        """Return -2 sum [y ln a + (1 - y) ln(1 - a)]."""
        return 2.0 * float((np.logaddexp(0.0, f) - y * f).sum())

    def weigh(self, rows: Array, f: Array, y: Array) -> None:
        """Multiply by the root of sigma(z) sigma(-z), which stays exact where a rounds to 1."""
        rows *= np.exp(-0.5 * (np.logaddexp(0.0, f) + np.logaddexp(0.0, -f)))[..., None]

    def outputs(self, f: Array) -> Array:
        """Return sigma(z)."""
        return _sigmoid(f)

    def integrate(self, f: Array, variance: Array, noise_variance: float) -> tuple[Array, Array]:
        """Return sigma(z / sqrt(1 + pi v / 8)), MacKay's approximation, and p (1 - p)."""
        mean = _sigmoid(_moderated(f, variance))
        return mean, mean * (1.0 - mean)


class Categorical(Likelihood):
    """The outputs are the probabilities of classes: a = softmax(z)."""

    noun = "classes"

    def misfit(self, f: Array, y: Array) -> float:
        """Return -2 sum y ln a."""
        return -2.0 * float((y * _log_softmax(f)).sum())

    def weigh(self, rows: Array, f: Array, y: Array) -> None:
        """Multiply by R = diag(sqrt(a)) (1 - 1 a^T), for which R^T R = diag(a) - a a^T as the a_j sum to 1.

        Targets of an example that sum to s count s times, as in the cost.
        """
        a = np.exp(_log_softmax(f))
        rows -= np.einsum("ki,kip->ip", a, rows)
        rows *= np.sqrt(a * y.sum(axis=0))[..., None]

    def outputs(self, f: Array) -> Array:
        """Return softmax(z)."""
        found: Array = np.exp(_log_softmax(f))
        return found

    def integrate(self, f: Array, variance: Array, noise_variance: float) -> tuple[Array, Array]:
        """Return softmax of z / sqrt(1 + pi v / 8), and p (1 - p)."""
        mean = self.outputs(_moderated(f, variance))
        return mean, mean * (1.0 - mean)


class Poisson(Likelihood):
    """The outputs are the means of counts: a = exp(z)."""

    noun = "counts"

    def misfit(self, f: Array, y: Array) -> float:
        """Return -2 sum [y z - exp(z) - ln(y!)]; of a target that is no whole number with Gamma(y + 1)."""
        values, inverse = np.unique(y, return_inverse=True)  # few of many counts: NumPy has no ln Gamma
        log_factorials = np.array([math.lgamma(one + 1.0) for one in values])[inverse.reshape(-1)]
        return 2.0 * float((np.exp(f) - y * f).sum() + log_factorials.sum())

    def weigh(self, rows: Array, f: Array, y: Array) -> None:
        """Multiply by exp(z / 2)."""
        rows *= np.exp(0.5 * f)[..., None]

    def outputs(self, f: Array) -> Array:
        """Return exp(z)."""
        found: Array = np.exp(f)
        return found

    def integrate(self, f: Array, variance: Array, noise_variance: float) -> tuple[Array, Array]:
        """Return the mean exp(z + v/2) of exp(z), which is log-normal, and that mean plus the variance of exp(z)."""
        mean = np.exp(f + 0.5 * variance)
        return mean, mean + np.square(mean) * np.expm1(variance)


OF_COSTS: dict[str, Likelihood] = {
    "quadratic": Gaussian(),
    "cross_entropy": Bernoulli(),
    "log_likelihood": Categorical(),
    "poisson": Poisson(),
}


def likelihood_of(cost: Cost) -> Likelihood:
    """Return the likelihood that belongs to a cost.

    Raises
    ------
    ValueError
        If the cost has none here.
    """
    if cost.is_custom or cost.name not in OF_COSTS:
        got = f"a custom cost {cost.name!r}" if cost.is_custom else str(cost)
        raise ValueError(f"net: expected one of the costs {', '.join(OF_COSTS)}, got {got}")
    return OF_COSTS[cost.name]


def _sigmoid(z: Array) -> Array:
    found: Array = np.exp(-np.logaddexp(0.0, -z))
    return found


def _log_softmax(z: Array) -> Array:
    """Return ln softmax(z) of z (..., n_L, m)."""
    shifted = z - z.max(axis=-2, keepdims=True)
    found: Array = shifted - np.log(np.exp(shifted).sum(axis=-2, keepdims=True))
    return found


def _moderated(z: Array, variance: Array) -> Array:
    """Return z / sqrt(1 + pi v / 8): D. MacKay, *The evidence framework applied to classification networks*, 1992."""
    found: Array = z / np.sqrt(1.0 + (math.pi / 8.0) * variance)
    return found
