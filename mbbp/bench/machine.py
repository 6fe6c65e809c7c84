"""The machine: giving every implementation the same number of threads, and describing what the run is measured on."""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from mbbp.kernels.lowlevel.vectors import VECTOR_BYTES
from mbbp.threads import available_cores

HELD = "MBBP_BENCH_THREADS"
STARTED = "MBBP_BENCH_STARTED"
PACKAGES = ("mbbp", "numpy", "numba", "llvmlite", "torch", "jax", "jaxlib", "scikit-learn", "scipy")


def held_environment(threads: int) -> dict[str, str]:
    """Return environment variables with which BLAS, OpenMP, torch, XLA and Numba all run `threads` threads.

    Most of these libraries read them once, when they are loaded, so they must be set before the process starts.
    """
    n = str(threads)
    names = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMBA", "VECLIB_MAXIMUM", "NUMEXPR")
    held = {f"{name}_NUM_THREADS": n for name in names}
    flags = os.environ.get("XLA_FLAGS", "")
    # The order matters: if the flags do not begin with a dash, XLA reads them as the name of a file.
    flags += f" --xla_cpu_multi_thread_eigen={'false' if threads == 1 else 'true'} intra_op_parallelism_threads={n}"
    return {**os.environ, **held, "XLA_FLAGS": flags.strip(), HELD: n, STARTED: str(time.time())}


def is_held(threads: int) -> bool:
    """Say whether this process was started in `held_environment`."""
    return os.environ.get(HELD) == str(threads)


def seconds_so_far() -> float:
    """Return how long ago the process was started in `held_environment`; 0 if it was not, or if the clock was set."""
    started = float(os.environ.get(STARTED, "inf"))
    return max(0.0, time.time() - started)


def pin(threads: int) -> list[int] | None:
    """Pin the process to as many cores as it has threads. Return the cores, or None if the system does not allow it."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))[-threads:]  # not the first core, which the system itself uses most
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, cores)
        return cores
    return None


def describe(threads: int, cores: list[int] | None, seed: int) -> dict[str, Any]:
    """Return the machine, the versions and the settings of a run, in the form of its JSON."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "vector_bits": 8 * VECTOR_BYTES,
        "cores": os.cpu_count(),
        "cores_allowed": available_cores(),
        "pinned_to": cores,
        "threads": threads,
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "versions": _versions(),
        "blas": _blas(),
        "seed": seed,
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _processor() -> str:
    """Return the system's name for the processor."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _blas() -> dict[str, Any]:
    """Return NumPy's BLAS, and if threadpoolctl is installed, the kernel that it chose for this processor."""
    import numpy as np

    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    found = {"name": built.get("name"), "version": built.get("version"), "kernel": None, "threads": None}
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_info

        for library in threadpool_info():
            if library["user_api"] == "blas" and "numpy" in library["filepath"]:
                found |= {"kernel": library.get("architecture"), "threads": library["num_threads"]}
    return found
