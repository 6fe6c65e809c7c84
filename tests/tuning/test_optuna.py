"""Optuna as it is, with a callback that reports and prunes."""

import sys

import pytest

import mbbp
from tests.problems import labelled, network

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of Optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
X, Y = labelled()


def study_of(rates, monitor="validation_cost", direction="minimize"):
    """Return a study with a trial for each learning rate, and the networks."""
    nets = []

    def objective(trial):
        net = network()
        nets.append(net)
        callback = mbbp.tuning.OptunaPruning(trial, monitor)
        rate = trial.suggest_float("learning_rate", 1e-3, 100)
        history = net.fit(X, Y, epochs=5, learning_rate=rate, validation_split=0.3, callbacks=callback)
        return history[monitor][-1]

    pruner = optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=2)
    study = optuna.create_study(direction=direction, pruner=pruner, sampler=optuna.samplers.RandomSampler(0))
    for rate in rates:
        study.enqueue_trial({"learning_rate": rate})
    study.optimize(objective, n_trials=len(rates))
    return study, nets


def test_each_epoch_is_reported_and_a_bad_trial_is_pruned():
    study, nets = study_of([1.0, 0.9, 1e-3])
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert [len(net.history) for net in nets] == [5, 5, 2]
    for trial, net in zip(study.trials, nets, strict=True):
        assert trial.intermediate_values == dict(zip(range(1, 6), net.history["validation_cost"], strict=False))


def test_another_column_and_direction():
    study, nets = study_of([1.0], "training_accuracy", "maximize")
    assert list(study.trials[0].intermediate_values.values()) == nets[0].history["training_accuracy"]


class Trial:
    def report(self, value, step):
        raise AssertionError

    def should_prune(self):
        return False


def test_what_is_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"monitor: expected one of .*, got 'score'"):
        mbbp.tuning.OptunaPruning(Trial(), "score")
    with pytest.raises(TypeError, match="monitor: expected a name, got 3"):
        mbbp.tuning.OptunaPruning(Trial(), 3)
    with pytest.raises(TypeError, match=r"trial: expected an optuna\.Trial, got 3"):
        mbbp.tuning.OptunaPruning(3)
    with pytest.raises(ValueError, match="monitor: expected a column that this training measures, got 'validation_c"):
        network().fit(X, Y, epochs=1, callbacks=mbbp.tuning.OptunaPruning(Trial()))
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match="OptunaPruning: needs optuna; pip install optuna"):
        mbbp.tuning.OptunaPruning(Trial())


def test_the_example_runs(capsys):
    from benchmarks import optuna_search

    optuna_search.main(["--trials", "6", "--epochs", "6"])
    seen = capsys.readouterr().out
    assert "6 trials" in seen
    assert "its accuracy on the test data is" in seen
