"""The book's mnist_loader.py, and its networks on the real MNIST if its files are there."""

import hashlib
import os
import random
import time

import numpy as np
import pytest

from mbbp.datasets import mnist
from mbbp.nielsen import mnist_loader, network, network2
from tests.book import Book, Book2, unit_vector
from tests.conftest import JIT
from tests.datasets.idx_files import NAMES, idx, write
from tests.nielsen.helpers import assert_same_lines, assert_same_parameters, seed

FOLDER = os.environ.get("MBBP_DATA")
IMAGES = np.random.default_rng(1).integers(0, 256, (8, 2, 3))
DIGITS = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Set MBBP_DATA to a tiny MNIST: three images for training, two for validation, three for testing."""
    arrays = (IMAGES[:5], DIGITS[:5], IMAGES[5:], DIGITS[5:])
    contents = dict(zip(NAMES, map(idx, arrays), strict=True))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(mnist, "SHA256", hashes)
    monkeypatch.setattr(mnist_loader, "N_TRAINING", 3)
    monkeypatch.setenv("MBBP_DATA", str(write(tmp_path, contents)))
    return tmp_path


def test_load_data_is_the_books(small, monkeypatch):
    parts = mnist_loader.load_data()
    assert type(parts) is tuple
    for (images, digits), start, stop in zip(parts, (0, 3, 5), (3, 5, 8), strict=True):
        assert images.dtype == np.float32
        assert (images == IMAGES[start:stop].reshape(-1, 6) / 256).all()
        assert digits.dtype == np.int64
        assert digits.tolist() == DIGITS[start:stop]
    monkeypatch.delenv("MBBP_DATA")
    assert (mnist_loader.load_data(small)[0][0] == parts[0][0]).all()


def test_load_data_wrapper_is_the_books(small):
    parts = mnist_loader.load_data_wrapper()
    assert [type(part) for part in parts] == [list, list, list]
    assert [len(part) for part in parts] == [3, 2, 3]
    for number, (x, y) in enumerate(pair for part in parts for pair in part):
        assert x.dtype == np.float32
        assert (x == IMAGES[number].reshape(6, 1) / 256).all()
        if number < 3:
            assert y.dtype == np.float64
            assert (y == unit_vector(DIGITS[number])).all()
        else:
            assert y == DIGITS[number]
            assert np.ndim(y) == 0


def test_vectorized_result():
    assert mnist_loader.vectorized_result is network2.vectorized_result
    assert mnist_loader.vectorized_result(3).tolist() == [[float(row == 3)] for row in range(10)]


def test_a_missing_file_is_an_error_that_names_it(small):
    (small / NAMES[1]).unlink()
    with pytest.raises(FileNotFoundError, match=NAMES[1]):
        mnist_loader.load_data_wrapper()


# ----------------------------------------------------------------------------------------------------------- real MNIST

with_mnist = pytest.mark.skipif(
    not JIT or not FOLDER, reason="needs compiled kernels, and the four files of MNIST in MBBP_DATA"
)


@pytest.fixture(scope="module")
def data():
    return mnist_loader.load_data_wrapper()


@with_mnist
def test_the_books_split(data):
    assert [len(part) for part in data] == [50_000, 10_000, 10_000]
    assert [int(np.argmax(y)) for _, y in data[0][:5]] == [5, 0, 4, 1, 9]
    assert [label for _, label in data[1][:5]] == [3, 8, 6, 9, 6]
    assert [label for _, label in data[2][:5]] == [7, 2, 1, 0, 4]
    assert max(x.max() for x, _ in data[0][:100]) == 255 / 256


@with_mnist
def test_an_epoch_of_the_cross_entropy_network_is_the_books(data, capsys):
    """On the first 5,000 images. The quadratic network of chapter 1 would amplify differences in the last digit."""
    nets, lines = [], []
    for kind, monitored in ((network2.Network, ({"monitor_evaluation_accuracy": True},)), (Book2, ())):
        seed()
        net, pairs = kind([784, 30, 10]), data[0][:5000]
        if kind is Book2:
            net.SGD(pairs, 1, 10, 0.5, 5.0, data[2][:2000], "evaluation_accuracy")
        else:
            net.SGD(pairs, 1, 10, 0.5, 5.0, data[2][:2000], **monitored[0])
        nets.append(net)
        lines.append(capsys.readouterr().out)
    assert_same_parameters(*nets)
    assert_same_lines(*lines)


@with_mnist
def test_the_books_first_program_learns_as_in_the_book(data, capsys):
    seed()
    net = network.Network([784, 30, 10])
    net.SGD(data[0], 3, 10, 3.0, test_data=data[2])
    right = [int(line.split()[2]) for line in capsys.readouterr().out.splitlines()]
    assert right[0] < right[-1]
    assert right[-1] > 9000


@with_mnist
def test_it_is_far_faster_than_the_book(data, capsys):
    ratios = []
    for _ in range(3):
        took = []
        for kind, n in ((Book, 500), (network.Network, 50_000)):
            random.seed(1)
            net, pairs = kind([784, 30, 10]), data[0][:n]
            began = time.perf_counter()
            net.SGD(pairs, 1, 10, 3.0)
            took.append((time.perf_counter() - began) / n)
        ratios.append(took[0] / took[1])
    assert max(ratios) > 5
