"""``python -m tests``: all checks that must pass before a commit, the fastest first.

    python -m tests --quick      at every save: no slow tests, no gates
    python -m tests              before a commit
    python -m tests --nightly    everything, and coverage
    python -m tests --level v2   with kernels for another level of processor (v2, v3, v4, or host)

The kernels are compiled for x86-64-v3, which most processors have, where the host has it. The nightly run repeats the
tests at the other levels that the host has. The tests run once more with a wheel that has compiled kernels, which is
built and installed into a folder for that; the slow ones do so in the nightly run only. The estimators in the place of
scikit-learn's are tested with the newest scikit-learn, and once more with the oldest that is supported. ONNX, PyTorch,
JAX, Keras and safetensors are installed into a folder, for the tests of what is written for them and read from them.

`tests/tiers.py` lists which tests are slow or nightly. All processes of a run share one new cache folder. The exact
gates fill it with compiled kernels while style and types are checked. Some tests run twice: compiled, and with the
kernels as plain Python, where every index is checked. Coverage is the sum of the two runs, since it cannot see compiled
code.
"""

import argparse
import contextlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mbbp.kernels.lowlevel import processor
from tests.tiers import ALONE, AS_PLAIN_PYTHON

ROOT = Path(__file__).parent.parent
PYTHON = [sys.executable, "-m"]
PYTEST = [*PYTHON, "pytest", "-q"]
TWO_AT_ONCE = ["-n", "2", "--dist", "loadfile"]  # the tests of a file use the same compiled code
COVERAGE = ["--cov", "--cov-report=", "--cov-fail-under=0"]  # the last step makes the report


@dataclass(frozen=True)
class Step:
    """A command, and the environment variables that it needs."""

    title: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


STYLE = [
    Step("lint", [*PYTHON, "ruff", "check"]),
    Step("format", [*PYTHON, "ruff", "format", "--check"]),
    Step("types", [*PYTHON, "mypy"]),
]
EXACT = Step("exact gates", [*PYTEST, "benchmarks/test_exact.py"])


def environment_of(level: str) -> dict[str, str]:
    """Return the environment variables for v2, v3 or v4, or none for the host."""
    return {} if level == "host" else processor.settings(f"x86-64-{level}")


def levels_here() -> list[str]:
    """Return the levels that this machine has, the lowest first; none on processors of another kind."""
    highest = processor.host_level()
    names = processor.LEVELS[: processor.LEVELS.index(highest) + 1] if highest else ()
    return [name.removeprefix("x86-64-") for name in names]


COMPILED = "tests, compiled"
PROFILES = {"quick": "quick", "default": "mbbp", "nightly": "nightly"}  # of hypothesis
LEFT_OUT = {"quick": ["slow", "nightly"], "default": ["nightly"], "nightly": []}


def selection(tier: str, *others: str) -> list[str]:
    """Return the option that selects the tests of a tier; `others` are further conditions on their markers."""
    return ["-m", " and ".join([*others, *(f"not {marker}" for marker in LEFT_OUT[tier])])]


def compiled(tier: str, *options: str, level: str | None = None) -> Step:
    chosen = [*selection(tier, "not alone"), f"--hypothesis-profile={PROFILES[tier]}"]
    command = [*PYTEST, *TWO_AT_ONCE, *chosen, *options]
    return Step(f"tests, compiled for {level}", command, environment_of(level)) if level else Step(COMPILED, command)


def gates(tier: str, level: str | None = None) -> Step:
    command = [*PYTEST, *selection(tier), "benchmarks/test_regression.py"]
    return Step(f"timed gates for {level}", command, environment_of(level)) if level else Step("timed gates", command)


