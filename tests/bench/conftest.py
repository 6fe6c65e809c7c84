"""What the tests of the comparison share."""

import os
import time

import numpy as np
import pytest

import mbbp
from mbbp.bench import cases, machine
from mbbp.bench import measure as measuring


@pytest.fixture
def quick(monkeypatch):
    """Take short samples and few examples."""
    monkeypatch.setattr(measuring, "SECONDS_PER_SAMPLE", 0.0005)
    monkeypatch.setattr(cases, "EXAMPLES", 64)
    # On a busy machine NumPy has rarely warned of an invalid value in products of finite numbers. The cause seems to be
    # a flag that its BLAS leaves set.
    with np.errstate(invalid="ignore"):
        yield


@pytest.fixture
def restored():
    """Restore the number of threads and the pinned cores after the test."""
    threads = mbbp.get_threads()
    pin, allowed = getattr(os, "sched_setaffinity", None), getattr(os, "sched_getaffinity", lambda _: None)(0)
    yield
    mbbp.set_threads(threads)
    if pin is not None:
        pin(0, allowed)


@pytest.fixture
def held(monkeypatch):
    """Set the environment variables of the process that the command starts."""
    monkeypatch.setenv(machine.HELD, "1")
    monkeypatch.setenv(machine.STARTED, str(time.time()))
