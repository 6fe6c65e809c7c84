"""What all benchmarks share: one thread, for every engine alike."""

import os

# BLAS reads these when NumPy loads it.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
