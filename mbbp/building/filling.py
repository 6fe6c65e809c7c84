"""Fills the cache of compiled kernels, so that no later program must compile them."""

import concurrent.futures
import multiprocessing
import sys
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from mbbp.kernels.catalogue import all_kernels
from mbbp.threads import available_cores

MOST = 16  # processes: each of them has Numba in its memory


def fill_cache(dtypes: Sequence[str]) -> int:
    """Compile all kernels for networks of these dtypes, on all cores, and return how many there are.

    Kernels that are in the cache already are not compiled again.

    Raises
    ------
    OSError
        If compiled kernels cannot be kept on disk.
    """
    tasks = [(dtype, index) for dtype in dtypes for index in range(len(list(all_kernels(np.dtype(dtype)))))]
    spawned = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
    with concurrent.futures.ProcessPoolExecutor(min(available_cores(), MOST), spawned, _be_silent) as pool:
        done = pool.map(_compile, *zip(*tasks, strict=True))
        bar = tqdm(done, "compiling", len(tasks), leave=False, disable=not sys.stderr.isatty(), unit="kernel")
        if not all(bar):
            raise OSError("nothing can be kept on disk; set NUMBA_CACHE_DIR to a folder that can be written to")
    return len(tasks)


def _be_silent() -> None:
    from mbbp.kernels.lowlevel import events

    events.say_nothing()


def _compile(dtype: str, index: int) -> bool:
    """Compile a kernel, and return whether it could be kept on disk."""
    from mbbp.kernels.lowlevel.cache import can_write

    kernel = list(all_kernels(np.dtype(dtype)))[index]
    kernel.compile(np.dtype(dtype))
    return can_write()
