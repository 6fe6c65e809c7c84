"""Compare `mbbp.classifier` and `mbbp.regressor` with scikit-learn's MLP and its default settings, on ten data sets.

Both get the same five splits, with a fifth of the samples for the test, and three seeds. Run ``python
benchmarks/defaults.py``; it prints a table, and exits with 1 if mbbp is worse on a data set by more than 0.01.
"""

import sys
import time
import warnings

import numpy as np
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier, MLPRegressor

import mbbp

SPLITS, SEEDS = 5, 3
CLASSES = {
    "iris": lambda: datasets.load_iris(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "breast cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "digits": lambda: datasets.load_digits(return_X_y=True),
    "moons": lambda: datasets.make_moons(1000, noise=0.25, random_state=0),
    "circles": lambda: datasets.make_circles(1000, noise=0.1, factor=0.7, random_state=0),
}
NUMBERS = {
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    "friedman1": lambda: datasets.make_friedman1(1000, noise=1.0, random_state=0),
    "friedman2": lambda: datasets.make_friedman2(1000, noise=100.0, random_state=0),
    "friedman3": lambda: datasets.make_friedman3(1000, noise=0.1, random_state=0),
}


def scores(load, are_classes):
    """Return the mean score of scikit-learn and of mbbp on the test part, and the seconds that each trained."""
    X, y = load()
    split = (StratifiedShuffleSplit if are_classes else ShuffleSplit)(SPLITS, test_size=0.2, random_state=0)
    theirs, ours, seconds = [], [], [0.0, 0.0]
    for train, test in split.split(X, y):
        for seed in range(SEEDS):
            started = time.perf_counter()
            model = (MLPClassifier if are_classes else MLPRegressor)(random_state=seed).fit(X[train], y[train])
            trained = time.perf_counter()
            make = mbbp.classifier if are_classes else mbbp.regressor
            net = make(X[train].T, y[train], rng=seed, progress=False)
            seconds[0] += trained - started
            seconds[1] += time.perf_counter() - trained
            theirs.append(model.score(X[test], y[test]))
            outputs = net.feedforward(X[test].T)
            ours.append(net.accuracy(X[test].T, y[test]) if are_classes else r2_score(y[test], outputs[0]))
    return np.mean(theirs), np.mean(ours), *(s / len(ours) for s in seconds)


def main():
    """Print the table, and return whether mbbp is nowhere worse by more than a hundredth."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    mbbp.classifier(np.eye(2), [0, 1], epochs=1)  # compiles
    mbbp.regressor(np.eye(2), [0, 1], epochs=1)
    print("| data set | | scikit-learn's defaults | mbbp | seconds | seconds |\n|---|---|---|---|---|---|")
    is_good = True
    for are_classes, sets in ((True, CLASSES), (False, NUMBERS)):
        for name, load in sets.items():
            theirs, ours, their_seconds, our_seconds = scores(load, are_classes)
            kind = "accuracy" if are_classes else "R²"
            print(
                f"| {name} | {kind} | {theirs:.3f} | {ours:.3f} | {their_seconds:.2f} | {our_seconds:.2f} |", flush=True
            )
            is_good = is_good and ours >= theirs - 0.01
    return is_good


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
