"""Steps of the Levenberg-Marquardt method against a prototype in NumPy, and where its steps end."""

import numpy as np
import pytest

import mbbp
import mbbp.threads
from mbbp import reference
from mbbp.methods import systems
from tests.methods.nielsen_prototype import Prototype
from tests.problems import figures

M = 24
SCALED = mbbp.Scaling([1.0, -2.0, 0.5], [0.5, 2.0, 1.0])
METHOD = "levenberg_marquardt"


def spec(**settings):
    return mbbp.LevenbergMarquardt(**settings)


def network(sizes=(3, 5, 2), **options):
    how = {"dtype": "float64", "initializer": "nguyen_widrow", "rng": 0} | options
    return mbbp.Network(list(sizes), ["tanh"] * (len(sizes) - 2) + ["identity"], **how)


def curved(m=M, n_in=3, n_out=2, noise=0.0, seed=1):
    """Return inputs and desired outputs that a small network fits well, but not exactly."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n_in, m))
    mixed = rng.standard_normal((n_out, n_in)) @ X
    return X, np.sin(2 * mixed) + noise * rng.standard_normal((n_out, m))


def trained(net=None, data=None, epochs=6, **options):
    net = network() if net is None else net
    net.fit(*(data or curved()), epochs=epochs, **{"optimizer": METHOD} | options)
    return net


# --------------------------------------------------------------------------------------------------- against prototypes

CASES = {
    "as by default": ({}, {}, {}),
    "without acceleration": ({"acceleration": False}, {}, {}),
    "with scaling": ({"scaling": True, "damping": 1e-2}, {}, {}),
    "with little damping": ({"damping": 1e-8}, {}, {}),
    "with much": ({"damping": 1e3, "scaling": True, "acceleration": False}, {}, {}),
    "with l2": ({}, {"l2": 0.3}, {}),
    "with l2 and all else": ({"scaling": True}, {"l2": 2.0}, {"scaling": SCALED}),
    "with scaled inputs": ({}, {}, {"scaling": SCALED}),
    "with weights": ({}, {"example_weights": np.linspace(0.0, 3.0, M)}, {}),
    "with weights and l2": ({"scaling": True}, {"example_weights": np.linspace(2.0, 0.1, M), "l2": 0.1}, {}),
    "with more layers": ({}, {}, {"sizes": (3, 4, 3, 2)}),
    "with one output": ({}, {}, {"sizes": (3, 6, 1)}),
    "with mini-batches": ({}, {"batch_size": 10}, {}),
    "with mini-batches and all else": (
        {"scaling": True},
        {"batch_size": 7, "l2": 0.2, "example_weights": np.linspace(0.5, 1.5, M)},
        {"scaling": SCALED},
    ),
}


@pytest.mark.parametrize(
    ("system", "settings", "options", "how"),
    [
        pytest.param(system, *case, id=f"{system} {name}")
        for name, case in CASES.items()
        for system in ("parameters", "residuals")
        if system == "parameters" or "l2" not in case[1]
    ],
)
def test_each_step_is_that_of_the_prototype(system, settings, options, how):
    X, Y = curved(n_out=how.get("sizes", (2,))[-1])
    net = network(**how)
    weights, l2 = options.get("example_weights"), options.get("l2", 0.0)
    prototype = Prototype(net, X, Y, **{"damping": 1e-4} | settings, l2=l2, weights=weights)
    for _ in range(5):
        size = options.get("batch_size")
        costs = prototype.epoch(size)
        row = net.fit(X, Y, epochs=1, optimizer=spec(system=system, **settings), shuffle=False, **options)[-1]
        np.testing.assert_allclose(net.theta, prototype.net.theta, rtol=0, atol=1e-8)
        assert row.damping == pytest.approx(prototype.damping, rel=1e-5)
        if size is None:
            assert row.training_cost == pytest.approx(costs[0] / M, rel=1e-8)
    history = net.history
    assert history[-1].training_cost < (0.99 if settings.get("damping", 0) > 1 else 0.5) * history[0].training_cost
    assert history["learning_rate"] == [None] * 5
    assert net.optimizer_state.moments.any() == settings.get("scaling", False)


def test_labels_are_targets():
    X, _ = curved()
    y = np.arange(M) % 3
    nets = [mbbp.Network([3, 4, 3], ["tanh", "sigmoid"], dtype="float64", rng=0) for _ in range(2)]
    prototype = Prototype(nets[0], X, np.eye(3)[:, y])
    costs = [prototype.epoch()[0] / M for _ in range(4)]
    history = nets[0].fit(X, y, epochs=4, optimizer=METHOD)
    nets[1].fit(X, np.eye(3)[:, y], epochs=4, optimizer=METHOD)
    assert history["training_cost"] == pytest.approx(costs, rel=1e-8)
    assert history[-1].training_accuracy == nets[0].accuracy(X, y)  # after the step, as the cost
    assert history[-1].training_cost == pytest.approx(nets[0].cost(X, y))
    assert figures(history) == figures(nets[1].history)
    single = mbbp.Network([3, 4, 1], ["tanh", "sigmoid"], dtype="float64", rng=0)
    prototype = Prototype(single, X, (y[None] > 0).astype(float))
    costs = [prototype.epoch()[0] / M for _ in range(4)]
    assert single.fit(X, (y > 0).astype(int), epochs=4, optimizer=METHOD)["training_cost"] == pytest.approx(costs)


def test_the_gradients_norm_is_that_of_the_mean_before_the_step():
    X, Y = curved()
    net = network()
    norm = np.linalg.norm(reference.gradient(net, X, Y).theta)
    assert trained(net, epochs=1).history[0].gradient_norm == pytest.approx(norm, rel=1e-10)


# ------------------------------------------------------------------------------------------------------------- systems


def after_a_step(system, acceleration, damping):
    """Return theta after a step that begins with this damping, and theta before it."""
    how = spec(system=system, acceleration=acceleration)
    net = trained(epochs=1, optimizer=how)
    before = network().theta + 0.01  # at the beginning, conjugate gradients estimate another damping
    net.theta = before
    net.history._rows[-1] = net.history[-1]._replace(damping=damping)
    trained(net, epochs=1, optimizer=how)
    return net.theta, before


@pytest.mark.parametrize("acceleration", [True, False])
@pytest.mark.parametrize("damping", [1e-3, 0.1])
def test_the_systems_take_the_same_step(acceleration, damping, monkeypatch):
    monkeypatch.setattr(systems, "CG_TOLERANCE", 1e-10)
    monkeypatch.setattr(systems, "MOST_PRODUCTS", 5000)
    expected, before = after_a_step("parameters", acceleration, damping)
    assert np.linalg.norm(expected - before) > 0.1
    for system, tolerance in (("residuals", 1e-8), ("conjugate_gradient", 1e-6)):
        found, _ = after_a_step(system, acceleration, damping)
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_conjugate_gradients_reach_about_the_same_cost():
    exact = trained(epochs=40).history["training_cost"]
    loose = trained(epochs=80, optimizer=spec(system="conjugate_gradient")).history["training_cost"]
    assert exact[-1] < 1e-5 * exact[0]
    assert loose[-1] < 1e-4 * loose[0]


@pytest.mark.parametrize("sizes", [(3, 5, 2), (3, 80, 1)])  # the latter is wide
def test_threads_change_no_bit(sizes, monkeypatch):
    monkeypatch.setattr(mbbp.threads, "_threads", None)
    monkeypatch.setattr(mbbp.threads, "LEAST_OPERATIONS", 1)
    X, Y = curved(9000 if sizes[1] == 5 else 3000, n_out=sizes[-1])
    found = []
    for threads in (1, 2):
        mbbp.set_threads(threads)
        found.append(trained(network(sizes), (X, Y), epochs=2))
    assert found[0].theta.tobytes() == found[1].theta.tobytes()
    assert figures(found[0].history) == figures(found[1].history)


@pytest.mark.parametrize(
    ("settings", "n_residuals", "n_parameters", "has_l2", "chosen"),
    [
        ({}, 1000, 50, False, "parameters"),
        ({}, 50, 1000, False, "residuals"),
        ({}, 50, 1000, True, "parameters"),
        ({"bayesian": True}, 50, 1000, False, "parameters"),
        ({"memory_limit": 1e6}, 1000, 300, False, "conjugate_gradient"),
        ({"memory_limit": 1e6}, 300, 1000, False, "conjugate_gradient"),
        ({"memory_limit": 1e6}, 300, 1000, True, "conjugate_gradient"),
        ({"memory_limit": 2e6}, 10**6, 100, False, "parameters"),  # its size does not matter for J^T J
        ({"system": "residuals"}, 1000, 50, False, "residuals"),
        ({"system": "parameters"}, 50, 1000, False, "parameters"),
        ({"system": "conjugate_gradient"}, 50, 10, True, "conjugate_gradient"),
    ],
)
def test_which_system_is_solved(settings, n_residuals, n_parameters, has_l2, chosen):
    found, needed = systems.choose_system(spec(**settings), n_residuals, n_parameters, has_l2=has_l2)
    assert found == chosen
    assert 0 < needed <= spec(**settings).memory_limit


@pytest.mark.parametrize(
    ("settings", "has_l2", "says"),
    [
        (
            {"system": "residuals", "bayesian": True},
            False,
            "system: expected 'parameters' .* with bayesian, got 'resid",
        ),
        ({"system": "residuals"}, True, "system: expected 'parameters' .* with l2, got 'residuals'"),
        ({"system": "conjugate_gradient", "bayesian": True}, False, "expected 'parameters' with bayesian"),
        ({"system": "conjugate_gradient", "scaling": True}, False, "expected 'parameters' with scaling"),
    ],
)
def test_systems_that_cannot_do_it(settings, has_l2, says):
    with pytest.raises(ValueError, match=says):
        systems.choose_system(spec(**settings), 50, 50, has_l2=has_l2)
    net = network()
    with pytest.raises(ValueError, match=says):
        trained(net, optimizer=spec(**settings), l2=0.1 if has_l2 else 0.0)
    assert net.theta.tobytes() == network().theta.tobytes()
    assert len(net.history) == 0


@pytest.mark.parametrize("settings", [{"system": "parameters"}, {"scaling": True}, {"bayesian": True}])
def test_matrices_that_are_too_large_are_refused_before_anything_changes(settings):
    net = network(scaling="standardize")
    before = net.theta.tobytes(), str(net.rng.bit_generator.state)
    with pytest.raises(
        MemoryError, match=r"at most 9.31e-07 GiB \(memory_limit\), got .* for 32 parameters and 48 resid"
    ):
        trained(net, optimizer=spec(memory_limit=1000, **settings))
    assert (net.theta.tobytes(), str(net.rng.bit_generator.state)) == before
    assert len(net.history) == 0
    assert net.optimizer_state is None
    assert not net.engine.scaling_is_learnt


# ------------------------------------------------------------------------------------------------------------ Bayesian


def test_bayesian_regularisation_against_a_direct_computation():
    X, Y = curved(60, noise=0.3)
    net, decay = network((3, 8, 2)), None
    prototype, size, n = Prototype(net, X, Y), net.theta.size, Y.size
    for epoch in range(8):
        theta, J = net.theta.copy(), prototype.jacobian(np.arange(60))
        r = prototype.residuals(theta, np.arange(60))
        used = float(size)
        if epoch:
            used -= decay * np.trace(np.linalg.inv(J.T @ J + decay * np.eye(size)))
        alpha, beta = used / (theta @ theta), (n - used) / (r @ r)
        row = trained(net, (X, Y), epochs=1, optimizer=spec(bayesian=True)).history[-1]
        assert row.effective_parameters == pytest.approx(used, rel=1e-7)
        assert row.prior_precision == pytest.approx(alpha, rel=1e-7)
        assert row.noise_precision == pytest.approx(beta, rel=1e-7)
        decay = alpha / beta
        prototype.decay = np.full(size, decay / 60)  # of all parameters, the biases too
        assert row.training_cost == pytest.approx(prototype.epoch()[0] / 60, rel=1e-7)
        np.testing.assert_allclose(net.theta, prototype.net.theta, rtol=0, atol=1e-7)


def test_on_noisy_data_few_parameters_are_in_use():
    rng = np.random.default_rng(0)
    X = np.linspace(-1, 1, 120)[None]
    Y, truth = np.sin(3 * X) + 0.2 * rng.standard_normal(X.shape), np.sin(3 * X)
    net, plain = network((1, 30, 1)), network((1, 30, 1))
    history = trained(net, (X, Y), epochs=150, optimizer=spec(bayesian=True)).history
    assert net.theta.size == 91
    assert 3 < history[-1].effective_parameters < 20
    assert history[-1].noise_precision ** -0.5 == pytest.approx(0.2, rel=0.15)
    trained(plain, (X, Y), epochs=150)
    assert np.abs(net.feedforward(X) - truth).mean() < 0.6 * np.abs(plain.feedforward(X) - truth).mean()


def test_the_new_columns_are_none_without_it():
    row = trained(epochs=1).history[0]
    assert row.damping > 0
    assert row[-5:] == (None,) * 5
