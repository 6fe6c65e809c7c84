"""What holds where compiled kernels came with the package; `python -m tests` installs such a wheel for these tests."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mbbp
from mbbp.kernels.lowlevel import prebuilt

# `python -m tests` sets this where it has installed a wheel with kernels: then they must be used
ARE_EXPECTED = os.environ.get("MBBP_TEST_KERNELS", "") == "installed"

pytestmark = pytest.mark.skipif(prebuilt.why_not() is not None and not ARE_EXPECTED, reason=f"{prebuilt.why_not()}")

PACKAGE = Path(mbbp.__file__).parent

# Every built-in activation, cost and optimizer, both dtypes, narrow and wide layers.
TRAIN = """
import hashlib, sys
import numpy as np, mbbp
rng = np.random.default_rng(0)
digest = hashlib.sha256()
for dtype in ("float32", "float64"):
    for sizes, activation, cost in (
        ([5, 3, 1], "sigmoid", "quadratic"),
        ([30, 40, 50, 10], ["tanh", "relu", "softmax"], "log_likelihood"),
        ([200, 130, 7], ["leaky_relu", "sigmoid"], "cross_entropy"),
        ([9, 20, 2], ["identity", "identity"], "quadratic"),
    ):
        X, y = rng.standard_normal((sizes[0], 150)), rng.integers(0, max(sizes[-1], 2), 150)
        for optimizer in ("sgd", "momentum", "nesterov", "adam"):
            net = mbbp.Network(sizes, activation, cost, dtype=dtype, rng=0)
            net.fit(X, y, epochs=2, batch_size=32, learning_rate=0.01, optimizer=optimizer, progress=False)
            for part in (net.theta, net.feedforward(X), np.array(net.cost(X, y)), net.gradient(X, y).theta):
                digest.update(np.ascontiguousarray(part).tobytes())
print(digest.hexdigest(), "numba" in sys.modules)
"""


def run(code, folder=None, **environment):
    """Run a program, with the package in a folder if one is given, and return the words that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,  # the first place in which Python looks
        env=os.environ | environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_installed_kernels_are_used():
    assert prebuilt.why_not() is None


def test_the_bits_are_those_of_the_jit_and_numba_is_not_needed():
    digest, has_numba = run(TRAIN, MBBP_JIT="0")
    assert has_numba == "False"
    assert run(TRAIN, MBBP_JIT="1") == [digest, "True"]


USE = """
import sys, numpy as np, mbbp
from mbbp.kernels.lowlevel import prebuilt
net = mbbp.Network([4, 3, 2], rng=0)
net.fit(np.ones((4, 8)), np.zeros(8, int), epochs=1, progress=False)
print(net.theta.tobytes().hex(), prebuilt.why_not())
"""


def test_many_processes_at_once():
    processes = [subprocess.Popen([sys.executable, "-c", USE], stdout=subprocess.PIPE, text=True) for _ in range(8)]
    answers = {process.communicate()[0] for process in processes}
    assert len(answers) == 1
    assert answers.pop().split()[1] == "None"


def test_a_damaged_installation_compiles_and_gives_the_same_numbers(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "mbbp")
    for library in (tmp_path / "mbbp" / "kernels" / "libraries").glob("*.so"):
        content = bytearray(library.read_bytes())
        content[len(content) // 3] ^= 1
        library.write_bytes(content)
    sound = run(USE)
    damaged = run(USE, tmp_path)
    assert damaged[0] == sound[0]
    assert "damaged" in damaged


def test_custom_functions_are_compiled_beside_installed_kernels():
    code = """
import math, numpy as np, mbbp
def swish(z): return z / (1 + math.exp(-z))
def swish_prime(z): return (1 + math.exp(-z) + z * math.exp(-z)) / (1 + math.exp(-z)) ** 2
activation = mbbp.Activation("swish", swish, swish_prime)
net = mbbp.Network([4, 3, 2], [activation, "sigmoid"], cost="quadratic", rng=0, dtype="float64")
print(mbbp.check_gradients(net, np.random.default_rng(0).random((4, 8)), np.zeros(8, int)).passed)
"""
    assert run(code) == ["True"]


def seconds(code):
    """Return the least time of a process that runs the code."""
    times = []
    for _ in range(7):
        began = time.perf_counter()
        run(code)
        times.append(time.perf_counter() - began)
    return min(times)


def test_a_first_training_takes_little_more_than_importing_numpy():
    numpy = seconds("import numpy")
    assert seconds("import mbbp") < 4 * numpy
    assert seconds(USE) < 6 * numpy
