"""Settings and fixtures of all tests."""

import os
import re
import tempfile
from pathlib import Path

# Each run starts with an empty cache, so that no test depends on code that an earlier run has compiled. This must be
# set before Numba is imported. The processes that tests start inherit it. `python -m tests` sets one for all its steps.
if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="mbbp-test-cache-")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from mbbp.kernels.lowlevel import compiling
from tests.tiers import MARKERS, UNTRACED

ROOT = Path(__file__).parent.parent

# The first example of a test compiles kernels, which takes seconds: it would miss any deadline.
settings.register_profile(
    "mbbp",
    deadline=None,
    derandomize=True,
    max_examples=40,  # the same in every run; the nightly run draws many others
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# For the tiers of `python -m tests`. The nightly run draws other examples each time.
settings.register_profile("quick", settings.get_profile("mbbp"), max_examples=20)
settings.register_profile("nightly", settings.get_profile("mbbp"), max_examples=1000, derandomize=False)
settings.load_profile("mbbp")

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
"""Whether the kernels are compiled in this run. As plain Python they are a hundred times slower."""

if JIT:
    compiling.jit()  # tests call compiled functions by name, and compile some of their own


@pytest.fixture
def rng():
    return np.random.default_rng(12345)


def plain(value):
    """Return the text of a value without addresses. In pytest-xdist a test must have the same name in all processes."""
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", str(value))


def pytest_collection_modifyitems(items):
    """Add the markers of `tests.tiers`."""
    untraced = tuple(str(ROOT / path) for path in UNTRACED)
    for item in items:
        name = getattr(item, "originalname", item.name)
        for marker, names in MARKERS.items():
            if name in names:
                item.add_marker(marker)
        if JIT and str(item.path).startswith(untraced):
            item.add_marker("no_cover")
