"""``python -m tests``: all checks that must pass before a commit, the fastest first."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = [sys.executable, "-m"]

STEPS: list[tuple[str, list[str], dict[str, str]]] = [
    ("lint", [*PYTHON, "ruff", "check"], {}),
    ("format", [*PYTHON, "ruff", "format", "--check"], {}),
    ("types", [*PYTHON, "mypy"], {}),
    ("tests, compiled", [*PYTHON, "pytest", "-q"], {}),
    (
        "exact and timed gates",
        [*PYTHON, "pytest", "-q", "benchmarks/test_exact.py", "benchmarks/test_regression.py"],
        {},
    ),
    (
        "tests, the kernels as plain Python, with coverage",
        [*PYTHON, "pytest", "-q", "--cov", "--cov-report=term"],
        {"NUMBA_DISABLE_JIT": "1"},
    ),
]


def main() -> int:
    for title, command, environment in STEPS:
        print(f"\n=== {title}", flush=True)
        if subprocess.run(command, cwd=ROOT, env=os.environ | environment).returncode:
            print(f"=== failed: {title}", flush=True)
            return 1
    print("\n=== all is well")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
