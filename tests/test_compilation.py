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


def test_importing_takes_less_than_importing_numba(tmp_path):
    package, from_there = copy_of_the_package(tmp_path)
    compileall.compile_dir(package, quiet=2)  # pip does this too, even if PYTHONDONTWRITEBYTECODE is set
    code = from_there + "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    rounds = [[float(python(code.format(name))) for name in ("numba", "mbbp")] for _ in range(3)]
    numba, ours = (min(times) for times in zip(*rounds, strict=True))
    assert ours < numba


def test_importing_imports_no_compiler():
    code = "import mbbp, sys; print({'numba', 'llvmlite'} & set(sys.modules))"
    assert python(code).strip() == "set()"


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
    compiling = {"NUMBA_CACHE_DIR": str(tmp_path), "MBBP_JIT": "1"}
    out, seen = at_a_terminal(TRAIN, **compiling)
    first, *others = json.loads(out)
    assert first > 5
    assert others == [first, first]
    assert len(re.findall("mbbp: compiling", seen)) == 1
    out, seen = at_a_terminal(TRAIN, **compiling)
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
    run = from_there + (
        "from mbbp.kernels.lowlevel import compiling; compiling.jit()\n"
        "from mbbp.kernels.caller import caller; print(caller(5.0), *caller.stats.cache_hits.values())"
    )
    answers = []
    for factor in (10, 10, 20):
        callee.write_text(CALLEE.format(factor=factor), encoding="utf-8")
        answers.append(python(run, NUMBA_CACHE_DIR=str(tmp_path / "cache")).split())
    assert answers == [["51.0"], ["51.0", "1"], ["101.0"]]


@pytest.mark.skipif(not JIT, reason="compiles")
def test_a_users_jitted_code_finds_our_functions():
    """Nothing but the user's own call makes Numba known to mbbp."""
    code = """
import numpy as np, mbbp.kernels, numba
@numba.njit
def both(z): return mbbp.kernels.hadamard(mbbp.kernels.sigmoid(z), z)
print(both(np.array([0.0, 2.0]))[0], both(np.array([0.0, 2.0]))[1] > 1.7)
"""
    assert python(code).split() == ["0.0", "True"]


@pytest.mark.skipif(not JIT or not hasattr(os, "fork"), reason="compiles, and forks")
@pytest.mark.parametrize("also", ["os", "logging, concurrent.futures.thread"])  # the latter lock themselves in a fork
def test_a_fork_while_another_thread_imports_numba(also):
    code = f"""
import os, signal, threading, time, warnings
from mbbp.kernels.lowlevel import compiling
import {also}
thread = threading.Thread(target=compiling.jit)
thread.start()
while "numba" not in __import__("sys").modules:
    time.sleep(0.001)
warnings.simplefilter("ignore")  # of forking with threads
child = os.fork()
if child == 0:
    signal.alarm(30)
    os._exit(compiling.jit() is None)
print(os.waitpid(child, 0)[1])
thread.join()
"""
    assert python(code).strip() == "0"


SIGMOID = "import mbbp, numpy as np; print(mbbp.kernels.sigmoid(np.zeros(1))[0])"


def test_a_program_can_switch_the_jit_off_before_mbbp_is_imported():
    assert python(f"import numba; numba.config.DISABLE_JIT = True; {SIGMOID}").strip() == "0.5"


@pytest.mark.skipif(not JIT, reason="compiles")
def test_switching_the_jit_off_later_is_an_error():
    code = (
        "import mbbp, numba\nnumba.config.DISABLE_JIT = True\n"
        "from mbbp.kernels.lowlevel import compiling\n"
        "try: compiling.jit()\nexcept RuntimeError as error: print(error)"
    )
    assert "numba.config.DISABLE_JIT: expected False" in python(code)
