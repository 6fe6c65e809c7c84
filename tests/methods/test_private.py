"""dp_sgd: its steps against a loop over the examples, its noise, and the privacy that it says is spent."""

import copy
import logging
import math
import sys

import dp_accounting
import numpy as np
import pytest
import scipy.stats

import mbbp
from mbbp import reference, schedules
from mbbp.methods import private
from mbbp.methods.keystream import Keystream
from mbbp.methods.private import Accountant
from mbbp.progress import Progress
from mbbp.reference.noise import box_muller
from tests.problems import N, continuous, figures, is_weight, labelled, network

KEY = bytes(range(32))
NO_NOISE = {"noise_multiplier": 0.0, "clip_norm": 0.05}


def spec(**settings):
    return mbbp.DPSGD(**{"noise_multiplier": 1.2, "clip_norm": 0.5} | settings)


def trained(net=None, epochs=2, data=labelled, **options):
    net = network() if net is None else net
    net.fit(*data(), epochs=epochs, **{"optimizer": spec(), "batch_size": 5} | options)
    return net


def clipped_sum(net, X, y, weights, clip_norm):
    """Return the sum of the clipped gradients, one after the other."""
    total = np.zeros(net.theta.size)
    for i in range(X.shape[1]):
        gradient = weights[i] * reference.gradient(net, X[:, [i]], y[..., [i]]).theta
        norm = np.linalg.norm(gradient)
        total += gradient * (clip_norm / norm if norm > clip_norm else 1.0)
    return total


