"""Many networks in the processes of a Dask cluster on this machine."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import mbbp
from tests.many.clusters import small_cluster
from tests.many.test_fit_many import DIFFERENT, different_networks, state_of
from tests.problems import continuous, labelled, network

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of Dask


@pytest.fixture(scope="module")
def client():
    with small_cluster(distributed) as client:
        yield client


def test_the_networks_are_those_that_are_trained_here(client):
    X, y = labelled()
    here, there = different_networks(), different_networks()
    for nets, more in ((here, {}), (there, {"client": client})):
        for epochs in (2, 3):  # the second one goes on
            each = [{**own, "epochs": epochs} for own in DIFFERENT]
            fits = mbbp.fit_many(nets, X, y, each=each, **more)
            assert fits.errors == (None,) * 7
            assert [history is net.history for history, net in zip(fits.histories, nets, strict=True)] == [True] * 7
    assert list(map(state_of, there)) == list(map(state_of, here))


def test_a_network_that_diverges_is_reported(client):
    X, Y = continuous()
    nets = [network(rng=i, activation=["tanh", "identity"]) for i in range(3)]
    fits = mbbp.fit_many(nets, X, Y, each=[{}, {"learning_rate": 1e200}, {}], epochs=2, client=client)
    assert fits.diverged == (1,)
    assert isinstance(fits.errors[1], mbbp.DivergedError)


def test_a_bad_argument_is_found_before_anything_is_sent(client):
    with pytest.raises(ValueError, match="l2: expected"):
        mbbp.fit_many([network()], *continuous(), l2=-1, client=client)


class KillOnce:
    """Kill the worker in the middle of a training, the first time that it is called in any process."""

    def __init__(self, path):
        self.path = path

    def __call__(self, net, row):
        if row.epoch == 2:
            try:
                self.path.touch(exist_ok=False)
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)


def test_the_networks_of_a_killed_worker_are_trained_again(client, tmp_path):
    X, Y = continuous()
    here, there = ([network(rng=i) for i in range(6)] for _ in range(2))
    mbbp.fit_many(here, X, Y, epochs=4)
    mbbp.fit_many(there, X, Y, epochs=4, callbacks=KillOnce(tmp_path / "killed"), client=client)
    assert (tmp_path / "killed").exists()
    assert list(map(state_of, there)) == list(map(state_of, here))


class Count:
    """Make a file longer in each epoch, and raise an error as soon as another training does so."""

    def __init__(self, path, error=None, other=None):
        self.path, self.error, self.other = path, error, other

    def __call__(self, net, row):
        if self.other is not None and self.other.stat().st_size:
            raise self.error
        with self.path.open("ab") as file:
            file.write(b".")
        time.sleep(0.02)


def is_growing(path):
    before = path.stat().st_size
    time.sleep(0.5)
    return path.stat().st_size > before


class OwnError(Exception):
    """An error that cannot be sent: it is made with more than it keeps."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (RuntimeError("not today"), RuntimeError, "not today"),
        (KeyboardInterrupt("not today"), KeyboardInterrupt, "not today"),
        (None, TypeError, "exceptions must derive from BaseException"),
    ],
)
def test_an_error_names_the_network_ends_the_workers_and_keeps_what_has_ended(
    client, tmp_path, monkeypatch, error, kind, message
):
    client.wait_for_workers(2)
    monkeypatch.setattr("mbbp.many.workers.GROUPS_FOR_EACH_THREAD", 1)  # one group has 0 and 2, the other one 1 and 3
    X, Y = continuous()
    nets, alone = [network(rng=i) for i in range(4)], network(rng=1)
    each = [
        {"epochs": 4000, "callbacks": Count(tmp_path / "0", error, tmp_path / "3")},
        {"epochs": 3000},
        {"epochs": 2001},
        {"epochs": 2000, "callbacks": Count(tmp_path / "3")},
    ]
    (tmp_path / "3").touch()
    before = [net.theta.tobytes() for net in nets]
    alone.fit(X, Y, epochs=3000)
    with pytest.raises(kind, match=message) as caught:
        mbbp.fit_many(nets, X, Y, each=each, client=client)
    assert caught.value.__notes__[0] == "This is an error of networks[0]."
    assert "It was raised in a worker" in caught.value.__notes__[1]
    assert "in __call__" in caught.value.__notes__[1]
    assert not is_growing(tmp_path / "3")
    assert [len(net.history) for net in nets] == [0, 3000, 0, 0]
    assert state_of(nets[1]) == state_of(alone)
    assert [net.theta.tobytes() for net in nets if net is not nets[1]] == [before[0], *before[2:]]
    mbbp.fit_many(nets, X, Y, epochs=1, client=client)


class RaiseOwn:
    def __call__(self, net, row):
        raise OwnError("one", "two")


def test_an_error_that_cannot_be_sent_is_told(client):
    with pytest.raises(RuntimeError, match="OwnError: one and two") as caught:
        mbbp.fit_many([network(), network(rng=1)], *continuous(), each=[{}, {"callbacks": RaiseOwn()}], client=client)
    assert caught.value.__notes__[0] == "This is an error of networks[1]."


def test_ctrl_c_keeps_the_networks_that_have_ended(client, tmp_path):
    mbbp.interrupts.Interrupts._last_press = -100.0
    X, Y = continuous()
    nets, fast = [network(rng=i) for i in range(8)], network(rng=0)
    fast.fit(X, Y, epochs=1)
    each = [{"epochs": 1}] + [{"epochs": 500, "callbacks": Count(tmp_path / "n")}] * 7
    before = [net.theta.tobytes() for net in nets]
    timer = threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    fits = mbbp.fit_many(nets, X, Y, each=each, client=client)
    timer.join()
    mbbp.interrupts.Interrupts._last_press = -100.0
    assert fits.was_interrupted
    assert not is_growing(tmp_path / "n")
    assert time.monotonic() - began < 9  # all of them would take 35 s
    for net, old in zip(nets, before, strict=True):
        assert np.isfinite(net.theta).all()
        assert len(net.history) in (0, 1, 500)
        assert (net.theta.tobytes() == old) == (len(net.history) == 0)
