"""The book's network on the real MNIST, if its files are there."""

import os
import subprocess
import sys
import time

import pytest

import mbbp
from tests.conftest import JIT

FOLDER = os.environ.get("MBBP_DATA")

pytestmark = pytest.mark.skipif(
    not JIT or not FOLDER, reason="needs compiled kernels, and the four files of MNIST in MBBP_DATA"
)


def test_the_books_network_learns_mnist_as_in_the_book():
    words = "train --data mnist --sizes 784,30,10 --epochs 30 --batch-size 10 --learning-rate 3.0 --threads 1"
    done = subprocess.run(
        [sys.executable, "-m", "mbbp", *words.split()],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert float(last.split("test accuracy ")[1].split("%")[0]) >= 95.0


def test_an_epoch_is_far_faster_than_the_books_loop():
    data = mbbp.datasets.load_mnist(dtype="float32")
    net = mbbp.Network([784, 30, 10], rng=0)
    X, y = data.x_train[:, :2000], data.y_train[:2000]
    net.fit(X, y, epochs=1, learning_rate=3.0)  # compiles
    ratios = []
    for _ in range(3):
        began = time.perf_counter()
        mbbp.reference.sgd(
            mbbp.Network([784, 30, 10], dtype="float64", rng=0),
            X[:, :200],
            y[:200],
            [range(i, i + 10) for i in range(0, 200, 10)],
            3.0,
        )
        book = (time.perf_counter() - began) / 20
        history = net.fit(X, y, epochs=1, learning_rate=3.0)
        ratios.append(book / (history[-1].seconds / 200))
    assert max(ratios) > 5
