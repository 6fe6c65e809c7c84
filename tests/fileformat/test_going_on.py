"""A training that stops, is saved and goes on in another process gives the same numbers, to the bit."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mbbp
from mbbp.optimizers import AdamEpsilonHat
from mbbp.schedules import Cosine, Exponential, ReduceWhenStuck, Step
from mbbp.solvers import OPTIMIZERS
from tests.problems import continuous, figures, labelled, network

GENERATORS = [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64]
ALL = [*OPTIMIZERS.values(), AdamEpsilonHat()]


def compare(one, other):
    assert one.theta.tobytes() == other.theta.tobytes()
    assert figures(one.history) == figures(other.history)
    assert repr(one.rng.bit_generator.state) == repr(other.rng.bit_generator.state)
    if one.optimizer_state is not None:
        assert one.optimizer_state.optimizer == other.optimizer_state.optimizer
        assert one.optimizer_state.moments.tobytes() == other.optimizer_state.moments.tobytes()
        assert one.optimizer_state.steps == other.optimizer_state.steps


@pytest.mark.parametrize("optimizer", ALL, ids=lambda one: one.name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_optimizer(optimizer, dtype, tmp_path):
    def train(net, epochs):
        net.fit(*labelled(), epochs=epochs, batch_size=5, optimizer=optimizer, learning_rate=Cosine(0.05, 10))

    whole, parted = (network(dtype=dtype, dropout=0.2, scaling="standardize") for _ in range(2))
    train(whole, 10)
    train(parted, 5)
    mbbp.save(parted, tmp_path / "net.mbbp")
    back = mbbp.load(tmp_path / "net.mbbp")
    assert back.history == parted.history
    train(back, 5)
    compare(back, whole)


PROGRAM = """
import json, sys
import numpy as np
import mbbp
path, threads, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
mbbp.set_threads(threads)
net = mbbp.load(path)
rng = np.random.default_rng(0)
X, y = rng.standard_normal((40, 600)), rng.integers(0, 10, 600)
net.fit(X, y, epochs=3, **options)
mbbp.save(net, path)
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_in_another_process_and_with_threads(dtype, threads, tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 600)), rng.integers(0, 10, 600)
    options = {"optimizer": "adam", "batch_size": 200, "l2": 0.1, "clip_norm": 0.5}
    whole = mbbp.Network([40, 300, 10], ["relu", "softmax"], dtype=dtype, rng=0, dropout=0.5)
    whole.fit(X, y, epochs=3, **options)
    path = tmp_path / "net.npz"
    mbbp.save(whole, path)
    whole.fit(X, y, epochs=3, **options)
    command = [sys.executable, "-c", PROGRAM, str(path), str(threads), json.dumps(options)]
    subprocess.run(command, check=True, env=os.environ)
    compare(mbbp.load(path), whole)


@pytest.mark.parametrize("bits", GENERATORS)
def test_every_generator(bits, tmp_path):
    net = network(rng=np.random.Generator(bits(3)))
    net.rng.random(7, np.float32)  # some keep the second half of 64 bits for the next call
    net.fit(*labelled(), epochs=1)
    mbbp.save(net, tmp_path / "net.npz")
    back = mbbp.load(tmp_path / "net.npz")
    assert back.rng.random(3, np.float32).tolist() == net.rng.random(3, np.float32).tolist()
    assert back.rng.random(700).tolist() == net.rng.random(700).tolist()


