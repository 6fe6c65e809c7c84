"""No assignment to a public attribute breaks a network: it is refused or checked, and the results stay right."""

import copy

import numpy as np
import pytest

import mbbp
from mbbp.engine import Engine
from mbbp.loop import Loop

X = np.random.default_rng(0).standard_normal((4, 20))
Y = np.arange(20) % 3
OTHER = mbbp.Network([2, 7, 5], "tanh", dtype="float32", rng=1)
OTHER.fit(X[:2], Y, epochs=1, optimizer="adam")
VALUES = [
    None,
    0,
    -1,
    10**30,
    2.5,
    "sigmoid",
    [4, 150, 3],
    (4, 150, 3),
    [],
    np.zeros(1),
    np.full(10_000, np.nan),
    np.zeros((500, 500)),
    np.float32,
    OTHER,
    OTHER.theta,
    OTHER.layers,
    OTHER.layers[0],
    OTHER.engine,
    OTHER.optimizer_state,
    OTHER.cost_function,
    OTHER.layers[0].activation,
    OTHER.history,
    OTHER.engine.examples(X[:2], Y),
    mbbp.Scaling(np.arange(1.0, 8.0)),
    mbbp.Activation("square", np.square, np.square),
]
REFUSALS = (AttributeError, TypeError, ValueError)


def build():
    net = mbbp.Network([4, 5, 3], dtype="float64", rng=0)
    net.fit(X, Y, epochs=1, optimizer="adam")
    net.gradient(X, Y)
    return net


PARTS = {
    "network": lambda net: net,
    "layer": lambda net: net.layers[0],
    "activation": lambda net: net.layers[0].activation,
    "cost": lambda net: net.cost_function,
    "engine": lambda net: net.engine,
    "optimizer state": lambda net: net.optimizer_state,
    "optimizer": lambda net: net.optimizer_state.optimizer,
    "trainer": lambda net: net.trainer(),
    "loop": lambda net: Loop(net.engine, net.engine.examples(X, Y), 10),
}


def public(part):
    return [name for name in dir(part) if not name.startswith("_") and not callable(getattr(part, name, None))]


def check(net):
    """Use the network in every way, and compare it with the oracle."""
    np.testing.assert_allclose(net.feedforward(X), mbbp.reference.feedforward(net, X)[1][-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(net.gradient(X, Y).theta, mbbp.reference.gradient(net, X, Y).theta, rtol=0, atol=1e-12)
    net.fit(X, Y, epochs=1, batch_size=5, optimizer="adam", validation_data=(X, Y))
    net.trainer().step(X, Y)
    assert net.accuracy(X, Y) >= 0
    assert net.sizes == (4, 5, 3)
    assert net.theta.size == 43
    copy.deepcopy(net).feedforward(X)


def attributes():
    net = build()
    for name, part in PARTS.items():
        found = public(part(net))
        assert found, name
        for attribute in found:
            yield name, attribute


@pytest.mark.parametrize(("part", "attribute"), list(attributes()))
def test_assignments(part, attribute):
    net = build()
    target = PARTS[part](net)
    for value in VALUES:
        before = net.theta.tobytes()
        try:
            setattr(target, attribute, value)
        except REFUSALS:
            assert net.theta.tobytes() == before
        else:
            check(net)
    with pytest.raises(AttributeError):
        delattr(target, attribute)
    check(net)


@pytest.mark.parametrize(("part", "attribute"), list(attributes()))
def test_changes_in_place(part, attribute):
    net = build()
    target = PARTS[part](net)
    for change in (
        lambda value: setattr(value, "shape", (-1, 1)),
        lambda value: setattr(value, "dtype", np.float32),
        lambda value: setattr(value, "strides", (0,)),
        lambda value: value.resize(10_000),
        lambda value: value.append(7),
        lambda value: value.pop(),
        lambda value: value.__setitem__(0, 150),
        lambda value: value.clear(),
    ):
        value = getattr(target, attribute, None)
        kept = copy.deepcopy(value) if isinstance(value, np.ndarray) else None
        with np.errstate(all="ignore"):
            try:
                change(value)
            except (*REFUSALS, IndexError, DeprecationWarning):
                continue
        if kept is not None and value.shape == kept.shape and value.dtype == kept.dtype and value.flags.writeable:
            value[...] = kept
        if part == "optimizer state":
            net.optimizer_state = None
        check(net)


def test_an_attribute_says_that_it_is_read_only():
    net = build()
    with pytest.raises(AttributeError, match=r"Network.sizes: read-only; make a new Network"):
        net.sizes = (4, 6, 3)
    with pytest.raises(AttributeError, match=r"Layer.activation: read-only"):
        net.layers[0].activation = OTHER.layers[0].activation
    with pytest.raises(AttributeError, match=r"Network.sizes: cannot be deleted"):
        del net.sizes
    assert isinstance(net.sizes, tuple)
    assert isinstance(net.layers, tuple)


def test_examples_of_another_network_are_refused():
    net = build()
    for examples in (
        OTHER.engine.examples(X[:2], Y),
        net.engine.examples(X, Y)._replace(labels=np.full(20, 3)),
        net.engine.examples(X, Y)._replace(labels=np.zeros(19, np.int64)),
        net.engine.examples(X, Y)._replace(weights=np.ones(3)),
    ):
        with pytest.raises(ValueError, match="examples: expected"):
            net.engine.score(examples)
        with pytest.raises(ValueError, match="examples: expected"):
            Loop(net.engine, examples, 5)


def test_a_copy_shares_nothing():
    net = build()
    before = net.theta.copy()
    other = copy.copy(net)
    assert isinstance(other.engine, Engine)
    other.fit(X, Y, epochs=2, optimizer="adam")
    np.testing.assert_array_equal(net.theta, before)
    assert (len(net.history), len(other.history)) == (1, 3)
    assert int(net.optimizer_state.steps[0]) == 2
    assert int(other.optimizer_state.steps[0]) == 6
    net.fit(X, Y, epochs=2, optimizer="adam")
    np.testing.assert_array_equal(net.theta, other.theta)
