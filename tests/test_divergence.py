"""A cost that becomes NaN or inf: the epoch in which it happens changes nothing."""

import numpy as np
import pytest

import mbbp
from tests.problems import continuous, figures, network

X, Y = continuous()
GOOD = 3
RATES = {"float32": 1e30, "float64": 1e200}
LINEAR = {"activation": ["tanh", "identity"]}

# Plain Python kernels warn where compiled ones do not.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def explode(rate):
    """Return a schedule with this learning rate after three good epochs."""
    return lambda epoch: 0.05 if epoch <= GOOD else rate


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adam"])
@pytest.mark.parametrize("dtype", RATES)
@pytest.mark.parametrize("is_validated", [False, True], ids=["", "validated"])
def test_training_goes_on_from_the_last_good_epoch_as_if_nothing_had_been(optimizer, dtype, is_validated):
    options = {"batch_size": 5, "optimizer": optimizer} | ({"validation_data": (X, Y)} if is_validated else {})
    net, wise = network(dtype=dtype, **LINEAR), network(dtype=dtype, **LINEAR)
    wise.fit(X, Y, epochs=GOOD, learning_rate=0.05, **options)
    with pytest.raises(mbbp.DivergedError):
        net.fit(X, Y, epochs=9, learning_rate=explode(RATES[dtype]), **options)
    assert net.theta.tobytes() == wise.theta.tobytes()
    assert net.optimizer_state.moments.tobytes() == wise.optimizer_state.moments.tobytes()
    assert net.optimizer_state.steps == wise.optimizer_state.steps == GOOD * 5
    assert figures(net.history) == figures(wise.history)
    for one in (net, wise):
        one.fit(X, Y, epochs=2, learning_rate=0.01, **options)
    assert net.theta.tobytes() == wise.theta.tobytes()
    assert net.history["epoch"] == [1, 2, 3, 4, 5]


def test_the_error_says_where_at_what_rate_and_what_to_try():
    with pytest.raises(ArithmeticError) as caught:
        network(**LINEAR).fit(X, Y, batch_size=5, learning_rate=explode(1e200))
    message = str(caught.value)
    for words in ("epoch 4", "NaN or inf", "learning rate 1e+200", "smaller learning_rate", "clip_norm", "float64"):
        assert words in message


def test_a_validation_cost_that_overflows_counts_too():
    # One step per epoch: its cost is computed before it makes the parameters huge.
    options = {"epochs": 1, "batch_size": 100, "learning_rate": 1e200}
    net = network(**LINEAR)
    before = net.theta.copy()
    with pytest.raises(mbbp.DivergedError, match="epoch 1"):
        net.fit(X, Y, validation_data=(X, Y), **options)
    assert net.theta.tobytes() == before.tobytes()
    assert len(net.history) == 0
    assert len(net.fit(X, Y, **options)) == 1


def test_parameters_that_overflow_count_before_any_cost_does():
    net = network(dtype="float32", activation="identity")
    before = net.theta.copy()
    with pytest.raises(mbbp.DivergedError, match="epoch 1"):
        net.fit(X * 1e3, Y, epochs=1, batch_size=100, learning_rate=1e38)
    assert net.theta.tobytes() == before.tobytes()


def test_parameters_of_nan_to_begin_with_are_left_alone():
    net = network()
    net.layers[0].b[:] = np.nan
    before = net.theta.copy()
    with pytest.raises(mbbp.DivergedError, match="epoch 1"):
        net.fit(X, Y)
    assert net.theta.tobytes() == before.tobytes()


def test_clipping_is_good_advice():
    diverging = {"epochs": 100, "batch_size": 5, "learning_rate": 5.0}
    with pytest.raises(mbbp.DivergedError):
        network(**LINEAR).fit(X * 10, Y, **diverging)
    assert len(network(**LINEAR).fit(X * 10, Y, clip_norm=0.01, **diverging)) == 100
