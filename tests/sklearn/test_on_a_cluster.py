"""Estimators in the processes of a Dask cluster, through joblib."""

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV

from mbbp.sklearn import MLPClassifier
from tests.many.clusters import small_cluster

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of Dask, and of trainings that are short


def test_searches_and_bagging_run_in_the_workers():
    X, y = load_iris(return_X_y=True)
    mlp = MLPClassifier((5,), max_iter=5, random_state=0)
    search = GridSearchCV(mlp, {"alpha": [1e-4, 1e-1]}, cv=2, return_train_score=True, n_jobs=2)
    bagging = BaggingClassifier(mlp, n_estimators=3, random_state=0, n_jobs=2)
    here = search.fit(X, y).cv_results_, bagging.fit(X, y).predict_proba(X)
    with small_cluster(distributed), joblib.parallel_backend("dask"):
        there = search.fit(X, y).cv_results_, bagging.fit(X, y).predict_proba(X)
    for name in ("mean_test_score", "mean_train_score"):
        np.testing.assert_array_equal(there[0][name], here[0][name])
    np.testing.assert_array_equal(there[1], here[1])
