"""The book's mnist_loader.py: 50,000 images to train with, 10,000 to validate, 10,000 to test."""

from __future__ import annotations

import os

import numpy as np

from mbbp.datasets.mnist import mnist_bytes
from mbbp.nielsen.pairs import Pair
from mbbp.parameters import Array
from mbbp.validation import as_count

N_TRAINING = 50_000
GREYS = 256  # the book's pixels are k/256, not k/255


def load_data(
    folder: str | os.PathLike[str] | None = None,
) -> tuple[tuple[Array, Array], tuple[Array, Array], tuple[Array, Array]]:
    """Return the training, validation and test data.

    The four IDX files of MNIST are read from where `mbbp.datasets.load_mnist` reads them: from the folder that the
    environment variable ``MBBP_DATA`` names, or else from a cache folder. They are downloaded to the cache once.

    Parameters
    ----------
    folder : path-like, optional
        The folder with the files.

    Returns
    -------
    training_data, validation_data, test_data : pair of ndarray
        Images (n, 784) in float32, ink from 0 to 255/256, and digits (n,) in int64; n is 50,000, 10,000 and 10,000.

    Raises
    ------
    FileNotFoundError
        If a file is missing and must not be downloaded.
    ModuleNotFoundError
        If a file is missing, and pooch, which downloads it, is not installed.
    OSError
        If a file cannot be downloaded or read.
    ValueError
        If the contents of a file are not those of MNIST.
    """
    x_train, y_train, x_test, y_test = mnist_bytes(folder)
    images = [np.divide(x.reshape(len(x), -1), GREYS, dtype=np.float32) for x in (x_train, x_test)]
    digits = [y.astype(np.int64) for y in (y_train, y_test)]
    return (
        (images[0][:N_TRAINING], digits[0][:N_TRAINING]),
        (images[0][N_TRAINING:], digits[0][N_TRAINING:]),
        (images[1], digits[1]),
    )


def load_data_wrapper(folder: str | os.PathLike[str] | None = None) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Return the training, validation and test data as lists of pairs (x, y), as the networks take them.

    Parameters
    ----------
    folder : path-like, optional
        The folder with the files, as for `load_data`.

    Returns
    -------
    training_data, validation_data, test_data : list of pairs
        Each x is a column (784, 1) in float32. In the training data each y is a unit vector (10, 1) in float64; in the
        other two lists it is the digit.

    Raises
    ------
    FileNotFoundError, ValueError, ModuleNotFoundError, OSError
        As `load_data` does.
    """
    training, validation, test = load_data(folder)
    return (
        list(zip(_columns(training[0]), map(vectorized_result, training[1]), strict=True)),
        list(zip(_columns(validation[0]), validation[1], strict=True)),
        list(zip(_columns(test[0]), test[1], strict=True)),
    )


def _columns(images: Array) -> list[Array]:
    return list(images.reshape(len(images), -1, 1))


def vectorized_result(j: int) -> Array:
    """Return the unit vector (10, 1) with a 1.0 in row j.

    Raises
    ------
    TypeError
        If j is not a whole number.
    ValueError
        If j is not from 0 to 9.
    """
    e = np.zeros((10, 1))
    e[as_count("j", j, least=0, most=9)] = 1.0
    return e
