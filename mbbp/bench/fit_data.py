"""The data sets of the race between the estimators, as users of scikit-learn have them: rows in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mbbp.parameters import Array

SEED = 0  # of the data sets, which are the same in every run


class Samples(NamedTuple):
    """Samples to train on, and samples that are held out."""

    X: Array
    y: Array
    X_test: Array
    y_test: Array


@dataclass(frozen=True)
class Problem:
    """A data set, and how long it is trained on.

    Attributes
    ----------
    name : str
        The name in tables.
    epochs : int
        The number of epochs, as ``max_iter``: few, so that the race takes minutes.
    load : callable
        Returns the samples. It raises FileNotFoundError if they are in files that are not there.
    is_regression : bool
        Whether the targets are numbers. Otherwise they are classes.
    """

    name: str
    epochs: int
    load: Callable[[], Samples]
    is_regression: bool = False


def digits() -> Samples:
    """Return scikit-learn's digits, with pixels from 0 to 1."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return _split(X / 16, y, 360)


def mnist(n: int = 10_000) -> Samples:
    """Return the first images of MNIST, with pixels from 0 to 1. Nothing is downloaded.

    Raises
    ------
    FileNotFoundError
        If the files are not there.
    """
    from mbbp.datasets.mnist import LARGEST, mnist_bytes

    try:
        X, y, X_test, y_test = mnist_bytes(download=False)
    except FileNotFoundError:
        raise FileNotFoundError(
            "its files were not found; MBBP_DATA can name their folder, and nothing is downloaded"
        ) from None
    return Samples(_pixels(X[:n]) / LARGEST, y[:n], _pixels(X_test) / LARGEST, y_test)


def _pixels(images: Array) -> Array:
    return images.reshape(len(images), -1).astype(np.float64)


def classes(n: int = 100_000) -> Samples:
    """Return samples of seven classes, with 54 features."""
    from sklearn.datasets import make_classification

    held_out = n // 10
    X, y = make_classification(n + held_out, 54, n_informative=20, n_classes=7, random_state=SEED)
    return _split(X, y, held_out)


def numbers(n: int = 20_000) -> Samples:
    """Return samples with 8 features and a noisy target of mean 0 and variance 1."""
    from sklearn.datasets import make_friedman1

    held_out = n // 10
    X, y = make_friedman1(n + held_out, 8, noise=1.0, random_state=SEED)
    return _split(X, (y - y.mean()) / y.std(), held_out)


def _split(X: Array, y: Array, held_out: int) -> Samples:
    from sklearn.model_selection import train_test_split

    X, X_test, y, y_test = train_test_split(X, y, test_size=held_out, random_state=SEED)
    return Samples(X, y, X_test, y_test)


PROBLEMS = (
    Problem("digits, 1,437 x 64", 20, digits),
    Problem("MNIST, 10,000 x 784", 10, mnist),
    Problem("7 classes, 100,000 x 54", 5, classes),
    Problem("regression, 20,000 x 8", 10, numbers, is_regression=True),
)
