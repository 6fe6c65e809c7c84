"""Runs a benchmark as one process with one thread, or with several, pinned to as many cores."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mbbp.bench import machine

ROOT = Path(__file__).parent.parent


def hold(module: str, threads: int = 1) -> dict[str, Any]:
    """Return what describes this process, once it runs so many threads on as many cores.

    BLAS, OpenMP, torch, XLA and Numba read their numbers of threads when they are loaded. So a process that was started
    without them runs the module again in a new process, and ends with its exit code.

    Parameters
    ----------
    module : str
        The name of the benchmark's module, such as ``"benchmarks.jacobians"``.
    threads : int
        The number of threads.
    """
    if not machine.is_held(threads):
        environment = machine.held_environment(threads)
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        raise SystemExit(subprocess.run([sys.executable, "-m", module, *sys.argv[1:]], env=environment).returncode)
    cores = machine.pin(threads)
    import mbbp

    mbbp.set_threads(threads)
    return machine.describe(threads, cores, seed=0)


def describe(about: dict[str, Any], *packages: str) -> str:
    """Return the line above the tables: the processor, the core and the versions."""
    import importlib.metadata

    cores, threads = about["pinned_to"], about["threads"]
    where = f"pinned to core{'s' * (threads > 1)} {', '.join(map(str, cores))}" if cores else "not pinned"
    versions = [f"Python {about['python']}"]
    for package in ("numpy", "numba", *packages):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {package}")
    return f"{about['processor']}, one process, {threads} thread{'s' * (threads > 1)}, {where}; {', '.join(versions)}"
