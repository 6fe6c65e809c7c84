"""The Laplace approximation: against explicit matrices in NumPy, and against what is known in closed form."""

import numpy as np
import pytest

import mbbp
from mbbp.bayesian import marginal_likelihood
from mbbp.differentiation import Differentiation
from tests.derivatives import mild, problem
from tests.posteriors import NOISE, OF_ALL, PRIOR, WHICH, Explicit, assert_close, made, with_identity_outputs

# -------------------------------------------------------------------------------------------- against explicit matrices


@WHICH
@OF_ALL
def test_it_is_what_explicit_matrices_give(kind, parameters):
    net, X, Y, fixed = made(kind)
    found = mbbp.laplace(net, X, Y, parameters=parameters, **fixed)
    exact = Explicit(net, X, Y, parameters, PRIOR, NOISE)
    assert found.n_parameters == len(exact.S) == (net.theta.size if parameters == "all" else 15)
    assert found.noise_variance == fixed.get("noise_variance")
    assert_close(found.covariance(), exact.S)
    assert_close(found.log_marginal_likelihood, exact.log)
    assert_close(found.effective_parameters, exact.gamma)
    outside = np.random.default_rng(1).standard_normal((3, 9))
    for one, other in zip(found.predict(outside), exact.predict(outside), strict=True):
        assert one.dtype == np.float64
        assert_close(one, other)


@WHICH
@OF_ALL
def test_no_hidden_layer(kind, parameters):
    net, X, Y, fixed = made(kind, sizes=(3, 2), scaled="factor")
    found = mbbp.laplace(net, X, Y, parameters=parameters, **fixed)
    exact = Explicit(net, X, Y, parameters, PRIOR, NOISE)
    assert_close(found.covariance(), exact.S)
    assert_close(found.log_marginal_likelihood, exact.log)


@WHICH
@OF_ALL
def test_float32_is_summed_in_float64(kind, parameters):
    net, X, Y, fixed = made(kind, dtype="float32", m=300)
    found = mbbp.laplace(net, X, Y, parameters=parameters, **fixed)
    exact = Explicit(net, X, Y, parameters, PRIOR, NOISE)
    assert_close(found.covariance(), exact.S, 1e-4)
    assert abs(found.log_marginal_likelihood - exact.log) < 1e-5 * abs(exact.log)


def test_targets_that_sum_to_less_than_1_count_less():
    net, X, _, fixed = made("softmax")
    shares = np.random.default_rng(2).dirichlet(np.ones(3), X.shape[1]).T
    half = mbbp.laplace(net, X, 0.5 * shares, **fixed).covariance()
    twice = mbbp.laplace(net, np.hstack([X, X]), np.hstack([0.5 * shares, 0.5 * shares]), **fixed).covariance()
    whole = mbbp.laplace(net, X, shares, **fixed).covariance()
    assert_close(twice, whole)
    assert np.trace(half) > np.trace(whole)


@pytest.mark.parametrize(("dtype", "bias", "prior"), [("float32", 18.0, 1e-12), ("float64", 40.0, 1e-20)])
def test_custom_activations_and_saturated_outputs(dtype, bias, prior):
    """Where a rounds to 1, a (1 - a) would be 0."""
    softplus = mbbp.Activation("my_softplus", lambda z: np.log(1 + np.exp(z)), lambda z: 1 / (1 + np.exp(-z)))
    net = mbbp.Network([2, 4, 1], [softplus, "sigmoid"], "cross_entropy", dtype, mild, rng=0)
    net.layers[-1].b = [[bias]]
    X = np.random.default_rng(0).standard_normal((2, 30))
    assert (net.feedforward(X) == 1.0).any()
    for parameters in ("all", "last_layer"):
        found = mbbp.laplace(net, X, np.ones((1, 30)), parameters=parameters, prior_precision=prior)
        exact = Explicit(net, X, np.ones((1, 30)), parameters, prior, None)
        # of the eigenvalues that stand out of the prior
        assert_close(found.effective_parameters, exact.gamma, 1e-3)
        assert found.effective_parameters > 0.5