def test_another_generator_is_refused(tmp_path):
    class Own(np.random.PCG64):
        state = {"bit_generator": "Own"}  # noqa: RUF012

    net = network(rng=np.random.Generator(Own(1)))
    with pytest.raises(ValueError, match=r"net: expected one of PCG64, .* as its generator, got 'Own'; set net\.rng"):
        mbbp.save(net, tmp_path / "net.npz")


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    dtype=st.sampled_from(["float32", "float64"]),
    optimizer=st.sampled_from(list(OPTIMIZERS)),
    schedule=st.sampled_from([None, Step(0.1, 2), Exponential(0.1), ReduceWhenStuck(0.1, patience=1)]),
    stopping=st.sampled_from([None, 1, 2]),
    epochs=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    shuffle=st.booleans(),
)
def test_any_training(tmp_path_factory, sizes, dtype, optimizer, schedule, stopping, epochs, shuffle):
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((sizes[0], 11)), rng.random((sizes[-1], 11))
    nets = [mbbp.Network(sizes, "tanh", dtype=dtype, rng=5) for _ in range(2)]
    path = tmp_path_factory.mktemp("any") / "net.npz"
    for i, n in enumerate(epochs):
        for net in nets:
            net.fit(
                X, Y, epochs=n, optimizer=optimizer, learning_rate=schedule, early_stopping=stopping, shuffle=shuffle
            )
        if i == 0:
            mbbp.save(nets[1], path)
            nets[1] = mbbp.load(path)
    compare(*nets)


def test_schema_and_metadata_come_back(tmp_path):
    columns = [mbbp.Column("a", fill=0.5), mbbp.Column("c", ["x", "ü,\n"], "x"), mbbp.Column("\ud800", fill=2)]
    schemas = [
        None,
        mbbp.Schema(),
        mbbp.Schema(columns, classes=["no", "yes", "?"], targets=["answer"]),
        mbbp.Schema(targets=["a", "b", "c"], target_scaling=mbbp.Scaling([1.0, 2.0, 3.0], [0.1, 0.2, 1 / 3])),
    ]
    for schema in schemas:
        net = network()
        net.schema, net.metadata = schema, {"author": "ä", "": "\n"}
        mbbp.save(net, tmp_path / "net.npz")
        back = mbbp.load(tmp_path / "net.npz")
        assert back.schema == schema
        assert back.metadata == net.metadata


def test_what_a_history_holds_comes_back(tmp_path):
    net = network()
    net.fit(*continuous(), epochs=2, validation_data=continuous(5))
    net.history.was_interrupted = True
    mbbp.save(net, tmp_path / "net.npz")
    back = mbbp.load(tmp_path / "net.npz").history
    assert back == net.history
    assert back[0].training_accuracy is None
    assert type(back[0].epoch) is int
    assert back.was_interrupted


@pytest.mark.parametrize("optimizer", ALL, ids=lambda one: one.name)
def test_a_trainer(optimizer, tmp_path):
    X, y = labelled()
    how = {"optimizer": optimizer, "learning_rate": 0.01}
    whole, parted = network(dropout=0.3), network(dropout=0.3)
    one, other = whole.trainer(**how), parted.trainer(**how)
    for _ in range(5):
        one.step(X, y)
        other.step(X, y)
    parted.optimizer_state = other.optimizer_state
    mbbp.save(parted, tmp_path / "net.npz")
    back = mbbp.load(tmp_path / "net.npz")
    again = back.trainer(**how, optimizer_state=back.optimizer_state)
    for _ in range(5):
        assert one.step(X, y) == again.step(X, y)
    assert back.theta.tobytes() == whole.theta.tobytes()
    assert back.optimizer_state.steps == 5  # the trainer has a copy
    assert again.steps == 10


def test_a_trainer_refuses_a_state_that_is_not_its_own():
    net = network()
    state = net.trainer(optimizer="adam").optimizer_state
    for optimizer, wrong, says in (
        ("sgd", state, "optimizer_state: expected a state of SGD.*, got one of Adam"),
        ("adam", "state", "optimizer_state: expected an OptimizerState or None, got 'state'"),
        ("adam", mbbp.Network([2, 1]).trainer(optimizer="adam").optimizer_state, "optimizer_state: expected moments"),
    ):
        with pytest.raises((TypeError, ValueError), match=says):
            net.trainer(optimizer=optimizer, optimizer_state=wrong)
