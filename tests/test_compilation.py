"""Importing and compiling: how long they take, what they compile, and what they print."""

import compileall
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mbbp
from tests.conftest import JIT

EVENTS = """
from numba.core import event
compiled = []
class Listener(event.Listener):
    def on_start(self, e): compiled.append(e.data["dispatcher"].py_func.__name__)
    def on_end(self, e): pass
event.register("numba:compile", Listener())
"""
TRAIN = (
    EVENTS
    + """
import json
import numpy as np, mbbp
counts = []
for sizes in [2, 3, 2], [3, 5, 4, 2], [7, 1]:
    net = mbbp.Network(sizes, rng=0)
    net.fit(np.zeros((sizes[0], 4)), np.zeros(4, int), epochs=1, batch_size=2, progress=False)
    counts.append(len(compiled))
print(json.dumps(counts))
"""
)


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy_of_the_package(folder):
    """Copy the package into a folder. Return its path, and Python code after which the copy is imported."""
    package = folder / "mbbp"
    shutil.copytree(Path(mbbp.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package, f"import sys; sys.path.insert(0, {str(folder)!r}); "


def test_importing_takes_less_than_twice_what_numba_takes(tmp_path):
    package, from_there = copy_of_the_package(tmp_path)
    compileall.compile_dir(package, quiet=2)  # pip does this too, even if PYTHONDONTWRITEBYTECODE is set
    code = from_there + "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    rounds = [[float(python(code.format(name))) for name in ("numba", "mbbp")] for _ in range(3)]
    numba, ours = (min(times) for times in zip(*rounds, strict=True))
    assert ours < 2 * numba


def test_importing_compiles_nothing_and_brings_no_extra():
    extras = "'matplotlib', 'pandas', 'pooch', 'tqdm', 'sklearn'"
    code = EVENTS + f"import mbbp, sys; print(compiled, [name for name in ({extras},) if name in sys.modules])"
    assert python(code).strip() == "[] []"


def at_a_terminal(code, **environment):
    """Run code with a terminal as its stderr. Return its output, and what the terminal shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, text=True, env=os.environ | environment
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # Linux raises it when the other side is closed
        pass
    os.close(ours)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, seen
    return out, seen.decode()


@pytest.mark.skipif(not JIT, reason="compiles")
def test_a_long_compilation_is_reported_once_serves_all_shapes_and_is_found_in_the_cache(tmp_path):
    out, seen = at_a_terminal(TRAIN, NUMBA_CACHE_DIR=str(tmp_path))
    first, *others = json.loads(out)
    assert first > 5
    assert others == [first, first]
    assert len(re.findall("mbbp: compiling", seen)) == 1
    out, seen = at_a_terminal(TRAIN, NUMBA_CACHE_DIR=str(tmp_path))
    assert json.loads(out) == [0, 0, 0]
    assert "mbbp: compiling" not in seen


CALLEE = """
from mbbp.kernels.lowlevel.compiling import compiled

@compiled
def callee(x):
    return {factor} * x
"""
CALLER = """
from mbbp.kernels.callee import callee
from mbbp.kernels.lowlevel.compiling import compiled

@compiled
def caller(x):
    return callee(x) + 1
"""


@pytest.mark.skipif(not JIT, reason="compiles")
def test_an_edited_kernel_is_never_run_from_the_cache_of_a_caller(tmp_path):
    package, from_there = copy_of_the_package(tmp_path)
    callee = package / "kernels" / "callee.py"
    (package / "kernels" / "caller.py").write_text(CALLER, encoding="utf-8")
    run = from_there + "from mbbp.kernels.caller import caller; print(caller(5.0), *caller.stats.cache_hits.values())"
    answers = []
    for factor in (10, 10, 20):
        callee.write_text(CALLEE.format(factor=factor), encoding="utf-8")
        answers.append(python(run, NUMBA_CACHE_DIR=str(tmp_path / "cache")).split())
    assert answers == [["51.0"], ["51.0", "1"], ["101.0"]]