# ---------------------------------------------------------------------------------- the Jacobian of the weighted inputs


@pytest.mark.parametrize("output", ["sigmoid", "softmax", "exp", "relu", "tanh", "identity"])
@pytest.mark.parametrize("m", [1, 7, 128, 130])
def test_the_jacobian_of_the_weighted_inputs(output, m):
    net, X, _, _ = problem([3, 6, 4, 2], ["tanh", "relu", output], "quadratic", m=m, scaled="standardized")
    other = with_identity_outputs(net)
    out, derivatives = np.empty((2, m, net.theta.size)), Differentiation(net.engine)
    for _ in range(2):  # the second time with a workspace that was used before
        derivatives.rows(net._inputs_alone(X), out, of_outputs=True, of_weighted_inputs=True)
        assert_close(out, other.jacobian(X), 1e-13)
        derivatives.rows(net._inputs_alone(X), out, of_outputs=True)
        assert_close(out, net.jacobian(X), 1e-13)


# ---------------------------------------------------------------------------------------------------- linear regression


@WHICH
@pytest.mark.parametrize("learnt", [False, True])
def test_a_linear_network_is_bayesian_linear_regression(parameters, learnt):
    """C. Bishop, *Pattern Recognition and Machine Learning*, eqs. (3.53), (3.54), (3.59) and (3.86)."""
    rng = np.random.default_rng(4)
    n, alpha, beta = 50, 0.4, 1 / 0.09
    X = rng.standard_normal((3, n))
    Y = np.array([[1.0, -2.0, 0.5]]) @ X + 0.3 + 0.3 * rng.standard_normal((1, n))
    net = mbbp.Network([3, 1], "identity", dtype="float64")
    Phi = np.vstack([X, np.ones(n)]).T
    if learnt:
        for _ in range(500):  # the evidence and the optimum for it in turn, until both stay
            net.theta = np.linalg.solve(alpha * np.eye(4) + beta * Phi.T @ Phi, beta * Phi.T @ Y[0])
            posterior = mbbp.laplace(net, X, Y, parameters=parameters)
            alpha, beta = posterior.prior_precision, 1 / posterior.noise_variance
        # eqs. (3.92) and (3.95)
        assert_close(alpha, posterior.effective_parameters / (net.theta @ net.theta))
        squares = ((Y - net.feedforward(X)) ** 2).sum()
        assert_close(1 / beta, squares / (n - posterior.effective_parameters))
    S = np.linalg.inv(alpha * np.eye(4) + beta * Phi.T @ Phi)
    net.theta = beta * S @ Phi.T @ Y[0]
    posterior = mbbp.laplace(net, X, Y, parameters=parameters, prior_precision=alpha, noise_variance=1 / beta)
    assert_close(posterior.covariance(), S)
    # the evidence in closed form: y is Gaussian with this covariance
    C = np.eye(n) / beta + Phi @ Phi.T / alpha
    log_evidence = -0.5 * (n * np.log(2 * np.pi) + np.linalg.slogdet(C)[1] + Y[0] @ np.linalg.solve(C, Y[0]))
    assert_close(posterior.log_marginal_likelihood, log_evidence)
    new = rng.standard_normal((3, 7)) * 3
    mean, variance, of_observation = posterior.predict(new)
    P = np.vstack([new, np.ones(7)])
    assert_close(mean, net.feedforward(new))
    assert_close(variance[0], np.einsum("ci,cd,di->i", P, S, P))
    assert_close(of_observation, variance + 1 / beta)


# ---------------------------------------------------------------------------------------------- the marginal likelihood


def log_grid(center, reach=12.0, n=4001):
    return center * np.exp(np.linspace(-reach, reach, n))


