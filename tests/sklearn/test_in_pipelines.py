"""The estimators inside scikit-learn's tools, and their state: pickle, clone, copies, metadata, feature names."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import BaggingClassifier, StackingRegressor, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 -- it makes the next import possible
from sklearn.impute import SimpleImputer
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import mbbp
from mbbp.sklearn import MLPClassifier, MLPRegressor
from mbbp.sklearn.samples import rows_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = load_iris(return_X_y=True, as_frame=True)
DIABETES = load_diabetes(return_X_y=True, as_frame=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[IRIS[1]]


def classifier(**more):
    return MLPClassifier(**{"hidden_layer_sizes": (8,), "solver": "lbfgs", "random_state": 0, "max_iter": 100} | more)


def regressor(**more):
    given = {"hidden_layer_sizes": (8,), "solver": "lbfgs", "random_state": 0, "max_iter": 100, "alpha": 100.0}
    return MLPRegressor(**given | more)


def test_a_table_with_text_and_gaps():
    table, numbers = IRIS[0].copy(), np.arange(150)
    table["garden"] = np.where(numbers % 2, "north", "south")
    table.loc[numbers % 7 == 0, "sepal length (cm)"] = np.nan
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), list(IRIS[0].columns)),
            ("text", OneHotEncoder(), ["garden"]),
        ]
    )
    pipeline = make_pipeline(columns, classifier()).fit(table, NAMES)
    assert pipeline.score(table, NAMES) > 0.95
    assert list(pipeline.classes_) == ["setosa", "versicolor", "virginica"]
    assert pipeline.predict(table.iloc[[0]])[0] == "setosa"
    assert "MLPClassifier" in pipeline._repr_html_()


def test_searches_in_several_processes():
    pipeline = make_pipeline(StandardScaler(), classifier(solver="adam", learning_rate_init=0.01, max_iter=60))
    grid = {"mlpclassifier__hidden_layer_sizes": [(5,), (20,)], "mlpclassifier__alpha": [1e-4, 1e-1]}
    for search in (
        GridSearchCV(pipeline, grid, n_jobs=2),
        HalvingGridSearchCV(pipeline, grid, n_jobs=2, random_state=0),
    ):
        search.fit(IRIS[0], NAMES)
        assert search.best_score_ > 0.9
        assert search.predict(IRIS[0]).shape == (150,)
    alone = GridSearchCV(pipeline, grid).fit(IRIS[0], NAMES)
    several = GridSearchCV(pipeline, grid, n_jobs=2).fit(IRIS[0], NAMES)
    np.testing.assert_array_equal(alone.cv_results_["mean_test_score"], several.cv_results_["mean_test_score"])


def threads_in_a_process(mlp):
    return mlp.set_params(callbacks=None).fit(*IRIS) and mbbp.threads.get_threads()


def test_processes_of_joblib_share_the_cores_out():
    n_jobs = 2
    found = joblib.Parallel(n_jobs=n_jobs)(joblib.delayed(threads_in_a_process)(classifier()) for _ in range(2))
    assert set(found) == {max(1, joblib.cpu_count() // n_jobs)}


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_cross_validation_and_meta_estimators(solver):
    X = StandardScaler().fit_transform(IRIS[0])
    mlp = classifier(solver=solver, learning_rate_init=0.02)
    assert cross_val_score(mlp, X, NAMES, scoring="roc_auc_ovr").mean() > 0.9
    for meta in (
        CalibratedClassifierCV(mlp, cv=3),
        BaggingClassifier(mlp, n_estimators=3, random_state=0),
        VotingClassifier([("one", mlp), ("other", clone(mlp))], voting="soft"),
        OneVsRestClassifier(mlp),
    ):
        assert meta.fit(X, NAMES).score(X, NAMES) > 0.9
    X, y = StandardScaler().fit_transform(DIABETES[0]), DIABETES[1] / 100
    mlp = regressor(solver=solver, alpha=1.0, learning_rate_init=0.02)
    for meta in (
        StackingRegressor([("mlp", mlp), ("line", LinearRegression())]),
        TransformedTargetRegressor(mlp, transformer=StandardScaler()),
        MultiOutputRegressor(mlp),
    ):
        targets = np.column_stack([y, -y]) if isinstance(meta, MultiOutputRegressor) else y
        assert meta.fit(X, targets).score(X, targets) > 0.3


def test_inspection():
    mlp = make_pipeline(StandardScaler(), regressor()).fit(*DIABETES)
    importances = permutation_importance(mlp, *DIABETES, n_repeats=2, random_state=0).importances_mean
    by_name = dict(zip(DIABETES[0].columns, importances, strict=True))
    assert by_name["bmi"] > 2 * max(by_name["age"], 0.0)
    found = partial_dependence(mlp, DIABETES[0], ["bmi"], grid_resolution=5)["average"][0]
    assert found[-1] > found[0]


def test_set_output_and_feature_names():
    mlp = classifier().set_output(transform="pandas").fit(IRIS[0], NAMES)
    assert list(mlp.feature_names_in_) == list(IRIS[0].columns)
    shown = mlp.transform(IRIS[0])
    assert list(shown.columns) == [f"mlpclassifier{i}" for i in range(8)]
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        mlp.predict(IRIS[0].to_numpy())
    with pytest.raises(ValueError, match="feature names should match"):
        mlp.predict(IRIS[0].rename(columns=str.upper))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier(solver="adam", early_stopping=True, scoring="accuracy", max_iter=400).fit(IRIS[0], NAMES)


def test_metadata_goes_through():
    weights = np.where(IRIS[1] == 0, 5.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        mlp = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        found = cross_validate(mlp, *IRIS, params={"sample_weight": weights}, return_estimator=True)
        direct = clone(mlp)
    rows = np.concatenate([np.arange(10, 50), np.arange(60, 100), np.arange(110, 150)])
    direct.fit(IRIS[0].iloc[rows], IRIS[1].iloc[rows], sample_weight=weights[rows])
    np.testing.assert_allclose(found["estimator"][0].coefs_[0], direct.coefs_[0], atol=1e-9)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy, copy.copy], ids=["pickle", "deepcopy", "copy"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_copies_go_on_alone(copied, solver):
    X, y = IRIS[0].to_numpy(), IRIS[1].to_numpy()
    mlp = classifier(solver=solver, max_iter=5, dropout=0.0).fit(X, y)
    other = copied(mlp)
    other = pickle.loads(other) if isinstance(other, bytes) else other
    np.testing.assert_array_equal(other.predict_proba(X), mlp.predict_proba(X))
    assert not np.shares_memory(other.coefs_[0], mlp.coefs_[0])
    if solver != "lbfgs":
        before = mlp.predict_proba(X)
        other.partial_fit(X, y)
        np.testing.assert_array_equal(mlp.predict_proba(X), before)
        mlp.partial_fit(X, y)  # with the same state of the optimizer
        np.testing.assert_array_equal(other.predict_proba(X), mlp.predict_proba(X))


def test_a_file_of_joblib_that_is_mapped_read_only(tmp_path):
    X, y = IRIS[0].to_numpy(), IRIS[1].to_numpy()
    mlp = classifier(solver="adam", hidden_layer_sizes=(50,)).fit(X, y)
    joblib.dump(mlp, tmp_path / "mlp.joblib")
    other = joblib.load(tmp_path / "mlp.joblib", mmap_mode="r")
    other.partial_fit(X, y)
    mlp.partial_fit(X, y)
    np.testing.assert_array_equal(other.predict_proba(X), mlp.predict_proba(X))


def test_custom_functions_are_pickled_by_name():
    mlp = MLPRegressor(mbbp.costs.huber(0.5), (4,), ["gelu"], max_iter=3, random_state=0).fit(*DIABETES)
    other = pickle.loads(pickle.dumps(mlp))
    np.testing.assert_array_equal(other.predict(DIABETES[0]), mlp.predict(DIABETES[0]))


def test_not_fitted_yet():
    for mlp in (classifier(), regressor()):
        for method in ("predict", "transform"):
            with pytest.raises(NotFittedError):
                getattr(mlp, method)(IRIS[0])
        with pytest.raises(NotFittedError):
            mlp.to_network()
        with pytest.raises(NotFittedError):
            mlp.input_gradient(*IRIS)


def test_samples_are_not_copied():
    X = np.ascontiguousarray(IRIS[0].to_numpy())
    mlp = classifier(solver="adam", max_iter=1)
    seen = []

    def look(mlp):
        seen.append(mlp)

    rows = rows_of(X)
    assert rows is X
    mlp.set_params(callbacks=look).fit(X, NAMES)
    assert seen == [mlp]


def test_ctrl_c_leaves_a_usable_estimator():
    def interrupt(mlp):
        if mlp.n_iter_ == 3:
            raise KeyboardInterrupt

    mlp = classifier(solver="adam", callbacks=interrupt, max_iter=50)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        mlp.fit(IRIS[0], NAMES)
    assert mlp.n_iter_ == len(mlp.loss_curve_) == 3
    assert mlp.predict(IRIS[0]).shape == (150,)