def files_of_times() -> list[str]:
    """Return the files that hold tests of times: to collect all others would take longer than these tests."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(path) for path in files if any(f"def {name}(" in path.read_text(encoding="utf-8") for name in ALONE)]


def steps(tier: str, level: str) -> tuple[list[Step], list[Step]]:
    """Return the steps that run at the same time as the exact gates, and the steps after both."""
    measured = COVERAGE if tier == "nightly" else []  # it makes compiling take twice as long
    plain = [*PYTEST, *TWO_AT_ONCE, *measured, *selection("default", "not alone"), *AS_PLAIN_PYTHON]
    first = [*STYLE, Step("tests, kernels as plain Python", plain, {"NUMBA_DISABLE_JIT": "1"})]
    rest = [
        compiled(tier, *measured, *(["--cov-append"] if measured else [])),
        Step("tests that measure time", [*PYTEST, *selection(tier, "alone"), *files_of_times()]),
        gates(tier),
    ]
    if tier == "nightly":
        others = [other for other in levels_here() if other != level]
        rest.extend(compiled("default", level=other) for other in others)
        rest.extend(gates("nightly", level=other) for other in others)
        rest.append(Step("against the commit before", [sys.executable, "benchmarks/against.py"]))
        rest.append(Step("coverage", [*PYTHON, "coverage", "report"]))
    return first, rest


OF_THE_TESTS = ("tests", "benchmarks", "notebooks", "README.md", "pyproject.toml", "LICENSE")
"""What is copied beside an installed wheel, so that the source is not found in its place."""


OF_THE_WHEEL = (
    *(
        "kernels/lowlevel/test_prebuilt.py",
        "test_cli_compile.py",
        "test_compilation.py",
        "test_costs.py",
        "test_custom.py",
    ),
    *("test_custom_optimizers.py", "test_derivatives.py", "test_divergence.py", "test_dropout.py", "test_engine.py"),
    *("test_example_weights.py", "test_extras.py", "test_gradients.py", "test_inputs.py", "test_installed_kernels.py"),
    *("test_learning.py", "test_network.py", "test_objective.py", "test_optimizers.py", "test_saving.py"),
    *("test_scaling.py", "test_solvers.py", "test_threads.py", "test_trainer.py", "test_training.py"),
)
"""Tests of what the kernels of an installed wheel do. The nightly run takes all: the others use the same kernels."""


class StepError(Exception):
    """A step has failed."""


class Run:
    """Runs steps and records how long each takes.

    Parameters
    ----------
    folder : Path
        An empty folder, for compiled code, wheels, and the output of the step that runs beside others.
    environment : dict
        Environment variables of all steps.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.seconds: dict[str, float] = {}
        self.folder = folder
        self._shared = environment

    def do(self, step: Step, folder: Path = ROOT) -> None:
        """Run a step in a folder."""
        print(f"\n=== {step.title}", flush=True)
        began = time.perf_counter()
        code = subprocess.run(step.command, cwd=folder, env=self._environment(step)).returncode
        self._record(step, code, began)

    @contextlib.contextmanager
    def beside(self, step: Step) -> Iterator[None]:
        """Run a step at the same time as the body. After the body, wait for the step and print its output."""
        began = time.perf_counter()
        output = self.folder / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                step.command, cwd=ROOT, env=self._environment(step), stdout=file, stderr=subprocess.STDOUT
            )
        try:
            yield
            print(f"\n=== {step.title}", flush=True)
            code = process.wait()
        finally:
            process.kill()  # does nothing after its end
            process.wait()
        print(output.read_text(encoding="utf-8"), end="", flush=True)
        self._record(step, code, began)

    def _environment(self, step: Step) -> dict[str, str]:
        cache = {"NUMBA_CACHE_DIR": str(self.folder / "compiled")}
        return os.environ | cache | self._shared | step.environment

    def _record(self, step: Step, code: int, began: float) -> None:
        self.seconds[step.title] = time.perf_counter() - began
        if code:
            raise StepError(step.title)


def do_wheel(tier: str, level: str, run: Run) -> None:
    """Build a wheel with kernels for a level, install it into a folder, and run the tests with it."""
    wheels, site, tree = (run.folder / name for name in ("wheels", "site", "tree"))
    pip = [*PYTHON, "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), "."]
    run.do(Step("wheel", build, {"MBBP_KERNELS": "host" if level == "host" else f"x86-64-{level}"}))
    (wheel,) = wheels.iterdir()
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB")
    run.do(Step("installation", [*pip, "install", "--no-deps", "--target", str(site), str(wheel)]))
    tree.mkdir()
    for name in OF_THE_TESTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name)
    environment = {"PYTHONPATH": str(site), "MBBP_JIT": "0", "MBBP_TEST_KERNELS": "installed"}
    where = ["tests"] if tier == "default" else [f"tests/{name}" for name in OF_THE_WHEEL]
    chosen = [*selection(tier, "not alone"), f"--hypothesis-profile={PROFILES[tier]}", *where]
    run.do(Step("tests, installed wheel", [*PYTEST, *TWO_AT_ONCE, *chosen], environment), tree)
    timed = [*PYTEST, *selection(tier, "alone"), "tests/test_installed_kernels.py"]
    run.do(Step("tests that measure time, installed wheel", timed, environment), tree)


