"""The marginal likelihood of the precision of a prior and of the variance of a noise, and the best of both.

With the eigenvalues of the Gauss-Newton matrix, each evaluation takes one pass over them. With one unknown at a time,
the derivative of the logarithm changes its sign once, so bisection finds the one maximum there is: no start is needed,
and no iteration can miss it, as MacKay's fixed point may.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mbbp.parameters import Array

HALVINGS = 200  # of an interval: more than float64 can tell apart
TINY, HUGE = float(np.finfo(float).tiny), float(np.finfo(float).max)


class MarginalLikelihood(NamedTuple):
    """What is known of the data.

    Attributes
    ----------
    eigenvalues : ndarray of shape (P,)
        Those of the Gauss-Newton matrix, with a noise of variance 1; at least 0.
    squares : float
        The sum of the squared parameters.
    misfit : float
        The sum of the squared residuals; of a likelihood without noise, minus twice the logarithm of the probability.
    n_values : int
        The number of targets with noise; 0 of a likelihood without noise. The variance of the noise is then 1.
    """

    eigenvalues: Array
    squares: float
    misfit: float
    n_values: int

    def log(self, prior_precision: float, noise_variance: float) -> float:
        """Return the logarithm of the marginal likelihood: MacKay 1992, with the Laplace approximation.

        It is ln p(D | theta) - 1/2 [prior ||theta||^2 + ln det(H / prior + 1)].
        """
        log_noise = math.log(noise_variance)
        with np.errstate(divide="ignore"):  # the logarithm of an eigenvalue of 0
            ratios = np.log(self.eigenvalues) - (math.log(prior_precision) + log_noise)
        determinant = float(np.logaddexp(0.0, ratios).sum())  # no ratio overflows
        fit = self.misfit / noise_variance + self.n_values * (math.log(2.0 * math.pi) + log_noise)
        return -0.5 * (fit + prior_precision * self.squares + determinant)

    def effective_parameters(self, prior_precision: float, noise_variance: float) -> float:
        """Return gamma = sum lambda / (lambda + prior), of the eigenvalues lambda of H."""
        return self._used(prior_precision * noise_variance)

    def _used(self, ratio: float) -> float:
        return float((self.eigenvalues / (self.eigenvalues + max(ratio, TINY))).sum())

    def best(self, prior_precision: float | None, noise_variance: float | None) -> tuple[float, float]:
        """Return the precision and the variance with the largest marginal likelihood, of those that are None.

        Raises
        ------
        ValueError
            If there is no largest one.
        """
        if prior_precision is None and not self.squares > 0.0:
            self._refuse("prior_precision", "parameters that are all 0")
        if prior_precision is None and not self.eigenvalues.sum() > 0.0:
            self._refuse("prior_precision", "outputs that do not depend on the parameters")
        if noise_variance is None and not self.misfit > 0.0:
            self._refuse("noise_variance", "outputs that are the targets")
        if prior_precision is None:
            return self._best_of_both() if noise_variance is None else self._best_prior(noise_variance)
        return prior_precision, self._best_noise(prior_precision) if noise_variance is None else noise_variance

    def _refuse(self, argument: str, what: str) -> None:
        raise ValueError(f"{argument}: expected a number for {what}, got 'marginal_likelihood'")

    def _best_prior(self, noise: float) -> tuple[float, float]:
        """Solve prior ||theta||^2 = gamma: the left side rises with the prior, the right side falls."""
        largest, trace = float(self.eigenvalues.max()) / noise, float(self.eigenvalues.sum()) / noise
        found = _crossing(
            lambda prior: prior * self.squares - self._used(prior * noise),
            min(largest, 0.5 / self.squares),  # there gamma is at least 1/2
            math.sqrt(trace / self.squares),  # and gamma is below trace / prior
        )
        return found, noise

    def _best_noise(self, prior: float) -> float:
        """Solve n = misfit / noise + gamma: the right side falls with the noise."""
        trace = float(self.eigenvalues.sum())
        return _crossing(
            lambda noise: self.n_values - self.misfit / noise - self._used(prior * noise),
            self.misfit / self.n_values,
            (self.misfit + trace / prior) / self.n_values,
        )

    def _best_of_both(self) -> tuple[float, float]:
        """Solve for r = prior noise, with the best noise for each r: (misfit + r ||theta||^2) / n.

        That is n r ||theta||^2 / (misfit + r ||theta||^2) = gamma(r): the left side rises with r, the right side falls.
        """
        n, misfit, squares = self.n_values, self.misfit, self.squares
        largest, trace = float(self.eigenvalues.max()), float(self.eigenvalues.sum())
        # gamma is below trace / r, which is the left side at the root of n squares r^2 = trace (misfit + r squares)
        half = 0.5 * trace / n
        ratio = _crossing(
            lambda r: n / (1.0 + misfit / r / squares) - self._used(r),
            min(largest, 0.5 * misfit / n / squares),
            half + math.sqrt(half) * math.sqrt(half + 2.0 * misfit / squares),
        )
        noise = (misfit + ratio * squares) / n
        return ratio / noise, noise


def _crossing(rising: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising function of a positive number crosses 0, between two bounds."""
    below, above = math.log(max(low, TINY)), math.log(min(max(high, TINY), HUGE))
    for _ in range(HALVINGS):
        middle = 0.5 * (below + above)
        if middle in (below, above):
            break
        if rising(math.exp(middle)) < 0.0:
            below = middle
        else:
            above = middle
    return math.exp(0.5 * (below + above))