@WHICH
@OF_ALL
def test_the_best_prior_is_that_of_a_fine_grid(kind, parameters):
    net, X, Y, fixed = made(kind)
    fixed.pop("prior_precision")
    found = mbbp.laplace(net, X, Y, parameters=parameters, **fixed)
    grid = log_grid(found.prior_precision)
    values = np.array([found.log_marginal_likelihood_at(prior) for prior in grid])
    assert values.argmax() == len(grid) // 2  # the middle
    assert (np.diff(np.sign(np.diff(values))) != 0).sum() == 1  # and the only one
    assert values.max() == pytest.approx(found.log_marginal_likelihood, abs=1e-9)
    # MacKay's fixed point
    theta = found._network.theta
    assert_close(found.prior_precision * (theta @ theta), found.effective_parameters, 1e-12)


@WHICH
@pytest.mark.parametrize("m", [4, 40])
def test_the_best_pair_is_that_of_a_grid(parameters, m):
    """Also with fewer targets than parameters."""
    net, X, Y, _ = made("identity", m=m)
    found = mbbp.laplace(net, X, Y, parameters=parameters)
    priors, noises = (log_grid(one, 6.0, 121) for one in (found.prior_precision, found.noise_variance))
    values = np.array([[found.log_marginal_likelihood_at(p, s) for s in noises] for p in priors])
    assert np.unravel_index(values.argmax(), values.shape) == (60, 60)
    squares, residuals = found._marginal.squares, ((net.feedforward(X) - Y) ** 2).sum()
    assert_close(found.prior_precision, found.effective_parameters / squares, 1e-12)
    assert_close(found.noise_variance, residuals / (Y.size - found.effective_parameters), 1e-12)


def test_the_best_noise_for_a_prior():
    net, X, Y, _ = made("identity")
    found = mbbp.laplace(net, X, Y, prior_precision=2.0)
    grid = log_grid(found.noise_variance)
    values = [found.log_marginal_likelihood_at(2.0, noise) for noise in grid]
    assert np.argmax(values) == len(grid) // 2
    assert found.prior_precision == 2.0


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e3, 1e12])
def test_the_maximum_scales_with_its_units(scale):
    rng = np.random.default_rng(0)
    eigenvalues = np.sort(rng.exponential(size=20) ** 8)
    marginal = marginal_likelihood.MarginalLikelihood(eigenvalues, 3.0, 5.0, 100)
    prior, noise = marginal.best(None, None)
    other = marginal._replace(eigenvalues=eigenvalues * scale, misfit=5.0 * scale).best(None, None)
    assert_close(np.log(other), np.log([prior, noise * scale]), 1e-12)


@pytest.mark.parametrize("learnt", ["prior_precision", "noise_variance"])
def test_where_there_is_no_maximum(learnt):
    net, X, Y, fixed = made("identity")
    fixed.pop(learnt)
    if learnt == "noise_variance":
        Y = net.feedforward(X)
    else:
        net.theta = np.zeros(net.theta.size)
    with pytest.raises(ValueError, match=f"^{learnt}: expected a number for .*, got 'marginal_likelihood'$"):
        mbbp.laplace(net, X, Y, **fixed)


def test_outputs_that_depend_on_no_parameter():
    net = mbbp.Network([2, 1], ["relu"], "quadratic", "float64", rng=0)
    net.layers[0].b = [[-100.0]]
    X, Y = np.ones((2, 5)), np.ones((1, 5))
    with pytest.raises(ValueError, match="prior_precision: expected a number for outputs that do not depend"):
        mbbp.laplace(net, X, Y)
    found = mbbp.laplace(net, X, Y, prior_precision=2.0)
    assert_close(found.covariance(), 0.5 * np.eye(3))
    assert found.effective_parameters == 0.0
    assert found.noise_variance == pytest.approx(1.0)  # the mean of the squared residuals


# ---------------------------------------------------------------------------------------------------------- predictions