OLDEST = "1.6"  # of scikit-learn; pyproject.toml names it too


def do_oldest_sklearn(run: Run) -> None:
    """Install the oldest scikit-learn that is supported into a folder, and run the tests of the estimators with it."""
    site = run.folder / "oldest"
    pip = [*PYTHON, "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--target", str(site)]
    run.do(Step(f"scikit-learn {OLDEST}", [*pip, f"scikit-learn=={OLDEST}.*"]))
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [*PYTEST, *TWO_AT_ONCE, *selection("quick"), "tests/sklearn"]
    run.do(Step(f"tests with scikit-learn {OLDEST}", command, {"PYTHONPATH": os.pathsep.join(paths)}))


def formats() -> list[str]:
    """Return the other programs whose formats are written and read, as pyproject.toml names them."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    names = ("formats", "onnx", "safetensors")
    return [one for name in names for one in extras[name] if not one.startswith("mbbp")]


def do_formats(tier: str, run: Run) -> None:
    """Install the programs whose formats are written and read into a folder, and run the tests of formats with them."""
    site, same = run.folder / "formats", run.folder / "same.txt"
    shared = ("numpy", "scipy", "scikit-learn")  # a second version of these would come before the installed one
    same.write_text("".join(f"{name}=={importlib.metadata.version(name)}\n" for name in shared), "utf-8")
    pip = [*PYTHON, "pip", "--quiet", "--disable-pip-version-check", "install", "--no-compile", "--target", str(site)]
    run.do(Step("other programs", [*pip, "--constraint", str(same), *formats()]))
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    chosen = selection("nightly" if tier == "nightly" else "quick")
    command = [*PYTEST, *TWO_AT_ONCE, *chosen, "tests/exchange/with_others"]
    run.do(Step("tests of formats, with the other programs", command, {"PYTHONPATH": os.pathsep.join(paths)}))


def do_all(tier: str, level: str, run: Run) -> None:
    if tier == "quick":
        for step in [*STYLE, compiled(tier)]:
            run.do(step)
        return
    first, rest = steps(tier, level)
    with run.beside(EXACT):
        for step in first:
            run.do(step)
    for step in rest:
        run.do(step)
    do_oldest_sklearn(run)
    do_formats(tier, run)
    if shutil.which("cc"):
        do_wheel("default" if tier == "nightly" else "quick", level, run)
    else:
        print("\nThere is no C compiler, so no wheel with kernels was built and tested.")


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m tests", description="Run all checks that must pass before a commit.")
    tiers = parser.add_mutually_exclusive_group()
    for tier, text in (("quick", "no slow tests, no gates"), ("nightly", "everything, and coverage")):
        tiers.add_argument(f"--{tier}", action="store_const", const=tier, default="default", dest="tier", help=text)
    here = levels_here()
    usual = "v3" if "v3" in here else "host"
    parser.add_argument(
        "--level", choices=[*here, "host"], default=usual, help=f"of the processor; {usual} if not said"
    )
    options = parser.parse_args(words)
    tier, level = options.tier, options.level
    began = time.perf_counter()
    verdict = "all is well"
    with tempfile.TemporaryDirectory(prefix="mbbp-tests-") as folder:
        run = Run(Path(folder), environment_of(level))
        try:
            do_all(tier, level, run)
        except StepError as error:
            verdict = f"failed: {error}"
    print()
    for title, seconds in run.seconds.items():
        print(f"{seconds:7.1f} s  {title}")
    print(f"{time.perf_counter() - began:7.1f} s  in all ({tier} tier, kernels for {level})")
    print(f"=== {verdict}")
    return int(verdict != "all is well")


if __name__ == "__main__":
    raise SystemExit(main())
