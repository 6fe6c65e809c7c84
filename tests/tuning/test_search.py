"""Searches: the same every time, each candidate as if trained alone, and the right ones go on."""

import gc
import subprocess
import sys
import time
import warnings
import weakref

import numpy as np
import pytest

import mbbp
from mbbp.tuning import built, choice, integers, log_uniform, uniform
from tests.many.test_fit_many import no_press_before, press, state_of, threads_of_the_test  # noqa: F401
from tests.problems import continuous, figures
from tests.tuning.searches import COMMON, HALVING, SPACE, X, Y, all_of, by_hand, find


@pytest.mark.parametrize("more", [{}, HALVING], ids=["random", "halving"])
@pytest.mark.parametrize("threads", [1, 2])
def test_each_candidate_is_trained_as_if_alone_to_the_bit(more, threads, threads_of_the_test):  # noqa: F811
    threads_of_the_test(threads)
    result = find(**more)
    for one in result.candidates:
        net = by_hand(one, result.rungs)
        assert tuple(net.history["validation_cost"]) == one.scores
        assert (net.history[-1].validation_cost, len(net.history)) == (one.score, one.epochs)
    assert state_of(result.best_network) == state_of(by_hand(result.candidates[0], result.rungs))
    assert result.best == result.candidates[0].settings
    assert result.best_score == result.candidates[0].score


def test_the_rungs_train_on_as_one_training_would():
    result = find(**HALVING)
    one = result.candidates[0]
    settings = {name: value for name, value in one.settings.items() if name != "hidden"}
    whole = mbbp.Network([4, *one.settings["hidden"], 3], rng=one.seed, dtype="float64")
    whole.fit(X, Y, epochs=9, validation_split=0.3, **settings)
    assert whole.theta.tobytes() == result.best_network.theta.tobytes()
    assert figures(whole.history) == figures(result.best_network.history)


def test_the_same_seed_gives_the_same_result():
    assert all_of(find(**HALVING)) == all_of(find(**HALVING))
    assert all_of(find()) != all_of(find(rng=6))
    given = [find(rng=np.random.default_rng(3)).table() for _ in range(2)]
    assert given[0] == given[1]
    assert find(rng=None).table() != find(rng=None).table()


def test_a_candidate_depends_on_its_number_alone():
    few = {one.number: one for one in find(n_candidates=3).candidates}
    many = {one.number: one for one in find(n_candidates=7).candidates}
    turned = {one.number: one for one in find(space=dict(reversed(SPACE.items())), n_candidates=3).candidates}
    assert few == {number: many[number] for number in range(3)} == turned


@pytest.mark.parametrize(
    ("n", "epochs", "eta", "rungs", "counts"),
    [
        (9, 9, 3, (1, 3, 9), (9, 3, 1)),
        (20, 30, 3, (3, 10, 30), (20, 6, 2)),
        (5, 8, 2, (2, 4, 8), (5, 2, 1)),
        (8, 3, 2, (1, 3), (8, 4)),
        (2, 5, 3, (5,), (2,)),
        (9, 1, 3, (1,), (9,)),
    ],
)
def test_the_best_go_on(n, epochs, eta, rungs, counts):
    result = find(method="halving", n_candidates=n, epochs=epochs, eta=eta)
    assert result.rungs == rungs
    assert len(result.candidates) == n
    for rung, count in enumerate(counts):
        trained = [one for one in result.candidates if one.rungs > rung]
        assert len(trained) == count
        ends = {one.number: one.scores[rungs[rung] - 1] for one in trained}
        expected = sorted(ends, key=lambda i: (ends[i], i))[: counts[rung + 1] if rung + 1 < len(counts) else 0]
        assert {one.number for one in result.candidates if one.rungs > rung + 1} == set(expected)
    keys = [(-one.rungs, one.score, one.number) for one in result.candidates]
    assert keys == sorted(keys)


def test_an_accuracy_is_better_when_it_is_larger():
    result = find(monitor="validation_accuracy", n_candidates=12)
    scores = [one.score for one in result.candidates]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]
    assert result.best_network.history[-1].validation_accuracy == scores[0]


def diverging(**given):
    space = {
        **SPACE,
        "learning_rate": choice(0.1, 1e200),
        "optimizer": "sgd",
        "activation": ["tanh", "identity"],
        "hidden": 5,
    }
    return find(space=space, **given)


