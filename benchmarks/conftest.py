"""What all benchmarks share: one thread, for every engine alike, and kernels compiled in this very run."""

import os
import tempfile

# BLAS reads these when NumPy loads it.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# Read from a cache, a kernel does not tell how often the kernels in it were compiled.
os.environ.setdefault("NUMBA_CACHE_DIR", tempfile.mkdtemp(prefix="mbbp-benchmark-cache-"))
