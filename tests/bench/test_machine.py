"""The machine: its description, the number of threads, and pinning."""

import os
import sys
import time

import pytest

from mbbp.bench import machine, table

pytestmark = pytest.mark.usefixtures("restored")


def test_the_environment_limits_the_threads_of_every_library(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--some_flag")
    environment = machine.held_environment(2)
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        assert environment[f"{name}_NUM_THREADS"] == "2"
    expected = "--some_flag --xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads=2"
    assert environment["XLA_FLAGS"] == expected
    monkeypatch.delenv("XLA_FLAGS")
    assert machine.held_environment(2)["XLA_FLAGS"].startswith(
        "--"
    )  # otherwise XLA would read it as the name of a file
    assert "--xla_cpu_multi_thread_eigen=false" in machine.held_environment(1)["XLA_FLAGS"]
    assert not machine.is_held(2)
    monkeypatch.setenv(machine.HELD, "2")
    assert machine.is_held(2)
    assert not machine.is_held(1)
    assert machine.seconds_so_far() == 0.0
    monkeypatch.setenv(machine.STARTED, str(time.time() - 5))
    assert 5 <= machine.seconds_so_far() < 60


def test_a_system_that_cannot_pin_is_no_error(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert machine.pin(1) is None
    monkeypatch.setattr(machine, "available_cores", lambda: 1)
    assert "NOT pinned" in table.header(machine.describe(1, None, 0))


def test_a_refusal_to_pin_is_no_error(monkeypatch):
    def refuse(*_):
        raise OSError("not permitted")

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 5}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    assert machine.pin(2) is None


def test_the_description_of_a_machine_without_cpuinfo_and_threadpoolctl(monkeypatch):
    monkeypatch.setattr(machine, "Path", lambda _: open("/no/such/file"))  # noqa: PTH123, SIM115
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    described = machine.describe(1, [0], 3)
    assert described["processor"]
    assert described["blas"]["kernel"] is None
    assert described["versions"]["numpy"]
    assert described["seed"] == 3
