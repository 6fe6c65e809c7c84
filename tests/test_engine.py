"""The engine: every way through it gives the textbook's numbers, and only what a network uses is compiled."""

import gc
import json
import math
import os
import subprocess
import sys
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import mbbp
import mbbp.threads
from mbbp.engine import CHUNK, FEW
from mbbp.loop import Loop
from mbbp.optimizer_state import Rates
from tests.conftest import JIT

COUNTS = [*range(1, FEW + 1), FEW + 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5]
NETWORKS = {
    "sigmoid": ([5, 7, 3], "sigmoid", "cross_entropy"),
    "softmax": ([5, 9, 4, 3], ["relu", "tanh", "softmax"], "log_likelihood"),
    "one output": ([5, 4, 1], ["leaky_relu", "sigmoid"], "quadratic"),
    "wide": ([70, 40, 20], ["sigmoid", "identity"], "quadratic"),
}
networks = pytest.mark.parametrize(("sizes", "activation", "cost"), NETWORKS.values(), ids=NETWORKS)


def build(sizes, activation="sigmoid", cost="quadratic", dtype="float64"):
    return mbbp.Network(sizes, activation, cost, dtype, rng=0)


def columns(m, n_in=5, seed=1):
    return 2 * np.random.default_rng(seed).standard_normal((n_in, m))


# ---------------------------------------------------------------------------------------------------------- prediction


