"""Importing and compiling: how long they take, what they compile, and what they print."""

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

TRAIN = """
import numpy as np, mbbp
net = mbbp.Network({sizes}, rng=0)
net.fit(np.zeros(({sizes}[0], 4)), np.zeros(4, int), epochs=1, batch_size=2)
"""
EVENTS = """
from numba.core import event
compiled = []
class Listener(event.Listener):
    def on_start(self, e): compiled.append(e.data["dispatcher"].py_func.__name__)
    def on_end(self, e): pass
event.register("numba:compile", Listener())
"""


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_takes_less_than_twice_what_numba_takes():
    code = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    rounds = [[float(python(code.format(name))) for name in ("numba", "mbbp")] for _ in range(5)]
    numba, ours = (min(times) for times in zip(*rounds, strict=True))
    assert ours < 2 * numba


def test_importing_compiles_nothing_and_brings_no_extra():
    extras = "'matplotlib', 'pandas', 'pooch', 'tqdm', 'sklearn'"
    code = EVENTS + f"import mbbp, sys; print(compiled, [name for name in ({extras},) if name in sys.modules])"
    assert python(code).strip() == "[] []"


@pytest.mark.skipif(not JIT, reason="compiles")
def test_the_engine_is_compiled_once_for_all_shapes_and_found_in_the_cache(tmp_path):
    other_shapes = "compiled.clear()" + TRAIN.format(sizes=[3, 5, 4, 2]) + TRAIN.format(sizes=[7, 1])
    first = python(
        EVENTS + TRAIN.format(sizes=[2, 3, 2]) + "print(len(compiled));" + other_shapes + "print(compiled)",
        NUMBA_CACHE_DIR=str(tmp_path),
    )
    count, again = first.split("\n", 1)
    assert int(count) > 5
    assert again.strip() == "[]"
    warm = python(EVENTS + TRAIN.format(sizes=[2, 3, 2]) + "print(compiled)", NUMBA_CACHE_DIR=str(tmp_path))
    assert warm.strip() == "[]"


def at_a_terminal(code, **environment):
    """Run code with a terminal as its stderr, and return what the terminal shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=theirs, env=os.environ | environment
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # Linux raises it when the other side is closed
        pass
    os.close(ours)
    assert process.wait(timeout=300) == 0, seen
    return seen.decode()


@pytest.mark.skipif(not JIT, reason="compiles")
def test_a_long_compilation_says_so_on_a_terminal_once(tmp_path):
    code = TRAIN.format(sizes=[2, 3, 2])
    seen = at_a_terminal(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert len(re.findall("mbbp: compiling", seen)) == 1
    assert "mbbp: compiling" not in at_a_terminal(code, NUMBA_CACHE_DIR=str(tmp_path))


@pytest.mark.skipif(not JIT, reason="compiles")
def test_an_edited_kernel_is_never_run_from_the_cache_of_a_caller(tmp_path):
    package = tmp_path / "mbbp"
    shutil.copytree(Path(mbbp.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import numpy as np, mbbp;"
        "net = mbbp.Network([1, 1], 'leaky_relu'); net.layers[0].W = [[1.0]]; net.layers[0].b = [[0.0]];"
        "print(net.feedforward([[-1.0]]).item())"
    )
    cache = str(tmp_path / "cache")
    assert float(python(code, NUMBA_CACHE_DIR=cache)) == pytest.approx(-0.01)
    callee = package / "kernels" / "elementwise.py"
    callee.write_text(callee.read_text(encoding="utf-8").replace("LEAK = 0.01", "LEAK = 0.5"), encoding="utf-8")
    assert float(python(code, NUMBA_CACHE_DIR=cache)) == pytest.approx(-0.5)
