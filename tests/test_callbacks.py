"""Callbacks: when they are called, with what, and what they can do."""

import numpy as np
import pytest

import mbbp
from tests.problems import labelled, network


def test_each_is_called_after_every_epoch_with_the_network_and_its_row():
    net, calls = network(), []
    callbacks = [
        lambda *given: calls.append(("first", *given, net.theta.copy())),
        lambda *given: calls.append(("second", *given, net.theta.copy())),
    ]
    history = net.fit(*labelled(), epochs=3, callbacks=callbacks)
    assert [call[0] for call in calls] == ["first", "second"] * 3
    assert all(call[1] is net for call in calls)
    assert [call[2] for call in calls[::2]] == [call[2] for call in calls[1::2]] == list(history)
    np.testing.assert_array_equal(calls[-1][3], net.theta)
    assert (calls[0][3] != calls[2][3]).any()


def test_a_single_function_need_not_be_in_a_list():
    rows = []
    history = network().fit(*labelled(), epochs=2, callbacks=lambda net, row: rows.append(row))
    assert rows == list(history)


def test_the_row_is_in_the_history_already():
    lengths = []
    network().fit(*labelled(), epochs=3, callbacks=lambda net, row: lengths.append(len(net.history)))
    assert lengths == [1, 2, 3]


def test_what_it_returns_does_not_matter():
    assert len(network().fit(*labelled(), epochs=3, callbacks=lambda net, row: True)) == 3


@pytest.mark.parametrize("early_stopping", [None, mbbp.EarlyStopping("training_cost", restore_best=False)])
def test_stop_training_ends_it_after_the_epoch(early_stopping):
    def stop(net, row):
        if row.epoch == 2:
            raise mbbp.StopTraining

    net, shorter, later = network(), network(), []
    history = net.fit(
        *labelled(), epochs=9, callbacks=[stop, lambda net, row: later.append(row)], early_stopping=early_stopping
    )
    shorter.fit(*labelled(), epochs=2)
    assert history["epoch"] == [1, 2]
    assert [row.epoch for row in later] == [1]
    assert net.theta.tobytes() == shorter.theta.tobytes()


@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), KeyboardInterrupt("mine")], ids=repr)
def test_an_error_comes_through_and_the_network_goes_on(error):
    def fail(net, row):
        if row.epoch == 2:
            raise error

    net, whole = network(), network()
    with pytest.raises(type(error), match="mine"):
        net.fit(*labelled(), epochs=9, optimizer="adam", callbacks=fail)
    assert net.history["epoch"] == [1, 2]
    net.fit(*labelled(), epochs=2, optimizer="adam")
    whole.fit(*labelled(), epochs=4, optimizer="adam")
    assert net.theta.tobytes() == whole.theta.tobytes()


def test_it_may_change_the_network():
    def zero(net, row):
        net.theta = np.zeros(net.theta.size)

    net = network()
    net.fit(*labelled(), epochs=2, callbacks=zero)
    assert not net.theta.any()
