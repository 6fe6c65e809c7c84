"""The Laplace approximation: a Gaussian posterior of the parameters, and what it tells of the outputs."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp.bayesian.likelihoods import Likelihood, likelihood_of
from mbbp.bayesian.linearised import ByAllParameters, ByLastLayer, LinearisedNetwork
from mbbp.bayesian.marginal_likelihood import MarginalLikelihood
from mbbp.fixed import Fixed
from mbbp.inputs import as_inputs
from mbbp.kernels.examples import Examples
from mbbp.network import Network
from mbbp.parameters import Array
from mbbp.targets import unit_vectors
from mbbp.validation import as_count, as_generator, as_number, refuse_unknown

LEARNT = "marginal_likelihood"
KINDS: dict[str, type[LinearisedNetwork]] = {"all": ByAllParameters, "last_layer": ByLastLayer}
COPIES = 5  # of the matrix of all pairs of parameters while its eigenvectors are computed: LAPACK's workspace is two
GIB = 2.0**30


class PredictiveDistribution(NamedTuple):
    """What a network predicts, and how sure it is.

    Attributes
    ----------
    mean : ndarray of shape (n_L, m)
        For numbers the outputs. For classes the probabilities, and for counts the means, where the uncertainty of the
        parameters is integrated out.
    variance : ndarray of shape (n_L, m)
        The variance that comes from the parameters: for numbers of the output, for classes and counts of the weighted
        input z^L of each output neuron.
    observation_variance : ndarray of shape (n_L, m)
        The variance of a new target around the mean. For numbers it is `variance` plus that of the noise.
    """

    mean: Array
    variance: Array
    observation_variance: Array


class Laplace(Fixed):
    """The posterior of a network's parameters, as `mbbp.laplace` returns it: N(theta, S) with 1/S = H + prior.

    It keeps a copy of the network, so it stays as it is if the network is trained further. It can be pickled, and
    several threads may use it at the same time.

    Attributes
    ----------
    parameters : {"all", "last_layer"}
        Which parameters are uncertain.
    n_parameters : int
        How many these are.
    prior_precision : float
        The precision, 1 / variance, of the Gaussian prior of each parameter, which has the mean 0.
    noise_variance : float or None
        The variance of the noise of the targets; None for classes and counts.
    log_marginal_likelihood : float
        The logarithm of the marginal likelihood, or evidence, of these two. Larger is better, also between networks
        that were trained on the same targets.
    effective_parameters : float
        MacKay's gamma: how many parameters the data determine, from 0 to `n_parameters`.
    """

    def __init__(
        self,
        parameters: str,
        network: LinearisedNetwork,
        likelihood: Likelihood,
        marginal: MarginalLikelihood,
        eigenvectors: Array,
        prior_precision: float,
        noise_variance: float,
    ) -> None:
        self.parameters, self.n_parameters = parameters, network.theta.size
        self.prior_precision = prior_precision
        self.noise_variance = noise_variance if likelihood.has_noise else None
        self.log_marginal_likelihood = marginal.log(prior_precision, noise_variance)
        self.effective_parameters = marginal.effective_parameters(prior_precision, noise_variance)
        self._network, self._likelihood, self._marginal = network, likelihood, marginal
        self._noise, self._eigenvectors = noise_variance, eigenvectors
        with np.errstate(over="ignore"):
            self._variances = 1.0 / (marginal.eigenvalues / noise_variance + prior_precision)  # along the eigenvectors

    def __repr__(self) -> str:
        which = "all" if self.parameters == "all" else "the last layer's"
        noise = "" if self.noise_variance is None else f", noise_variance={self.noise_variance:.6g}"
        return (
            f"Laplace({which} {self.n_parameters:,} parameters, {self._likelihood.noun}): "
            f"prior_precision={self.prior_precision:.6g}{noise}, "
            f"log_marginal_likelihood={self.log_marginal_likelihood:.6g}, "
            f"effective_parameters={self.effective_parameters:.4g}"
        )

    def predict(self, X: ArrayLike) -> PredictiveDistribution:
        """Return what the network predicts for each column of X, and how sure it is.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.

        Returns
        -------
        PredictiveDistribution
            `mean`, `variance` and `observation_variance`, each of shape (n_L, m), in float64.

        Raises
        ------
        ValueError
            If X has the wrong shape, or holds NaN or inf.
        TypeError
            If X does not hold real numbers.

        Notes
        -----
        The network is linearised at theta, so the variance of f is diag(J S J^T). For classes the mean is MacKay's
        approximation sigma(z / sqrt(1 + pi v / 8)), and softmax of the same; for counts it is exp(z + v / 2).
        """
        inputs = self._inputs(X)
        f, variance = (np.empty((self._network.net.sizes[-1], len(inputs))) for _ in range(2))
        for chunk in self._network.chunks(inputs):
            along = self._network.jacobian_product(chunk, self._eigenvectors)
            np.square(along, out=along)
            f[:, chunk.columns], variance[:, chunk.columns] = chunk.f, along @ self._variances
        with np.errstate(over="ignore"):  # exp
            mean, observation_variance = self._likelihood.integrate(f, variance, self._noise)
        return PredictiveDistribution(mean, variance, observation_variance)

    def sample(self, X: ArrayLike, n: int = 100, rng: int | np.random.Generator | None = None) -> Array:
        """Return the outputs of networks whose parameters are drawn from the posterior.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.
        n : int
            How many networks. Each is the same for all columns, so a sample is a whole function.
        rng : int or Generator, optional
            The source of the random numbers.

        Returns
        -------
        ndarray of float64, shape (n, n_L, m)
            For classes probabilities, for counts their means. There is no noise in them.

        Raises
        ------
        ValueError
            If X has the wrong shape or holds NaN or inf, or `n` is below 1.
        TypeError
            If an argument is of the wrong type.

        Notes
        -----
        The networks are linearised at theta: f + J (theta' - theta), with f = a^L for numbers, else z^L. So outputs for
        numbers may leave the range of their activation.
        """
        inputs, count, generator = self._inputs(X), as_count("n", n), as_generator("rng", rng)
        drawn = generator.standard_normal((count, self.n_parameters))
        drawn *= np.sqrt(self._variances)
        changes = self._eigenvectors @ drawn.T
        f = np.empty((count, self._network.net.sizes[-1], len(inputs)))
        for chunk in self._network.chunks(inputs):
            f[:, :, chunk.columns] = chunk.f + np.moveaxis(self._network.jacobian_product(chunk, changes), 2, 0)
        with np.errstate(over="ignore"):  # exp
            return self._likelihood.outputs(f)

    def covariance(self) -> Array:
        """Return S, the covariance of the parameters, (n_parameters, n_parameters), in float64.

        Its order is that of ``net.theta`` or, for the last layer, of the last part of it.
        """
        found: Array = (self._eigenvectors * self._variances) @ self._eigenvectors.T
        return found

    def log_marginal_likelihood_at(self, prior_precision: float, noise_variance: float | None = None) -> float:
        """Return the logarithm of the marginal likelihood of other hyperparameters, such as for a plot.

        It takes one pass over the eigenvalues of H, which are known.

        Parameters
        ----------
        prior_precision : float
            The precision of the prior, above 0.
        noise_variance : float, optional
            The variance of the noise, above 0; by default that of this approximation. Classes and counts have none.

        Raises
        ------
        ValueError
            If a number is not above 0, or `noise_variance` is given for classes or counts.
        TypeError
            If one is not a number.
        """
        noise = self._noise if noise_variance is None else _as_noise(noise_variance, self._likelihood)
        return self._marginal.log(_as_prior(prior_precision), noise)

    def _inputs(self, X: ArrayLike) -> Array:
        net = self._network.net
        return as_inputs("X", X, net.sizes[0], net.dtype, net.engine.scaling)


def laplace(
    net: Network,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    parameters: str = "all",
    prior_precision: str | float = LEARNT,
    noise_variance: str | float = LEARNT,
    memory_limit: float = 2 * GIB,
) -> Laplace:
    """Return how sure a trained network is: the Laplace approximation of the posterior of its parameters.

    Parameters
    ----------
    net : Network
        A trained network; it is not changed. Its cost tells the likelihood of the targets: quadratic a Gaussian noise,
        cross_entropy a class for each output, log_likelihood classes, poisson counts.
    X : array_like of shape (n_in, m)
        The inputs that the network was trained on, one example per column.
    Y : array_like of shape (n_L, m) or (m,)
        Desired outputs in the units of the outputs, or labels.
    parameters : {"all", "last_layer"}
        Which parameters are uncertain. With "last_layer" those before the output layer count as exact, which takes much
        less time and memory.
    prior_precision : "marginal_likelihood" or float
        The precision of the Gaussian prior of every parameter, above 0; by default the one with the largest marginal
        likelihood.
    noise_variance : "marginal_likelihood" or float
        For quadratic, the variance of the noise of the targets, above 0; by default the one with the largest marginal
        likelihood. Other costs have none.
    memory_limit : float
        The most bytes that may be needed: 40 P^2 for P parameters, five matrices of all pairs of them. About 1,000 rows
        of the Jacobian come on top.

    Returns
    -------
    Laplace
        `predict` gives means and variances, `sample` draws functions, and `log_marginal_likelihood` compares networks.

    Raises
    ------
    ValueError
        If an argument has the wrong shape, holds NaN or inf, or is out of range, if the cost has no likelihood here, if
        `noise_variance` is a number and the targets have no noise, or if the marginal likelihood has no maximum, such
        as where all outputs are the targets.
    TypeError
        If an argument is of the wrong type.
    MemoryError
        If more than `memory_limit` would be needed.
    RuntimeError
        If the network is being trained in another thread.

    Notes
    -----
    The posterior is N(theta, S) with 1/S = H + prior_precision. H is the generalised Gauss-Newton matrix, the sum of
    J^T B J over the examples: J is the Jacobian of a^L, and B = 1 / noise_variance, for quadratic; for the other costs
    J is that of z^L, and B is the second derivative of C_x by z^L. All sums are in float64.

    It is made where the parameters are, and whether the training has reached an optimum is not checked. The optimum
    that is meant has the prior in its cost, for weights and biases alike: in the units of `fit`, l2 would be
    prior_precision for classes and counts, and prior_precision * noise_variance for numbers.

    D. MacKay, *A practical Bayesian framework for backpropagation networks*, Neural Computation 4 (1992); A. Immer, M.
    Korzepa, M. Bauer, *Improving predictions of Bayesian neural nets via local linearization*, AISTATS 2021; E.
    Daxberger and others, *Laplace Redux: effortless Bayesian deep learning*, NeurIPS 2021.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> X = np.linspace(-1, 1, 60).reshape(1, -1)
    >>> Y = np.sin(3 * X) + 0.1 * np.random.default_rng(0).standard_normal(X.shape)
    >>> net = mbbp.Network([1, 8, 1], ["tanh", "identity"], dtype="float64", rng=0)
    >>> history = net.fit(X, Y, optimizer="levenberg_marquardt", progress=False)
    >>> posterior = mbbp.laplace(net, X, Y)
    >>> 0.05 < posterior.noise_variance ** 0.5 < 0.15
    True
    >>> inside, outside = posterior.predict([[0.0, 3.0]]).variance[0]
    >>> bool(inside < outside)
    True
    """
    if not isinstance(net, Network):
        raise TypeError(f"net: expected an mbbp.Network, got {net!r:.100}")
    if not isinstance(parameters, str) or parameters not in KINDS:
        refuse_unknown("parameters", parameters, KINDS)
    likelihood = likelihood_of(net.cost_function)
    prior = None if _is_learnt("prior_precision", prior_precision) else _as_prior(prior_precision)
    if _is_learnt("noise_variance", noise_variance):
        noise = None if likelihood.has_noise else 1.0
    else:
        noise = _as_noise(noise_variance, likelihood)
    net.engine.writer.check_readable("laplace")
    _check_memory(net, parameters, as_number("memory_limit", memory_limit, positive=True))
    net = copy.deepcopy(net)
    examples = net.engine.examples(X, Y)
    network = KINDS[parameters](net, likelihood.has_noise)
    with np.errstate(over="ignore", invalid="ignore"):  # it is looked at below
        H, misfit = network.curvature(examples.inputs, _targets_of(examples, net), likelihood)
    if not np.isfinite(H).all():
        raise ValueError("X: expected inputs at which the squares of the derivatives are finite, got others")
    if not np.isfinite(misfit):
        raise ValueError("Y: expected targets with a finite log likelihood, got others")
    eigenvalues, eigenvectors = np.linalg.eigh(H)
    marginal = MarginalLikelihood(
        np.maximum(eigenvalues, 0.0),  # rounding makes some of them negative
        squares=float(network.theta @ network.theta),
        misfit=misfit,
        n_values=examples.n * net.sizes[-1] if likelihood.has_noise else 0,
    )
    return Laplace(parameters, network, likelihood, marginal, eigenvectors, *marginal.best(prior, noise))


def _is_learnt(argument: str, value: str | float) -> bool:
    if isinstance(value, str) and value != LEARNT:
        raise ValueError(f"{argument}: expected {LEARNT!r} or a number above 0, got {value!r:.100}")
    return isinstance(value, str)


def _as_prior(value: str | float) -> float:
    return as_number("prior_precision", value, positive=True)


def _as_noise(value: str | float, likelihood: Likelihood) -> float:
    if not likelihood.has_noise:
        raise ValueError(f"noise_variance: expected none for {likelihood.noun}, got {value!r:.100}")
    return as_number("noise_variance", value, positive=True)


def _check_memory(net: Network, parameters: str, limit: float) -> None:
    """Check how much memory the matrix of all pairs of parameters needs, before it is there.

    Raises
    ------
    MemoryError
        If it is more than the limit.
    """
    n_last = net.sizes[-1] * (net.sizes[-2] + 1)
    n = net.theta.size if parameters == "all" else n_last
    if _bytes(n) <= limit:
        return
    smaller = ""
    if n > n_last:
        smaller = f"take parameters='last_layer', which needs {_bytes(n_last) / GIB:.3g} GiB, or "
    raise MemoryError(
        f"memory_limit: expected at least {_bytes(n) / GIB:.3g} GiB for {n:,} parameters, got {limit / GIB:.3g} GiB; "
        f"{smaller}allow more"
    )


def _bytes(n_parameters: int) -> int:
    return COPIES * 8 * n_parameters**2


def _targets_of(examples: Examples, net: Network) -> Array:
    """Return the targets (m, n_L), also where they are given as labels."""
    if len(examples.targets):
        return examples.targets
    return unit_vectors(examples.labels, net.sizes[-1], net.dtype).T
