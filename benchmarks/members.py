"""Times what trains many of scikit-learn's estimators, with its own MLP and with mbbp's.

    python benchmarks/members.py [--quick]

A grid search, a `BaggingClassifier`, and `n_members`, which only mbbp's estimators have, on the 8x8 digits. All may
use all cores: scikit-learn's tools by processes (`n_jobs=-1`), `n_members` by threads. The processes are started, and
code is compiled, before the timing. They take turns; the median of several turns counts.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sklearn.datasets import load_digits
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier as Theirs

from mbbp.bench import machine
from mbbp.sklearn import MLPClassifier as Ours

GRID = {"hidden_layer_sizes": [(16,), (32,), (64,)], "learning_rate_init": [0.0003, 0.001, 0.003, 0.01]}
FIXED = {"batch_size": 32, "max_iter": 30, "random_state": 0}
MEMBERS = 10
N = 42 * 32  # whole mini-batches: bagging gives a small one weights of 0, where scikit-learn's MLP divides by 0


def searched(estimator: Any, X: Any, y: Any) -> Any:
    return GridSearchCV(estimator(**FIXED), GRID, cv=3, n_jobs=-1).fit(X, y)


def bagged(estimator: Any, X: Any, y: Any) -> Any:
    return BaggingClassifier(estimator(**FIXED), MEMBERS, n_jobs=-1, random_state=0).fit(X, y)


def with_members(X: Any, y: Any) -> Any:
    return Ours(n_members=MEMBERS, **FIXED).fit(X, y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one turn")
    options = parser.parse_args()
    # processes of joblib do not get the filters of this one
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16, y, train_size=N, random_state=0)
    grid, bagging = f"GridSearchCV, {3 * 12} trainings", f"BaggingClassifier, {MEMBERS} members"
    contestants: dict[tuple[str, str], Callable[[], Any]] = {
        (grid, "scikit-learn"): lambda: searched(Theirs, X, y),
        (grid, "mbbp"): lambda: searched(Ours, X, y),
        (bagging, "scikit-learn"): lambda: bagged(Theirs, X, y),
        (bagging, "mbbp"): lambda: bagged(Ours, X, y),
        (f"n_members={MEMBERS}", "mbbp"): lambda: with_members(X, y),
    }
    seconds: dict[tuple[str, str], list[float]] = {name: [] for name in contestants}
    scores = {name: run().score(X_test, y_test) for name, run in contestants.items()}
    for _ in range(1 if options.quick else 5):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    about = machine.describe(1, None, seed=0)
    versions = ", ".join(f"{name} {about['versions'][name]}" for name in ("numpy", "numba", "scikit-learn"))
    print(f"{about['processor']}, {about['cores_allowed']} cores; {versions}")
    print("| | estimator | seconds | accuracy |\n|---|---|---:|---:|")
    for (what, whose), times in seconds.items():
        print(f"| {what} | {whose} | {statistics.median(times):.2f} | {scores[what, whose]:.4f} |")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    main()
