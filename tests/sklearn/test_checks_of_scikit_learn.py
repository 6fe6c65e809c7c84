"""scikit-learn's own checks and tests, with mbbp's estimators in the place of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sklearn
from sklearn.utils.estimator_checks import parametrize_with_checks

from mbbp.sklearn import MLPClassifier, MLPRegressor
from tests.__main__ import OLDEST
from tests.conftest import JIT
from tests.sklearn.in_their_place import PRIVATE

ROOT = Path(__file__).parents[2]
OTHERS = [  # what is new goes through the same checks, but for dropout: without a sample the others' places change
    MLPClassifier(loss="squared_hinge", solver="adamw"),
    MLPClassifier(class_weight="balanced", label_smoothing=0.1, activation=["gelu"], solver="rmsprop"),
    MLPRegressor(loss="huber", clip_norm=1.0, activation="silu", n_members=2),
    MLPRegressor(loss="quantile", quantile=0.7, solver="lbfgs"),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([MLPClassifier(), MLPRegressor()])
def test_estimator(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(OTHERS)
def test_estimator_with_new_parameters(estimator, check):
    check(estimator)


@pytest.mark.skipif(not JIT, reason="thousands of epochs take long without compiled kernels")
def test_their_own_tests_of_the_mlp_pass(tmp_path):
    command = [sys.executable, "-m", "pytest", "-p", "tests.sklearn.in_their_place", "-p", "no:cacheprovider"]
    command += ["--pyargs", "sklearn.neural_network.tests.test_mlp", "-q", "-c", os.devnull, "--rootdir", str(tmp_path)]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = int(done.stdout.rpartition(" passed")[0].split()[-1])
    assert passed >= 50
    assert f"{len(PRIVATE)} xfailed" in done.stdout


def test_the_oldest_scikit_learn_is_that_of_the_package():
    assert f'"scikit-learn>={OLDEST}"' in (ROOT / "pyproject.toml").read_text()
    assert tuple(map(int, sklearn.__version__.split(".")[:2])) >= tuple(map(int, OLDEST.split(".")))
