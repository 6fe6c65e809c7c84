"""Runs a benchmark as one process with one thread, pinned to one core."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mbbp.bench import machine

ROOT = Path(__file__).parent.parent


def hold(module: str) -> dict[str, Any]:
    """Return what describes this process, once it runs one thread on one core.

    BLAS, OpenMP, torch, XLA and Numba read their numbers of threads when they are loaded. So a process that was started
    without them runs the module again in a new process, and ends with its exit code.

    Parameters
    ----------
    module : str
        The name of the benchmark's module, such as ``"benchmarks.jacobians"``.
    """
    if not machine.is_held(1):
        environment = machine.held_environment(1)
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        raise SystemExit(subprocess.run([sys.executable, "-m", module, *sys.argv[1:]], env=environment).returncode)
    cores = machine.pin(1)
    import mbbp

    mbbp.set_threads(1)
    return machine.describe(1, cores, seed=0)


def describe(about: dict[str, Any], *packages: str) -> str:
    """Return the line above the tables: the processor, the core and the versions."""
    import importlib.metadata

    where = f"pinned to core {about['pinned_to'][0]}" if about["pinned_to"] else "not pinned"
    versions = [f"Python {about['python']}"]
    for package in ("numpy", "numba", *packages):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {package}")
    return f"{about['processor']}, one process, one thread, {where}; {', '.join(versions)}"