def twin(net, X, y, spec, *, epochs, batch_size, rate, l2=0.0, weights=None):
    """Return theta after the same training in NumPy, with the same stream, and the norm of the last clipped sum."""
    net, n, stream = copy.deepcopy(net), X.shape[1], Keystream(KEY)
    weights = np.ones(n) if weights is None else weights
    steps, size, probability = math.ceil(n / batch_size), net.theta.size, batch_size / n
    kind = np.dtype(f"u{net.theta.itemsize}")
    of_weights, total = is_weight(net), None
    for _ in range(epochs):
        drawn = stream.chosen(steps * n, probability)
        words = np.empty((steps, 2 * ((size + 1) // 2)), kind)
        stream.fill(words)
        for step in range(steps):
            batch = drawn[drawn // n == step] % n
            total = clipped_sum(net, X[:, batch], y[..., batch], weights[batch], spec.clip_norm)
            noisy = total + spec.noise_multiplier * spec.clip_norm * box_muller(words[step], size)
            decay = l2 / n * net.theta * of_weights
            net.theta = net.theta - rate * (noisy / batch_size + decay)
    return net.theta, np.linalg.norm(total) / batch_size


@pytest.fixture
def same_stream(monkeypatch):
    monkeypatch.setattr(private, "Keystream", lambda: Keystream(KEY))


# --------------------------------------------------------------------------------------------------------------- steps

KINDS = {
    "targets": (continuous, {}, {}),
    "labels": (labelled, {"activation": ["tanh", "softmax"], "cost": "log_likelihood"}, {}),
    "sigmoids and labels": (labelled, {"cost": "cross_entropy"}, {"l2": 0.9}),
    "l2": (continuous, {"activation": "tanh"}, {"l2": 2.0}),
    "scaled": (continuous, {"scaling": mbbp.Scaling(np.linspace(-1, 1, 4), np.linspace(0.5, 2, 4))}, {"l2": 0.3}),
    "weighted": (labelled, {}, {"example_weights": np.linspace(0.0, 3.0, N)}),
}


@pytest.mark.parametrize(("problem", "how", "options"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("clip_norm", [1e-3, 0.05, 1e6])
def test_without_noise_and_sampling_it_is_gradient_descent_with_clipped_gradients(problem, how, options, clip_norm):
    X, y = problem()
    net, without = network(**how), spec(noise_multiplier=0.0, clip_norm=clip_norm)
    given = {"l2": options.get("l2", 0.0), "weights": options.get("example_weights")}
    thetas = []
    history = net.fit(
        X, y, epochs=4, optimizer=without, batch_size=N, learning_rate=0.7, **options,
        callbacks=lambda net, _: thetas.append(net.theta.copy()),
    )  # fmt: skip
    for epochs, found in enumerate(thetas, 1):
        expected, norm = twin(network(**how), X, y, without, epochs=epochs, batch_size=N, rate=0.7, **given)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        assert history[epochs - 1].gradient_norm == pytest.approx(norm, rel=1e-9)
    weights = np.ones(N) if given["weights"] is None else given["weights"]
    before = [reference.cost(network(**how), X[:, [i]], y[..., [i]]) for i in range(N)]
    assert history[0].training_cost == pytest.approx(weights @ before / N, rel=1e-12)
    if problem is labelled:
        assert history[0].training_accuracy == (network(**how).classify(X) == y).mean()
    assert (history[0].training_accuracy is None) == (problem is continuous)
    assert net.optimizer_state.steps == 4
    assert history["epsilon"] == [math.inf] * 4


@pytest.mark.parametrize(("batch_size", "at_once"), [(1, None), (5, 2), (8, 1), (N, None)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-5)])
def test_steps_with_sampling_and_noise(batch_size, at_once, dtype, tolerance, same_stream, monkeypatch):
    """With a batch size of 1, a third of the steps have no example."""
    X, y = labelled()
    net, noisy = network(dtype=dtype), spec(clip_norm=0.05)
    if at_once:
        words = 2 * ((net.theta.size + 1) // 2)
        monkeypatch.setattr(private, "BITS_AT_ONCE", at_once * words * net.theta.itemsize)
    how = {"epochs": 2, "batch_size": batch_size}
    expected, norm = twin(network(dtype=dtype), X, y, noisy, rate=0.3, l2=0.5, **how)
    history = net.fit(X, y, optimizer=noisy, learning_rate=0.3, l2=0.5, **how)
    np.testing.assert_allclose(net.theta, expected, rtol=0, atol=tolerance)
    assert history[-1].gradient_norm == pytest.approx(norm, rel=1e-3 if dtype == "float32" else 1e-9, abs=1e-15)


@pytest.mark.parametrize("batch_size", [2500, 1300])
def test_a_batch_in_several_chunks(batch_size, same_stream):
    X, y = labelled(2500)
    net, noisy = network(), spec(clip_norm=0.1)
    net.fit(X, y, epochs=1, optimizer=noisy, batch_size=batch_size, learning_rate=0.3)
    assert batch_size > 8 * mbbp.engine.CHUNK
    expected, _ = twin(network(), X, y, noisy, epochs=1, batch_size=batch_size, rate=0.3)
    np.testing.assert_allclose(net.theta, expected, rtol=0, atol=1e-12)


def test_examples_that_are_held_out_are_never_drawn(same_stream):
    X, y = labelled(60)
    net, plain = network(), network()
    history = net.fit(X, y, epochs=2, optimizer=spec(), batch_size=10, validation_split=0.3)
    kept = np.isfinite(X[0])
    chosen = mbbp.subsets.split(60, None, 0.3)[0]
    kept[np.setdiff1d(np.arange(60), chosen)] = False
    plain.fit(X[:, kept], y[kept], epochs=2, optimizer=spec(), batch_size=10)
    np.testing.assert_allclose(net.theta, plain.theta, rtol=0, atol=1e-13)
    assert history[-1].validation_cost == pytest.approx(net.cost(X[:, ~kept], y[~kept]))


def test_a_schedule_and_a_learning_rate_by_default():
    rates = trained(learning_rate=schedules.Exponential(0.2, 0.5), epochs=3).history["learning_rate"]
    assert rates == pytest.approx([0.2, 0.1, 0.05])
    assert trained(epochs=1).history["learning_rate"] == [mbbp.DPSGD.default_learning_rate]
    net = network()
    net.fit(*labelled(), epochs=1, optimizer="dp_sgd")
    assert net.optimizer_state.steps == math.ceil(N / 10)  # the batch size by default


# --------------------------------------------------------------------------------------------------------------- noise


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_noise_has_the_deviation_that_is_accounted_for(dtype):
    """The norm of every gradient is cut to a millionth of the noise."""
    rate, batch_size, clip_norm, multiplier = 0.5, 7, 1e-6, 3e6
    X, y = labelled(n=7)
    net = mbbp.Network([4, 150, 3], dtype=dtype, rng=0)
    thetas = [net.theta.copy()]
    net.fit(
        X, y, epochs=60, batch_size=batch_size, learning_rate=rate,
        optimizer=spec(noise_multiplier=multiplier, clip_norm=clip_norm),
        callbacks=lambda net, _: thetas.append(net.theta.copy()),
    )  # fmt: skip
    changes = np.diff(np.array(thetas, np.float64), axis=0) / (rate * multiplier * clip_norm / batch_size)
    assert changes.std() == pytest.approx(1.0, abs=5 / math.sqrt(2 * changes.size))
    assert abs(changes.mean()) < 5 / math.sqrt(changes.size)
    assert scipy.stats.kstest(changes.ravel(), "norm").pvalue > 1e-6  # no key is fixed here
    for one, other in ((changes[1:], changes[:-1]), (changes[:, 1:], changes[:, :-1])):
        assert abs((one * other).mean()) < 6 / math.sqrt(one.size)
    walk = np.array(thetas[-1], np.float64) - thetas[0]
    expected = math.sqrt(60) * rate * multiplier * clip_norm / batch_size
    assert walk.std() == pytest.approx(expected, rel=5 / math.sqrt(2 * walk.size))


def test_no_two_trainings_have_the_same_noise():
    assert not np.isin(trained().theta, trained().theta).any()


# ------------------------------------------------------------------------------------------------------------- privacy


def epsilon_of(spec, probability, steps):
    accountant = dp_accounting.rdp.RdpAccountant()
    noise = dp_accounting.GaussianDpEvent(spec.noise_multiplier)
    accountant.compose(dp_accounting.PoissonSampledDpEvent(probability, noise), steps)
    return accountant.get_epsilon(spec.delta)


@pytest.mark.parametrize("settings", [{}, {"delta": 1e-3}, {"noise_multiplier": 4.0}])
@pytest.mark.parametrize("batch_size", [1, 5, N])
def test_epsilon_is_that_of_dp_accounting(settings, batch_size):
    one = spec(**settings)
    history = trained(optimizer=one, batch_size=batch_size, epochs=3).history
    steps = math.ceil(N / batch_size)
    expected = [epsilon_of(one, batch_size / N, steps * epoch) for epoch in (1, 2, 3)]
    assert history["epsilon"] == pytest.approx(expected, rel=1e-12)
    assert history["delta"] == [one.delta] * 3
    assert sorted(history["epsilon"]) == history["epsilon"]


def test_the_privacy_of_no_step_is_not_computed():
    one = spec()
    assert Accountant(one, 0.1).epsilon(0) == 0.0
    assert Accountant(spec(noise_multiplier=0.0), 0.1).epsilon(0) == 0.0
    assert Accountant(spec(noise_multiplier=0.0), 0.1).epsilon(1) == math.inf


def test_a_training_is_accounted_for_in_one_computation(monkeypatch):
    composed, compose = [], dp_accounting.rdp.RdpAccountant.compose
    monkeypatch.setattr(
        dp_accounting.rdp.RdpAccountant, "compose", lambda *given: composed.append(1) or compose(*given)
    )
    private._divergences.cache_clear()
    trained(epochs=50)
    assert sum(composed) == 1


def test_a_further_training_is_one_with_the_training_before():
    net = trained(epochs=2)
    trained(net, epochs=3)
    assert net.history["epsilon"][-1] == pytest.approx(epsilon_of(spec(), 5 / N, 5 * 5), rel=1e-12)
    assert net.history["delta"] == [1e-5] * 5
    assert net.optimizer_state.steps == 25
    trained(net, epochs=1, batch_size=6)  # another sampling: both are added
    sums = [epsilon_of(spec(), 5 / N, 25) + epsilon_of(spec(), 6 / N, steps) for steps in (4, 8, 12)]
    assert net.history["epsilon"][-1] == pytest.approx(sums[0], rel=1e-12)
    trained(net, epochs=2, batch_size=6)
    assert net.history["epsilon"][-2:] == pytest.approx(sums[1:], rel=1e-12)
    assert net.history["delta"][-3:] == [2e-5] * 3
    other = spec(noise_multiplier=3.0, delta=1e-4)
    trained(net, epochs=1, optimizer=other)
    assert net.history["epsilon"][-1] == pytest.approx(sums[2] + epsilon_of(other, 5 / N, 5), rel=1e-12)
    assert net.history["delta"][-1] == pytest.approx(1.2e-4)


def test_a_training_by_another_method_in_between_takes_nothing_back():
    net = trained(epochs=2)
    first = net.history[-1].epsilon
    net.fit(*labelled(), epochs=2)
    trained(net, epochs=1)
    assert net.history["epsilon"][2:4] == [None, None]
    assert net.history[-1].epsilon == pytest.approx(first + epsilon_of(spec(), 5 / N, 5), rel=1e-12)


@pytest.mark.parametrize("other", [{}, {"batch_size": 6}])
def test_a_training_that_is_saved_in_between(other, tmp_path):
    whole, parted = trained(epochs=1, **other), trained(epochs=1, **other)
    trained(whole, epochs=10)
    trained(parted, epochs=5)
    mbbp.save(parted, tmp_path / "net.npz")
    back = mbbp.load(tmp_path / "net.npz")
    assert back.history == parted.history
    assert back.optimizer_state.optimizer == spec()
    trained(back, epochs=5)
    for column in ("epsilon", "delta", "learning_rate"):
        assert back.history[column] == whole.history[column]
    assert back.optimizer_state.steps == whole.optimizer_state.steps


def test_a_training_without_noise_is_saved(tmp_path):
    net = trained(optimizer=mbbp.DPSGD(**NO_NOISE))
    mbbp.save(net, tmp_path / "net.npz")
    back = mbbp.load(tmp_path / "net.npz")
    trained(back, optimizer=mbbp.DPSGD(**NO_NOISE))
    assert back.history["epsilon"] == [math.inf] * 4
    assert back.history["delta"] == [1e-5] * 4


def test_a_checkpoint_goes_on_with_its_steps(tmp_path):
    path, lost = tmp_path / "run.npz", []

    def fail(_, row):
        if row.epoch == 5:
            lost.append(row)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trained(epochs=9, checkpoint=path, every=2, callbacks=fail)
    back = mbbp.load(path)
    assert len(back.history) == 4
    assert back.optimizer_state.steps == 20
    trained(back, epochs=1)
    assert back.history[-1].epsilon == lost[0].epsilon


# -------------------------------------------------------------------------------------------------- what may go wrong


@pytest.mark.parametrize("module", ["dp_accounting.rdp", "cryptography.hazmat.primitives.ciphers"])
def test_without_a_package_nothing_changes(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    name = {"dp_accounting": "dp-accounting"}.get(module.split(".")[0], "cryptography")
    net = network(scaling="standardize")
    theta, bits = net.theta.tobytes(), str(net.rng.bit_generator.state)
    with pytest.raises(ImportError, match=f"dp_sgd: needs .*; pip install {name}"):
        trained(net)
    assert net.theta.tobytes() == theta
    assert str(net.rng.bit_generator.state) == bits
    assert len(net.history) == 0
    assert net.optimizer_state is None
    assert not net.engine.scaling_is_learnt


def test_nothing_is_told_of_orders_that_are_not_used(caplog, capfd):
    one = mbbp.DPSGD(noise_multiplier=0.3)
    epsilon_of(one, 0.5, 1)
    assert "failed to converge" in caplog.text  # so this shows what dp-accounting tells
    caplog.clear()
    capfd.readouterr()
    private._divergences.cache_clear()
    assert Accountant(one, 0.5).epsilon(3) == pytest.approx(epsilon_of(one, 0.5, 3))
    caplog.clear()
    private._divergences.cache_clear()
    Accountant(one, 0.5).epsilon(3)
    with private._quiet():
        logging.getLogger("absl").warning("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"]


def test_an_epoch_that_fails_spends_nothing(monkeypatch):
    net = trained(epochs=2)
    theta, kept = net.theta.copy(), net.optimizer_state.copy()
    X = np.full((4, N), 1e200)
    with pytest.raises(mbbp.DivergedError):
        net.fit(X, np.full((3, N), 1e200), epochs=1, optimizer=spec(), batch_size=5, learning_rate=1e300)
    advance, calls = Progress.advance, []

    def interrupted(self, examples):
        calls.append(examples)
        if len(calls) == 2:
            raise KeyboardInterrupt
        advance(self, examples)

    monkeypatch.setattr(private, "EXAMPLES_AT_ONCE", 1)
    monkeypatch.setattr(Progress, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(net, batch_size=6)
    monkeypatch.undo()
    np.testing.assert_array_equal(net.theta, theta)
    assert net.optimizer_state.steps == kept.steps == 10
    assert len(net.history) == 2
    trained(net, epochs=1)
    assert net.history[-1].epsilon == pytest.approx(epsilon_of(spec(), 5 / N, 15), rel=1e-12)


def test_early_stopping_and_stop_training():
    net = trained(epochs=30, early_stopping=mbbp.EarlyStopping("epsilon", patience=3))  # which only rises
    assert len(net.history) == 4
    assert net.history.has_ended

    def stop(net, row):
        raise mbbp.StopTraining

    assert len(trained(epochs=30, callbacks=stop).history) == 1


def test_it_draws_nothing_from_the_generator_of_the_network():
    net = trained()
    assert str(net.rng.bit_generator.state) == str(network().rng.bit_generator.state)


def test_what_it_does_not_take():
    for options, says in (
        ({"clip_norm": 1.0}, "clip_norm: expected None with dp_sgd, got 1.0; it is a setting of mbbp.DPSGD"),
        ({"weight_decay": 0.1}, "weight_decay: expected 0 with dp_sgd, got 0.1; use l2"),
        ({"batch_size": 0}, "batch_size: expected 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate: expected a finite number above 0"),
    ):
        net = network()
        with pytest.raises(ValueError, match=says):
            trained(net, **options)
        assert net.theta.tobytes() == network().theta.tobytes()
    with pytest.raises(ValueError, match="dropout: expected a network without it for dp_sgd"):
        trained(network(dropout=0.5))
    for settings in ({"noise_multiplier": -1}, {"clip_norm": 0}, {"delta": 0}, {"delta": 1}, {"delta": math.nan}):
        (name,) = settings
        with pytest.raises(ValueError, match=f"{name}: expected"):
            mbbp.DPSGD(**settings)
        with pytest.raises(TypeError, match=f"{name}: expected"):
            mbbp.DPSGD(**{name: "1"})


def test_a_further_training_changes_no_row_of_the_history():
    net = trained(epochs=2)
    rows = figures(net.history)
    trained(net, epochs=1)
    assert figures(net.history)[:2] == rows
