"""The command ``mbbp compile``."""

import argparse
import time
from typing import Any

from mbbp.kernels.lowlevel import prebuilt, processor
from mbbp.kernels.lowlevel.compiling import DISABLED

DTYPES = ("float32", "float64")  # of networks


def add_compile(commands: Any) -> None:
    """Add the subcommand ``compile`` to those of ``mbbp``."""
    add = commands.add_parser(
        "compile",
        help="compile all kernels now, so that no later program waits for them",
        description="Compile all kernels that no installed library provides, and keep them in the cache: in the folder "
        "that the environment variable NUMBA_CACHE_DIR names, or beside the package. For container images, and for "
        "machines on which programs may write nothing.",
    )
    add.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if DISABLED:
        raise ValueError("NUMBA_DISABLE_JIT is set, so nothing can be compiled")
    reason = prebuilt.why_not()
    if reason is None:
        print(f"The kernels that were installed with mbbp fit this processor ({processor.level()}).")
        return 0
    from mbbp.building.filling import fill_cache

    print(f"Compiling, because {reason}.", flush=True)
    began = time.perf_counter()
    count = fill_cache(DTYPES)
    print(f"{count} kernels are in the cache, after {time.perf_counter() - began:.1f} s.")
    return 0
