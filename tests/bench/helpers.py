"""Made-up results of a comparison."""

import argparse

from mbbp.bench import record
from mbbp.bench.cases import Case, sweep_cases
from mbbp.bench.results import CaseResult, Result

ROOF = {"float32": 100.0, "float64": 50.0}
MACHINE = {
    "date": "2030-01-01T00:00:00+00:00",
    "processor": "A Processor",
    "cores": 4,
    "cores_allowed": 4,
    "pinned_to": [2],
    "threads": 1,
    "system": "Linux",
    "python": "3.12.1",
    "versions": {"mbbp": "0.1.0", "numpy": "2.0.0"},
    "blas": {"name": "openblas", "version": "0.3", "kernel": "Zen", "threads": 1},
    "seed": 7,
}
OPTIONS = argparse.Namespace(what="step", dtype="float32", seconds=45.0, peers=["sklearn"], sweep=None)


def result(name, us, dtype="float32", cost="quadratic", **more):
    return Result(name, dtype, cost, difference=1e-6, us=us, first_call_seconds=1.25, **more)


def case_result(m=10, us=27.1, sizes=(784, 30, 10)):
    return CaseResult(
        Case(sizes, m),
        [
            Result("per-example", "float64", "quadratic", 0.0, us=[550.0, 540.0, 560.0], first_call_seconds=0.003),
            result("mbbp", [us] * 5, bytes_per_step=1234),
            result("sklearn", [400.0, 500.0, 600.0], cost="cross_entropy"),
            Result("torch", "float32", "quadratic", refused="not installed"),
            Result("broken", "float32", "quadratic", 0.5, "wrong result: differs by 0.5", is_wrong=True),
        ],
    )


def made(results=None, growths=()):
    return record.make_record(results or [case_result()], MACHINE, OPTIONS, ROOF, list(growths))


def swept(over="width"):
    results = []
    for place, case in sweep_cases(over, (20, 30, 5), 10, "float32", "step"):
        times = {"per-example": 1000 + 2 * place, "mbbp": 0.5 * place**1.5, "cubic": place**3.0}
        rows = [result(name, [us, us + 1, us + 2]) for name, us in times.items()]
        rows.append(Result("torch", "float32", "quadratic", refused="not installed"))
        results.append(CaseResult(case, rows, place, over))
    return results
