"""The command ``mbbp compile``."""

import concurrent.futures
import json
import os
import subprocess
import sys

import pytest

from mbbp.building import filling
from mbbp.cli import main
from mbbp.kernels.finite import check
from mbbp.kernels.labels import name_classes
from mbbp.kernels.lowlevel import cache, prebuilt
from tests.conftest import JIT

pytestmark = pytest.mark.skipif(not JIT, reason="compiles")


@pytest.fixture
def few(monkeypatch):
    """Let the command compile two kernels only, in this process."""
    monkeypatch.setattr(filling, "all_kernels", lambda dtype: iter([check, name_classes]))
    in_threads = concurrent.futures.ThreadPoolExecutor
    monkeypatch.setattr(filling.concurrent.futures, "ProcessPoolExecutor", lambda *_: in_threads(1))
    monkeypatch.setattr(prebuilt, "why_not", lambda: "mbbp was installed without compiled kernels")


def test_kernels_of_both_dtypes_are_compiled(few, capsys):
    assert main(["compile"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == "Compiling, because mbbp was installed without compiled kernels."
    assert last.startswith("4 kernels are in the cache, after ")


def test_installed_kernels_leave_nothing_to_do(monkeypatch, capsys):
    monkeypatch.setattr(prebuilt, "why_not", lambda: None)
    assert main(["compile"]) == 0
    assert "installed with mbbp fit this processor" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written_is_an_error(few, monkeypatch, capsys):
    monkeypatch.setattr(cache, "can_write", lambda: False)
    assert main(["compile"]) == 2
    assert "mbbp compile: error: nothing can be kept on disk; set NUMBA_CACHE_DIR" in capsys.readouterr().err


PROGRAM = """
import json
from numba.core import event
compiled = []
class Listener(event.Listener):
    def on_start(self, event): compiled.append(event.data["dispatcher"].py_func.__name__)
    def on_end(self, event): pass
event.register("numba:compile", Listener())
import numpy as np, mbbp
for dtype in ("float32", "float64"):
    for cost in ("quadratic", "cross_entropy"):
        net = mbbp.Network([3, 4, 2], cost=cost, dtype=dtype, rng=0)
        net.fit(np.ones((3, 8), np.uint8), np.zeros(8, int), epochs=1, optimizer="adam", progress=False)
        net.gradient(np.ones((3, 8)), np.zeros(8, int))
mbbp.kernels.sigmoid(np.ones(3))
print(json.dumps(compiled))
"""


def test_after_it_nothing_is_compiled_also_where_nothing_can_be_written(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "MBBP_JIT": "1"}
    subprocess.run([sys.executable, "-m", "mbbp", "compile"], env=environment, check=True, capture_output=True)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for path in files:
        path.chmod(0o555 if path.is_dir() else 0o444)  # the administrator may write all the same
    ran = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, capture_output=True, text=True)
    assert json.loads(ran.stdout) == []
    assert ran.stderr == ""
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == files


def test_with_the_jit_disabled_it_says_so():
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    ran = subprocess.run([sys.executable, "-m", "mbbp", "compile"], env=environment, capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr == "mbbp compile: error: NUMBA_DISABLE_JIT is set, so nothing can be compiled\n"