@pytest.mark.parametrize("more", [{"n_candidates": 9}, HALVING], ids=["random", "halving"])
def test_a_candidate_that_diverges_is_the_last_and_stops_no_other(more):
    with pytest.warns(UserWarning, match=r"\d of 9 candidates diverged"):
        result = diverging(**more)
    bad = [one for one in result.candidates if one.settings["learning_rate"] == 1e200]
    assert 0 < len(bad) < 9
    assert list(result.candidates[-len(bad) :]) == bad
    assert {(one.score, one.diverged, one.rungs) for one in bad} == {(None, True, 1)}
    assert not any(one.diverged for one in result.candidates[: -len(bad)])
    assert result.diverged == tuple(sorted(one.number for one in bad))
    assert result.best_score is not None


def test_if_all_diverge_there_is_no_best():
    space = {"hidden": integers(3, 5), "learning_rate": uniform(1e199, 1e200)}
    with pytest.warns(UserWarning, match="3 of 3 candidates diverged: 0, 1, 2"):
        result = find(space=space, n_candidates=3, activation=["tanh", "identity"])
    assert (result.best, result.best_score, result.best_network) == (None, None, None)
    assert "diverged" in result.table()
    with pytest.raises(ValueError, match="plot: expected a search with at least one candidate that has a score"):
        result.plot()


def late(net, row):
    """End in the last rung with an overflow: the next mini-batch meets parameters that are too large."""
    if row.epoch == 3:
        net.theta = np.full_like(net.theta, 1e200)


def test_if_the_last_rung_diverges_the_best_that_did_not_go_on_is_the_best():
    more = {**HALVING, "callbacks": late, "activation": ["tanh", "identity"], "space": {**SPACE, "hidden": 3}}
    with pytest.warns(UserWarning, match="1 of 9 candidates diverged"):
        result = find(**more)
    assert result.candidates[-1].diverged
    assert [one.rungs for one in result.candidates] == [2, 2, 1, 1, 1, 1, 1, 1, 3]
    assert len(result.best_network.history) == 3
    assert result.best_network.history[-1].validation_cost == result.best_score


def test_early_stopping_scores_the_epoch_that_is_restored_and_the_rest_is_saved():
    stop = mbbp.EarlyStopping("validation_accuracy", patience=1)
    result = find(n_candidates=9, method="halving", epochs=18, early_stopping=stop, monitor="validation_accuracy")
    ended = [one for one in result.candidates if one.epochs < result.rungs[one.rungs - 1]]
    assert any(one.rungs > 1 for one in ended)  # it went on as it was
    X_held = mbbp.subsets.split(Y.size, None, 0.3)[1]
    assert result.best_network.accuracy(X[:, X_held], Y[X_held]) == result.best_score
    assert all(max(one.scores) == one.score for one in ended if one.rungs == 1)
    assert all(len(one.scores) == one.epochs for one in result.candidates)


