"""Measure the settings that the README recommends.

Run ``python benchmarks/settings.py``. It compares `mbbp.classifier` and `mbbp.regressor` with scikit-learn's MLP and
its default settings on ten data sets. Both get the same five splits, with a fifth of the samples for the test, and
three seeds. It exits with 1 if mbbp is worse on a data set by more than 0.01. Then it learns the movements of a
pendulum and, if ``MBBP_DATA`` names a folder with its files, MNIST.
"""

import os
import sys
import time
import warnings

import numpy as np
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
    """Return mean scores on the test part, and mean seconds of a training.

    The scores are those of scikit-learn's defaults, of the same after `StandardScaler`, and of mbbp; the seconds those
    of scikit-learn's defaults and of mbbp.
    """
    X, y = load()
    split = (StratifiedShuffleSplit if are_classes else ShuffleSplit)(SPLITS, test_size=0.2, random_state=0)
    theirs, scaled, ours, seconds = [], [], [], [0.0, 0.0]
    for train, test in split.split(X, y):
        for seed in range(SEEDS):
            started = time.perf_counter()
            mlp = MLPClassifier if are_classes else MLPRegressor
            model = mlp(random_state=seed).fit(X[train], y[train])
            trained = time.perf_counter()
            make = mbbp.classifier if are_classes else mbbp.regressor
            net = make(X[train].T, y[train], rng=seed, progress=False)
            seconds[0] += trained - started
            seconds[1] += time.perf_counter() - trained
            theirs.append(model.score(X[test], y[test]))
            pipeline = make_pipeline(StandardScaler(), mlp(random_state=seed)).fit(X[train], y[train])
            scaled.append(pipeline.score(X[test], y[test]))
            outputs = net.feedforward(X[test].T)
            ours.append(net.accuracy(X[test].T, y[test]) if are_classes else r2_score(y[test], outputs[0]))
    return np.mean(theirs), np.mean(scaled), np.mean(ours), *(s / len(ours) for s in seconds)


def mnist():
    """Return the accuracy on the test images of MNIST, and the seconds of the training."""
    data = mbbp.datasets.load_mnist(download=False)
    net = mbbp.Network([784, 100, 10], ["relu", "softmax"], initializer="he", scaling=data.scaling, rng=0)
    rate = mbbp.schedules.Cosine(0.005, 20)
    history = net.fit(data.x_train, data.y_train, epochs=20, batch_size=100, optimizer="adam", learning_rate=rate)
    return net.accuracy(data.x_test, data.y_test), sum(history["seconds"])


def pendulum():
    """Return the error of a learnt model of a pendulum, as a part of the spread of its movements.

    The inputs are angle, velocity and torque, the outputs the changes of angle and velocity in 0.05 seconds.
    """
    rng = np.random.default_rng(0)
    bound = np.array([[3.0], [5.0], [2.0]])

    def sample(m):
        angle, velocity, torque = x = rng.uniform(-bound, bound, (3, m))
        change = 0.05 * (torque - 9.81 * np.sin(angle) - 0.1 * velocity)
        return x.astype(np.float32), np.stack([0.05 * (velocity + change), change]).astype(np.float32)

    net = mbbp.Network([3, 32, 32, 2], ["tanh", "tanh", "identity"], rng=0)
    trainer = net.trainer(optimizer="adam", learning_rate=0.003)
    for _ in range(20_000):
        x, y = sample(32)
        trainer.step(x, 4 * y)
    x, y = sample(1000)
    return np.sqrt(np.square(net.feedforward(x) / 4 - y).mean()) / y.std()


def tables():
    """Print the table, and return whether mbbp is nowhere worse by more than a hundredth."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    mbbp.classifier(np.eye(2), [0, 1], epochs=1)  # compiles
    mbbp.regressor(np.eye(2), [0, 1], epochs=1)
    print("| data set | | scikit-learn | standardized | mbbp | seconds, scikit-learn | seconds, mbbp |")
    print("|---|---|---|---|---|---|---|")
    is_good = True
    for are_classes, sets in ((True, CLASSES), (False, NUMBERS)):
        for name, load in sets.items():
            theirs, scaled, ours, their_seconds, our_seconds = scores(load, are_classes)
            kind = "accuracy" if are_classes else "R²"
            figures = " | ".join(f"{figure:.3f}" for figure in (theirs, scaled, ours))
            seconds = f"{their_seconds:.2f} | {our_seconds:.2f}"
            print(f"| {name} | {kind} | {figures} | {seconds} |", flush=True)
            is_good = is_good and ours >= theirs - 0.01
    return is_good


def main():
    """Print everything, and return whether mbbp is nowhere worse."""
    is_good = tables()
    print(f"\npendulum: the error is {pendulum():.2%} of the spread")
    if os.environ.get("MBBP_DATA"):
        accuracy, seconds = mnist()
        print(f"MNIST: test accuracy {accuracy:.2%} after {seconds:.1f} s of training, {mbbp.get_threads()} threads")
    return is_good


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