@WHICH
@OF_ALL
def test_predictions_do_not_depend_on_the_chunks(kind, parameters):
    net, X, Y, _ = made(kind)
    found = mbbp.laplace(net, X, Y, parameters=parameters)
    many = np.random.default_rng(3).standard_normal((3, 1100))
    together, samples = found.predict(many), found.sample(many, 2, rng=0)
    for columns in (slice(0, 300), slice(340, 345), slice(1099, 1100)):
        for one, other in zip(found.predict(many[:, columns]), together, strict=True):
            assert_close(one, other[:, columns], 1e-12)
        assert_close(found.sample(many[:, columns], 2, rng=0), samples[:, :, columns], 1e-12)


def test_the_sums_do_not_depend_on_the_chunks():
    net, X, Y, fixed = made("softmax", m=1500)
    halves = [mbbp.laplace(net, X[:, part], Y[part], **fixed) for part in (slice(0, 700), slice(700, 1500))]
    whole = np.linalg.inv(mbbp.laplace(net, X, Y, **fixed).covariance())
    apart = sum(np.linalg.inv(half.covariance()) for half in halves) - PRIOR * np.eye(len(whole))
    assert_close(whole, apart)


@WHICH
def test_the_variance_grows_away_from_the_data(parameters):
    X = np.concatenate([np.linspace(-1, -0.3, 30), np.linspace(0.3, 1, 30)]).reshape(1, -1)
    Y = np.sin(4 * X) + 0.1 * np.random.default_rng(0).standard_normal(X.shape)
    net = mbbp.Network([1, 10, 1], ["tanh", "identity"], dtype="float64", rng=0)
    net.fit(X, Y, optimizer="levenberg_marquardt", epochs=50, progress=False)
    posterior = mbbp.laplace(net, X, Y, parameters=parameters)
    assert 0.07 < posterior.noise_variance**0.5 < 0.14
    at_data, between, outside = (posterior.predict([[x]]).variance.item() for x in (0.6, 0.0, 2.5))
    assert between > 2 * at_data
    assert outside > 10 * at_data


def test_doubt_draws_probabilities_to_the_middle():
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(-1, 0.3, (2, 40)), rng.normal(1, 0.3, (2, 40))])
    net = mbbp.Network([2, 5, 2], ["tanh", "softmax"], rng=0)
    net.fit(X, np.repeat([0, 1], 40), epochs=20, learning_rate=0.5, progress=False)
    posterior = mbbp.laplace(net, X, np.repeat([0, 1], 40))
    far = np.array([[5.0], [5.0]])
    assert 0.5 < posterior.predict(far).mean[1, 0] < net.feedforward(far)[1, 0]
    assert posterior.predict(far).mean.sum() == pytest.approx(1.0)


@WHICH
@OF_ALL
def test_samples_have_the_predicted_variance(kind, parameters):
    net, X, Y, fixed = made(kind)
    found = mbbp.laplace(net, X, Y, parameters=parameters, **fixed)
    new = X[:, :2]
    samples = found.sample(new, 20_000, rng=5)
    assert samples.shape == (20_000, 3, 2)
    f = {"softmax": np.log, "exp": np.log, "sigmoid": lambda p: np.log(p / (1 - p))}.get(kind, np.array)(samples)
    variance = found.predict(new).variance
    if kind == "softmax":  # the logits are known up to a constant: differences are compared
        J, S = Explicit(net, X, Y, parameters, PRIOR, NOISE).function(new)[1], found.covariance()
        D = J[0] - J[1]
        variance, f = np.einsum("ip,pq,iq->i", D, S, D), f[:, 0] - f[:, 1]
        np.testing.assert_allclose(samples.sum(axis=1), 1.0)
    np.testing.assert_allclose(f.var(axis=0), variance, rtol=0.06)
    assert_close(samples[:3], found.sample(new, 3, rng=5))  # the first ones of more
    if kind == "exp":
        np.testing.assert_allclose(samples.mean(axis=0), found.predict(new).mean, rtol=0.03)