def make(settings):
    """Return a network whose second hidden layer is half as large as the first."""
    n = settings["first"]
    return mbbp.Network([4, n, n // 2, 3], dtype="float64", rng=settings["rng"])


def test_a_function_makes_the_networks():
    space = {"first": integers(4, 9), "learning_rate": log_uniform(0.01, 1)}
    result = mbbp.search(space, X, Y, make=make, n_candidates=4, epochs=2, rng=0, validation_split=0.3)
    for one in result.candidates:
        net = make({**one.settings, "rng": one.seed})
        net.fit(X, Y, epochs=2, learning_rate=one.settings["learning_rate"], validation_split=0.3)
        assert net.history[-1].validation_cost == one.score
    assert result.best_network.sizes[2] == result.best["first"] // 2


@pytest.mark.parametrize(
    ("y", "more", "n_out"),
    [
        (Y, {}, 3),
        (Y % 2, {}, 2),
        (continuous()[1], {}, 3),
        (continuous()[1][:1], {}, 1),
        (Y * 0.5, {"activation": ["tanh", "identity"]}, 1),
        (Y, {"activation": "tanh", "cost": "huber"}, 1),
        (Y, {"activation": "tanh", "cost": "poisson"}, 1),
    ],
)
def test_the_outputs_follow_from_the_targets(y, more, n_out):
    space = {"hidden": integers(2, 4)}
    result = mbbp.search(space, X, y, n_candidates=2, epochs=1, validation_split=0.3, rng=0, **more)
    assert result.best_network.sizes == (4, result.best["hidden"], n_out)


def test_sizes_may_be_given_and_settings_may_be_values():
    space = {"sizes": [4, 3], "learning_rate": log_uniform(0.1, 1), "l2": 0.5}
    result = find(space=space, n_candidates=2)
    for one in result.candidates:
        net = mbbp.Network([4, 3], rng=one.seed, dtype="float64")
        net.fit(X, Y, epochs=3, validation_split=0.3, l2=0.5, learning_rate=one.settings["learning_rate"])
        assert net.history[-1].validation_cost == one.score
        assert one.settings["l2"] == 0.5


def test_ctrl_c_returns_what_has_finished(no_press_before, capsys):  # noqa: F811
    result = find(n_candidates=50, epochs=20_000, early_stopping=None, callbacks=press(1, 3))
    assert result.was_interrupted
    assert len(result.candidates) == 0
    assert repr(result) == "SearchResult(0 candidates, interrupted)"
    assert result.best is None
    assert "ending after this epoch" in capsys.readouterr().err


def test_after_ctrl_c_the_best_network_is_that_of_its_last_rung(no_press_before):  # noqa: F811
    def slow(net, row):
        time.sleep(0.01 if row.epoch > 100 else 0)

    result = find(method="halving", n_candidates=6, epochs=400, eta=2, callbacks=[slow, press(1, 103)])
    assert result.was_interrupted
    assert {one.rungs for one in result.candidates} == {1}
    assert len(result.best_network.history) == result.rungs[0] == 100
    assert result.best_network.history[-1].validation_cost == result.best_score


def test_a_second_ctrl_c_raises(no_press_before):  # noqa: F811
    with pytest.raises(KeyboardInterrupt):
        find(epochs=100_000, callbacks=press(2, 3))


def test_an_error_in_a_callback_names_the_candidate():
    def fail(net, row):
        raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today") as caught:
        find(callbacks=fail)
    assert caught.value.__notes__[0].startswith("This is an error of candidate ")
    assert "'learning_rate': 0." in caught.value.__notes__[0]


def test_one_bar_counts_all_rungs(capsys):
    find(progress=True, **HALVING)
    seen = capsys.readouterr().err
    assert "rung 1 of 3: 9 of 9 networks" in seen
    assert "rung 3 of 3: 1 of 1 networks 100%" in seen


@pytest.mark.parametrize(("scaling", "n"), [(None, 1), ("standardize", 2)])  # before and after the scaling is learnt
def test_data_are_checked_once(scaling, n, monkeypatch):
    seen, narrowed = [], mbbp.preparing.narrowed
    monkeypatch.setattr(mbbp.preparing, "narrowed", lambda *given: seen.append(1) or narrowed(*given))
    find(**{**HALVING, "dtype": "float32", "scaling": scaling})
    assert len(seen) == n


def test_importing_mbbp_imports_no_search():
    program = "import sys, mbbp; n = {one for one in sys.modules if 'tuning' in one}; print(n, 'search' in dir(mbbp))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "set() True\n"
    with pytest.raises(AttributeError, match="module 'mbbp' has no attribute 'sarch'"):
        mbbp.sarch  # noqa: B018


def test_optimizers_and_schedules_are_built():
    space = {
        "hidden": integers(2, 4),
        "optimizer": built(mbbp.Momentum, momentum=uniform(0.5, 0.9)),
        "learning_rate": built(mbbp.schedules.Cosine, log_uniform(0.1, 1), epochs=3),
    }
    result = find(space=space)
    for one in result.candidates:
        net = mbbp.Network([4, one.settings["hidden"], 3], rng=one.seed, dtype="float64")
        given = {name: one.settings[name] for name in ("optimizer", "learning_rate")}
        assert net.fit(X, Y, epochs=3, validation_split=0.3, **given)[-1].validation_cost == one.score
    assert len({one.settings["optimizer"].momentum for one in result.candidates}) == 6


def test_data_frames_and_lists_are_taken():
    pandas = pytest.importorskip("pandas")
    expected = find()
    for inputs, targets in ((pandas.DataFrame(X.T).T, pandas.Series(Y)), (X.tolist(), Y.tolist())):
        result = mbbp.search(SPACE, inputs, targets, n_candidates=6, epochs=3, **COMMON)
        assert all_of(result) == all_of(expected)


def test_networks_that_are_not_needed_are_freed():
    dead = []

    def count(net, row):
        weakref.finalize(net, dead.append, None)
        seen.append(len(dead))
        if len(seen) == 55:
            gc.collect()

    seen = []
    find(n_candidates=60, epochs=1, callbacks=count)
    assert seen[-1] > 40


def test_nothing_is_said_without_a_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find(n_candidates=2, **{**COMMON, "rng": 0})
