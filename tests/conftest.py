"""Settings and fixtures of all tests."""

import os
import tempfile

# Each run starts with an empty cache, so that no test depends on code that an earlier run has compiled. This must be
# set before Numba is imported. The processes that tests start inherit it.
os.environ.setdefault("NUMBA_CACHE_DIR", tempfile.mkdtemp(prefix="mbbp-test-cache-"))

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# The first example of a test compiles kernels, which takes seconds: it would miss any deadline.
settings.register_profile(
    "mbbp", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mbbp")

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
"""Whether the kernels are compiled in this run. As plain Python they are a hundred times slower."""


@pytest.fixture
def rng():
    return np.random.default_rng(12345)
