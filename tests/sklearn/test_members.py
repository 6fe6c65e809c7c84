"""Several networks in one estimator."""

import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

import mbbp
from mbbp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:300] / 16, Y[:300]


def classifier(**given):
    return MLPClassifier((8,), **{"max_iter": 5, "random_state": 0, "n_members": 4} | given)


def outputs_of_all(mlp):
    return np.array([mlp._own_outputs(X), *(member.predict_proba(X) for member in mlp.members_)])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_predictions_use_the_mean_of_the_outputs(solver):
    mlp = classifier(solver=solver).fit(X, Y)
    assert len(mlp.members_) == 3
    outputs = outputs_of_all(mlp)
    assert len({one.tobytes() for one in outputs}) == 4
    np.testing.assert_allclose(mlp.predict_proba(X), outputs.mean(axis=0), rtol=1e-13)
    np.testing.assert_array_equal(mlp.predict(X), outputs.mean(axis=0).argmax(axis=1))
    regressor = MLPRegressor(hidden_layer_sizes=(5,), solver=solver, max_iter=5, random_state=0, n_members=3).fit(X, Y)
    found = [regressor._own_outputs(X)[:, 0], *(member.predict(X) for member in regressor.members_)]
    np.testing.assert_allclose(regressor.predict(X), np.mean(found, axis=0), rtol=1e-13)


@pytest.mark.parametrize("random_state", [3, np.random.RandomState(5)])
def test_the_first_member_is_the_network_without_the_others_and_more_begin_alike(random_state):
    alone, few, many = (
        classifier(n_members=n, random_state=pickle.loads(pickle.dumps(random_state))).fit(X, Y) for n in (1, 2, 4)
    )
    assert not hasattr(alone, "members_")
    np.testing.assert_array_equal(alone.coefs_[0], many.coefs_[0])
    np.testing.assert_array_equal(few.members_[0].coefs_[0], many.members_[0].coefs_[0])


def test_the_number_of_threads_changes_no_bit():
    one, other = (classifier(n_threads=n).fit(X, Y) for n in (1, 3))
    assert outputs_of_all(one).tobytes() == outputs_of_all(other).tobytes()


def test_partial_fit_and_warm_start_go_on_with_all_members():
    mlp = classifier()
    for _ in range(2):
        mlp.partial_fit(X, Y, classes=np.arange(10))
    whole = classifier()
    whole.partial_fit(X, Y, classes=np.arange(10))
    before = [member.coefs_[0].copy() for member in whole.members_]
    kept = whole.members_[1]
    whole.partial_fit(X, Y)
    assert whole.members_[1] is kept
    assert all((member.coefs_[0] != old).any() for member, old in zip(whole.members_, before, strict=True))
    assert outputs_of_all(mlp).tobytes() == outputs_of_all(whole).tobytes()
    warm = classifier(warm_start=True).fit(X, Y)
    kept = warm.members_[0]
    assert warm.fit(X, Y).members_[0] is kept
    assert warm.set_params(n_members=1).fit(X, Y).predict(X).shape == Y.shape
    assert not hasattr(warm, "members_")


def test_copies_keep_the_members():
    mlp = classifier().fit(X, Y)
    again = pickle.loads(pickle.dumps(mlp))
    assert again.predict_proba(X).tobytes() == mlp.predict_proba(X).tobytes()
    assert clone(mlp).n_members == 4


def test_a_bad_sample_leaves_the_estimator_as_it_was():
    mlp = classifier().fit(X, Y)
    before = mlp.predict_proba(X)
    with pytest.raises(ValueError, match="NaN"):
        mlp.fit(np.full_like(X, np.nan), Y)
    np.testing.assert_array_equal(mlp.predict_proba(X), before)
    with pytest.raises(ValueError, match="'n_members' parameter"):
        classifier(n_members=0).fit(X, Y)


def test_a_callback_sees_the_first_network_alone():
    seen = []
    mlp = classifier(callbacks=seen.append)
    mlp.fit(X, Y)
    assert seen == [mlp] * 5


def test_ctrl_c_ends_all_members():
    mbbp.interrupts.Interrupts._last_press = -100.0
    begun = threading.Event()

    def press(mlp):
        if not begun.is_set():
            begun.set()
            os.kill(os.getpid(), signal.SIGINT)

    mlp = classifier(callbacks=press, max_iter=100_000, tol=0.0, n_iter_no_change=100_000)
    began = time.monotonic()
    with pytest.warns(UserWarning, match="interrupted by user"):
        mlp.fit(X, Y)
    mbbp.interrupts.Interrupts._last_press = -100.0
    assert time.monotonic() - began < 10
    assert mlp.n_iter_ < 100_000
    assert mlp.predict(X).shape == Y.shape


def test_new_parameters_reach_the_members_of_a_warm_start():
    warm = classifier(warm_start=True).fit(X, Y)
    seeds = [member.random_state for member in warm.members_]
    warm.set_params(max_iter=9, learning_rate_init=0.02, alpha=0.5).fit(X, Y)
    assert [member.random_state for member in warm.members_] == seeds
    for member in warm.members_:
        assert (member.max_iter, member.learning_rate_init, member.alpha) == (9, 0.02, 0.5)
        assert member.n_iter_ == warm.n_iter_


def test_members_that_are_there_are_kept_when_more_are_wanted():
    warm = classifier(warm_start=True, n_members=2).fit(X, Y)
    (kept,) = warm.members_
    warm.set_params(n_members=4).fit(X, Y)
    assert warm.members_[0] is kept
    assert len(warm.members_) == 3
    assert len(kept.loss_curve_) > len(warm.members_[1].loss_curve_)


def test_a_second_fit_is_refused_and_the_first_one_is_not_disturbed():
    errors = []

    def fit_again(mlp):
        def call():
            try:
                mlp.fit(X, Y)
            except RuntimeError as error:
                errors.append(str(error))

        other = threading.Thread(target=call)
        other.start()
        other.join()

    mlp = classifier(callbacks=fit_again).fit(X, Y)
    assert len(errors) == 5
    assert all("expected a network that is not being trained" in error for error in errors)
    assert len(mlp.members_) == 3
    assert mlp.predict_proba(X).tobytes() == classifier().fit(X, Y).predict_proba(X).tobytes()


PICKLES = []


def keep_pickle(mlp):
    PICKLES.append(pickle.dumps(mlp))


def test_a_callback_may_pickle_the_estimator():
    PICKLES.clear()
    mlp = classifier(callbacks=keep_pickle, warm_start=True).fit(X, Y)
    mlp.fit(X, Y)
    assert len(PICKLES) == 10
    assert pickle.loads(PICKLES[-1]).predict(X).shape == Y.shape


def test_an_error_in_the_training_leaves_members_that_fit_the_first_network():
    def break_off(mlp):
        raise ZeroDivisionError

    mlp = classifier().fit(X, Y)
    with pytest.raises(ZeroDivisionError):
        mlp.set_params(callbacks=break_off).fit(X[:, :9], Y)
    assert mlp.predict(X[:, :9]).shape == Y.shape