@networks
@pytest.mark.parametrize("m", COUNTS)
def test_a_prediction_is_the_textbooks(sizes, activation, cost, m):
    net, X = build(sizes, activation, cost), columns(m, sizes[0])
    activations = mbbp.reference.feedforward(net, X)[1]
    rows = net.engine.predict(X.T.copy())
    assert rows.shape == (m, sizes[-1])
    np.testing.assert_allclose(rows.T, activations[-1], rtol=0, atol=1e-13)
    if m <= FEW:
        np.testing.assert_array_equal(net.engine.predict_columns(X), rows.T)
    for found, expected in zip(net.engine.activations_of(X.T.copy()), activations[1:], strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("order", ["C", "F"])
def test_predictions_for_few_columns_are_arrays_of_their_own(order):
    net = build([5, 4, 3])
    kept = []
    for m in (1, FEW, 3, FEW, 1):
        X = np.asarray(columns(m, seed=len(kept)), order=order)
        kept.append((net.engine.predict_columns(X), mbbp.reference.feedforward(net, X)[1][-1]))
    for found, expected in kept:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_many_threads_may_ask_for_few_columns_at_once():
    net = build([5, 30, 3])
    questions = [columns(1 + i % FEW, seed=i) for i in range(200 if JIT else 20)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(net.engine.predict_columns, questions))
    for X, found in zip(questions, answers, strict=True):
        np.testing.assert_allclose(found, mbbp.reference.feedforward(net, X)[1][-1], rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bytes_are_predicted_as_the_numbers_that_they_are(dtype, rng):
    net, pixels = build([5, 4, 3], dtype=dtype), rng.integers(0, 256, (CHUNK + 3, 5)).astype(np.uint8)
    np.testing.assert_array_equal(net.engine.predict(pixels), net.engine.predict(pixels.astype(dtype)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_input_that_is_not_finite_is_told_by_none(bad, dtype):
    net = build([5, 4, 3], "relu", dtype=dtype)
    for m, column in ((1, 0), (FEW, 2), (FEW, FEW - 1)):
        X = columns(m).astype(dtype)
        expected = net.engine.predict_columns(X)
        X[4, column] = bad
        assert net.engine.predict_columns(X) is None
        np.testing.assert_array_equal(net.engine.predict_columns(columns(m).astype(dtype)), expected)
    for m, column in ((1, 0), (CHUNK + 1, CHUNK), (3 * CHUNK, CHUNK), (3 * CHUNK, 3 * CHUNK - 1)):
        X = columns(m).astype(dtype)
        assert net.engine.predict(X.T.copy()) is not None
        X[0, column] = bad
        assert net.engine.predict(X.T.copy()) is None


def test_threads_predict_and_score_the_same_to_the_bit(monkeypatch):
    monkeypatch.setattr(mbbp.threads, "LEAST_OPERATIONS", 1)
    net = build([5, 7, 3])
    X = columns(4 * CHUNK + 7)
    examples = net.engine.examples(X, np.arange(X.shape[1]) % 3)
    found = []
    try:
        for n in (1, 2, 3, 16):
            mbbp.set_threads(n)
            found.append((net.engine.predict(X.T.copy()).tobytes(), net.engine.score(examples)))
    finally:
        mbbp.set_threads(None)
    assert found == [found[0]] * len(found)


# ------------------------------------------------------------------------------------------------------------- scoring


@networks
@pytest.mark.parametrize("m", [1, CHUNK, 2 * CHUNK + 5])
def test_the_score_of_labels(sizes, activation, cost, m):
    net, X = build(sizes, activation, cost), columns(m, sizes[0])
    labels = np.random.default_rng(2).integers(0, max(2, sizes[-1]), m)
    score = net.engine.score(net.engine.examples(X, labels))
    outputs = mbbp.reference.feedforward(net, X)[1][-1]
    right = (outputs[0] > 0.5) == labels if sizes[-1] == 1 else outputs.argmax(axis=0) == labels
    assert score.accuracy == right.mean()
    assert score.cost == pytest.approx(mbbp.reference.cost(net, X, labels), rel=1e-12)


@networks
@pytest.mark.parametrize("m", [1, CHUNK + 1])
def test_the_score_of_targets_that_name_no_class_has_no_accuracy(sizes, activation, cost, m, rng):
    net, X = build(sizes, activation, cost), columns(m, sizes[0])
    Y = rng.dirichlet(np.ones(sizes[-1] + 1), m).T[:-1]
    score = net.engine.score(net.engine.examples(X, Y))
    assert score.accuracy is None
    assert score.cost == pytest.approx(mbbp.reference.cost(net, X, Y), rel=1e-12)


def test_a_weighted_score(rng):
    m = CHUNK + 9
    net, X, Y, weights = build([5, 4, 3]), columns(m), rng.random((3, m)), rng.random(m)
    score = net.engine.score(net.engine.examples(X, Y, example_weights=weights))
    costs = [mbbp.reference.cost(net, X[:, [i]], Y[:, [i]]) for i in range(m)]
    assert score.cost == pytest.approx(np.mean(weights * costs), rel=1e-12)


def test_a_cost_that_overflows_is_not_finite():
    net = build([1, 1], "identity", dtype="float32")
    net.theta = [1e30, 0]
    assert math.isinf(net.engine.score(net.engine.examples([[1e30]], [[0.0]])).cost)


# -------------------------------------------------------------------------------------------------------------- memory


def trained_loop(net):
    """Return a training loop after an epoch of Adam, which keeps the gradient in memory."""
    loop = Loop(net.engine, net.engine.examples(columns(9), np.arange(9) % 3), 4)
    adam = mbbp.Adam()
    step = adam.step(net.theta, loop.gradient, adam.start(net.theta.size, net.dtype), Rates(0.1))
    assert loop.run(np.arange(9), step)
    return loop


def a_network_that_was_asked():
    net = build([5, 4, 3])
    for m in (1, FEW + 1):
        net.feedforward(columns(m))
    net.gradient(columns(3), [0, 1, 2])
    return net


@pytest.mark.skipif(not JIT, reason="in plain Python what is bound is part of a circle")
@pytest.mark.parametrize(
    "array_of",
    [lambda: trained_loop(build([5, 4, 3])).gradient, lambda: a_network_that_was_asked().theta],
    ids=["loop", "network"],
)
def test_memory_is_free_again_without_the_garbage_collector(array_of):
    """Training data may be as large as half of the memory, so two copies must not be there at once."""
    gc.disable()
    try:
        there = weakref.ref(array_of())
        assert there() is None
    finally:
        gc.enable()


@pytest.mark.skipif(not JIT, reason="takes minutes in plain Python")
def test_the_memory_that_is_kept_does_not_grow_with_the_sizes_that_were_asked_for():
    net = build([5, 300, 3])
    net.feedforward(columns(CHUNK))
    tracemalloc.start()
    try:
        for m in range(FEW + 1, CHUNK):
            net.feedforward(columns(m))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 10 * 3 * (300 + 3) * CHUNK * 8  # ten workspaces


# ----------------------------------------------------------------------------------------------------------- compiling

LISTENING = """
import json
import numpy as np
from numba.core import event
compiled = []
class Listener(event.Listener):
    def on_start(self, event):
        function = event.data["dispatcher"].py_func
        compiled.append((function.__module__, function.__name__))
    def on_end(self, event):
        pass
event.register("numba:compile", Listener())
import mbbp
net = mbbp.Network([2, 3, 2], rng=0)
"""


def compiled_by(code, cache):
    """Return the names of our functions that are compiled in a new process, by module of the kernels."""
    code = f"{LISTENING}\n{code}\nprint(json.dumps(compiled))"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "MBBP_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    found = {}
    for module, name in json.loads(done.stdout):
        if module.startswith("mbbp."):
            found.setdefault(module.removeprefix("mbbp.kernels."), set()).add(name)
    return found


@pytest.mark.skipif(not JIT, reason="compiles")
@pytest.mark.parametrize("m", [1, FEW + 1])
def test_a_prediction_compiles_nothing_of_training(m, tmp_path):
    found = compiled_by(f"net.feedforward(np.zeros((2, {m}), np.float32))", tmp_path)
    assert found["activations"] == {"_sigmoid"}
    assert found["propagation"] == {"forward"}
    assert found["evaluation"] == {"predict"}
    assert not found.keys() & {"costs", "updates", "epoch", "team"}


@pytest.mark.skipif(not JIT, reason="compiles")
def test_training_compiles_what_the_network_uses_alone(tmp_path):
    found = compiled_by("net.fit(np.zeros((2, 4)), np.zeros(4, int), epochs=1, batch_size=2)", tmp_path)
    assert found["activations"] == {"_sigmoid", "_sigmoid_derivative"}
    assert found["costs"] == {"_quadratic", "_difference"}
    assert found["updates"] == {"sgd", "norm"}
    assert found["propagation"] == {"forward", "backward"}
    assert found["examples"] == {"gather_copied", "gather_targets", "inspect"}
    assert not found["exponential"] & {"tanh", "exp", "_exp_parts_double"}
    assert found["evaluation"] == {"count_correct"}
