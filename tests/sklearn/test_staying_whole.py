"""Bad input, errors, copies, and parameters that are changed between calls: the estimator stays whole."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_digits

import mbbp
from mbbp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_digits(return_X_y=True)
X, Y = X[:400] / 16, Y[:400]


@pytest.mark.parametrize("solver", [optimizer for name, optimizer in mbbp.solvers.OPTIMIZERS.items()], ids=str)
def test_alpha_counts_with_every_optimizer(solver):
    weak, strong = (
        MLPClassifier((9,), solver=solver, alpha=alpha, random_state=0, max_iter=20).fit(X, Y) for alpha in (0.0, 50.0)
    )
    assert np.abs(strong.coefs_[0]).mean() < np.abs(weak.coefs_[0]).mean()


def test_an_error_before_the_training_changes_nothing():
    mlp = MLPClassifier((9,), random_state=0, max_iter=5).fit(X, Y)
    before, state = mlp.predict_proba(X), mlp.__dict__.copy()
    for change, arguments in (
        ({}, {"y": Y[1:]}),
        ({}, {"eval_set": (X, Y + 9)}),
        ({}, {"sample_weight": np.ones(3)}),
        ({"learning_rate": lambda epoch: -1.0}, {}),
        ({"out_activation": "relu"}, {}),
        ({"activation": ["relu", "relu"]}, {}),
        ({"early_stopping": True, "validation_fraction": 1e-9}, {}),
        ({"hidden_layer_sizes": (5.7,)}, {}),
        ({"hidden_layer_sizes": (True,)}, {}),
    ):
        old = mlp.get_params()
        mlp.set_params(**change)
        with pytest.raises((ValueError, TypeError)):
            mlp.fit(**{"X": X, "y": Y} | arguments)
        mlp.set_params(**old)
        np.testing.assert_array_equal(mlp.predict_proba(X), before)
    assert mlp.__dict__.keys() == state.keys()


def test_as_many_outputs_as_in_the_first_fit():
    mlp = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3).fit(X, np.column_stack([Y, Y]))
    with pytest.raises(ValueError, match="y: expected 2 outputs as in the first fit, got 1"):
        mlp.partial_fit(X, Y)
    assert mlp.n_outputs_ == 2
    with pytest.raises(TypeError, match="y: expected numbers, got <U"):
        MLPRegressor().fit(X, Y.astype(str))


@pytest.mark.parametrize("loss", ["squared_error", "squared_hinge", mbbp.costs.huber(0.5)])
@pytest.mark.parametrize("labels", [Y > 4, Y], ids=["two", "ten"])
def test_margins_are_above_zero_for_what_is_predicted(loss, labels):
    mlp = MLPClassifier((9,), loss=loss, out_activation="identity", random_state=0, max_iter=20).fit(X, labels)
    margins = mlp.decision_function(X)
    chosen = margins > 0 if margins.ndim == 1 else margins.argmax(axis=1)
    np.testing.assert_array_equal(mlp.predict(X), chosen)


def test_weights_of_multilabel_classes_and_sparse_targets():
    labels = np.column_stack([Y > 4, Y % 2]).astype(int)
    for given in (labels, scipy.sparse.csr_matrix(labels)):
        mlp = MLPClassifier((9,), class_weight="balanced", random_state=0, max_iter=3).fit(X, given)
        assert mlp.predict(X).shape == (len(X), 2)
    weighted = MLPClassifier((9,), class_weight=[{0: 1, 1: 3}, {0: 1, 1: 1}], random_state=0, max_iter=3)
    assert weighted.fit(X, labels).loss_ != mlp.loss_
    with pytest.raises(ValueError, match="eval_set: expected a matrix of 0 and 1 as in the fit, got binary targets"):
        mlp.fit(X, labels, eval_set=(X, labels[:, 0]))


def test_a_scorer_gets_sparse_samples():
    mlp = MLPClassifier((9,), early_stopping=True, scoring="accuracy", max_iter=3, random_state=0)
    dense = mlp.fit(X, Y).validation_scores_
    assert mlp.fit(scipy.sparse.coo_matrix(X), Y).validation_scores_ == dense


def test_softmax_is_for_outputs():
    with pytest.raises(ValueError, match="activation: expected softmax for the output layer only"):
        MLPClassifier(activation=mbbp.activations.ACTIVATIONS["softmax"]).fit(X, Y)


def test_dropout_that_is_set_later_has_a_seed_of_its_own():
    seeds = []
    for seed in (1, 2):
        mlp = MLPClassifier((9,), random_state=seed, max_iter=2).fit(X, Y)
        mlp.set_params(dropout=0.5).partial_fit(X, Y)
        seeds.append(mlp._dropout_seed)
    assert len({*seeds, 0}) == 3


def test_a_training_within_a_training_is_refused():
    def train(mlp):
        mlp.set_params(callbacks=None).fit(X, Y)

    mlp = MLPClassifier((9,), callbacks=train, max_iter=3)
    with pytest.raises(RuntimeError, match="that is not being trained"):
        mlp.fit(X, Y)
    assert mlp.fit(X, Y).n_iter_ == 3


@pytest.mark.parametrize(
    "change",
    [
        {"activation": "tanh"},
        {"out_activation": "logistic"},
        {"loss": "squared_error"},
        {"activation": ["tanh", "relu"], "hidden_layer_sizes": (3, 4)},
    ],
    ids=str,
)
def test_copies_agree_after_parameters_were_changed(change):
    mlp = MLPClassifier((9,), random_state=0, max_iter=5).fit(X, Y).set_params(**change)
    copies = pickle.loads(pickle.dumps(mlp)), copy.deepcopy(mlp)
    if "hidden_layer_sizes" in change:  # the weights do not go with it any more; they can still be copied and replaced
        with pytest.raises(ValueError, match="activation: expected one"):
            mlp.predict(X)
        assert all(one.fit(X, Y).predict(X).shape == Y.shape for one in copies)
        return
    for one in copies:
        np.testing.assert_array_equal(one.predict_proba(X), mlp.predict_proba(X))
        assert one.out_activation_ == mlp.out_activation_ == change.get("out_activation", "softmax")


def test_many_threads_predict_with_an_estimator_that_was_just_loaded():
    mlp = MLPClassifier((30,), random_state=0, max_iter=5).fit(X, Y)
    expected, file = mlp.predict_proba(X[:1]), pickle.dumps(mlp)
    for _ in range(20):
        loaded = pickle.loads(file)
        with ThreadPoolExecutor(8) as pool:
            for found in pool.map(loaded.predict_proba, [X[:1]] * 16):
                np.testing.assert_array_equal(found, expected)


def test_a_float32_network_stays_one_when_it_is_loaded():
    mlp = MLPClassifier((9,), random_state=0, max_iter=3).fit(X.astype(np.float32), Y)
    loaded = pickle.loads(pickle.dumps(mlp))
    for one in (mlp, loaded):
        one.partial_fit(X, Y)
        assert one.coefs_[0].dtype == np.float32
    np.testing.assert_array_equal(loaded.coefs_[0], mlp.coefs_[0])
