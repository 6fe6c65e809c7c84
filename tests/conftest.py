"""What all tests share."""

import os
import tempfile

# An edit in one file leaves a cached caller in another one stale, so each run compiles for itself. This must be set
# before numba is imported, and for the processes that tests start.
os.environ.setdefault("NUMBA_CACHE_DIR", tempfile.mkdtemp(prefix="mbbp-test-cache-"))

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Compiling takes seconds, once: a deadline would blame the example that came first.
settings.register_profile(
    "mbbp", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("mbbp")

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
"""Whether the kernels are compiled in this run, or plain Python: then they are a hundred times slower."""


@pytest.fixture
def rng():
    return np.random.default_rng(12345)
