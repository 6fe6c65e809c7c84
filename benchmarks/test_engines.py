"""Steps, gradients, predictions and epochs, timed for every engine.

``pytest benchmarks --benchmark-only --benchmark-group-by=group`` prints one table per case, with one row per engine.
The cases are those of ``mbbp bench --table``.
"""

import numpy as np
import pytest

from mbbp.bench.cases import TABLE, WHATS, Case, make_case_data
from mbbp.bench.implementations import IMPLEMENTATIONS

CASES = [Case(sizes, m, "float32", what) for what in WHATS for sizes, m in TABLE]
CASES += [Case(sizes, 1, "float32", "predict") for sizes in dict.fromkeys(sizes for sizes, _ in TABLE)]


@pytest.mark.parametrize("kind", IMPLEMENTATIONS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)
def test_engine(benchmark, case, kind):
    benchmark.group = f"{case.what} {case.name}"
    data = make_case_data(case, seed=0)
    implementation = kind(case, data)
    mini_batches = case.steps_per_epoch(data.n) if case.what == "epoch" else 1
    order = np.random.default_rng(0).permutation(data.n)[: mini_batches * case.batch_size]
    implementation.run(order)  # compiles
    benchmark.extra_info["mini_batches"] = mini_batches
    benchmark(implementation.run, order)
