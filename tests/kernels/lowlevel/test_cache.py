"""The cache of compiled code: no damaged file in it is run or stops a program, and nothing need be writable."""

import ctypes
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numba import types
from numba.core import caching, config, event

from mbbp.kernels.lowlevel import cache, processor
from mbbp.kernels.lowlevel.compiling import jit
from tests.conftest import JIT
from tests.mutations import KINDS

pytestmark = pytest.mark.skipif(not JIT, reason="compiles")


def times_seven(x):
    return x * 7 + 1


SIGNATURE = types.int64(types.int64)


class Compiled(event.Listener):
    """Counts what is compiled."""

    def __init__(self):
        self.n = 0

    def on_start(self, event):
        self.n += 1

    def on_end(self, event):
        pass


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs a kernel, as a new process would, and returns its answer and what was compiled."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    listener = Compiled()

    def run_kernel():
        monkeypatch.setattr(cache, "_told", set())
        before = listener.n
        address = jit().compile_by_address(times_seven, SIGNATURE).address
        return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(5), listener.n - before

    with event.install_listener("numba:compile", listener):
        yield run_kernel


def the_file(folder):
    (path,) = (path for path in folder.rglob("*") if path.is_file())
    return path


def test_compiled_code_is_read_from_one_file(run, tmp_path, capsys):
    assert [run(), run(), run()] == [(36, 1), (36, 0), (36, 0)]
    assert the_file(tmp_path).suffix == ".nbc"
    assert capsys.readouterr().err == ""


DAMAGES = {
    "empty": lambda content, rng: b"",
    "a part": lambda content, rng: content[:-1],
    "its beginning": lambda content, rng: content[:40],
    "zeros": lambda content, rng: bytes(len(content)),
    "zeros at its end": lambda content, rng: content[:1000] + bytes(len(content) - 1000),
    "text": lambda content, rng: b"no compiled code\n" * 20,
    "more": lambda content, rng: content + b"\0",
    **{f"{kind.__name__} {i}": kind for kind in KINDS for i in range(3)},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_compiled_anew_with_one_line(damage, run, tmp_path, capsys):
    run()
    file = the_file(tmp_path)
    sound = file.read_bytes()
    damaged = DAMAGES[damage](sound, np.random.default_rng(list(damage.encode())))
    assert damaged != sound
    file.write_bytes(damaged)
    assert run() == (36, 1)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mbbp: a file in the cache of compiled kernels is damaged; ")
    assert str(file) in line
    assert run() == (36, 0)
    assert the_file(tmp_path) == file
    assert capsys.readouterr().err == ""


def test_a_flipped_bit_anywhere_is_found(run, tmp_path, monkeypatch, capsys):
    run()
    file = the_file(tmp_path)
    sound = file.read_bytes()
    for at in np.random.default_rng(0).integers(8 * len(sound), size=100).tolist():
        damaged = bytearray(sound)
        damaged[at // 8] ^= 1 << at % 8
        file.write_bytes(damaged)
        assert run() == (36, 1)
    assert len(capsys.readouterr().err.splitlines()) == 100


def test_damage_is_told_of_once_in_a_process(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cache, "_told", set())
    for _ in range(3):
        cache._tell_once("something", "a reason")
    cache._tell_once("something", "another reason")
    assert capsys.readouterr().err == "mbbp: something (a reason)\n"


def test_code_of_other_sources_or_of_another_numba_is_replaced_without_a_word(run, tmp_path, monkeypatch, capsys):
    run()
    for module, name, value in ((cache, "SOURCE", "other"), (cache.numba, "__version__", "0.1")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            assert [run(), run()] == [(36, 1), (36, 0)]
        assert [run(), run()] == [(36, 1), (36, 0)]
    assert the_file(tmp_path)
    assert capsys.readouterr().err == ""


def test_code_of_another_signature_is_not_run(run, tmp_path):
    """A file under a wrong name is sound in itself."""
    run()
    file = the_file(tmp_path)
    of_float = types.float64(types.float64)
    jit().compile_by_address(times_seven, of_float)
    (other,) = set(tmp_path.rglob("*.nbc")) - {file}
    file.replace(other)
    address = jit().compile_by_address(times_seven, of_float).address
    assert ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(address)(0.5) == 4.5


def test_a_sound_file_that_cannot_be_unpickled_is_replaced(run, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:  # as if a class in it were of a library that has changed
        patch.setattr(cache, "dumps", lambda value: b"c__main__\nGone\n.")
        run()
    assert run() == (36, 1)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mbbp: the cache of compiled kernels cannot be read; ")
    assert str(the_file(tmp_path)) in line
    assert run() == (36, 0)


def test_a_file_that_cannot_be_opened_stops_nothing(run, tmp_path, capsys):
    run()
    file = the_file(tmp_path)
    file.unlink()
    file.mkdir()
    assert [run(), run()] == [(36, 1), (36, 1)]
    assert "cannot be read" in capsys.readouterr().err


def test_where_nothing_can_be_written_code_is_compiled_in_memory_with_one_line(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    assert [run(), run()] == [(36, 1), (36, 1)]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2  # each stands for a process
    assert all(line.startswith("mbbp: compiled kernels cannot be kept on disk, so every run") for line in lines)
    assert not list(tmp_path.rglob("*"))


def test_a_full_disk_stops_nothing(run, tmp_path, monkeypatch, capsys):
    def fail(path, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        assert run() == (36, 1)
    assert "No space left on device" in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [run(), run()] == [(36, 1), (36, 0)]


def test_threads_and_files_that_are_removed_meanwhile(run, tmp_path):
    def clear():
        while not done.wait(0.001):
            for path in tmp_path.rglob("*.nbc"):
                path.unlink(missing_ok=True)

    done = threading.Event()
    cleaner = threading.Thread(target=clear)
    cleaner.start()
    try:
        answers = [run()[0] for _ in range(50)]
    finally:
        done.set()
        cleaner.join()
    assert answers == [36] * 50


# ------------------------------------------------------------------------------------------------------ whole processes

USE = """
import mbbp, numpy as np
from mbbp.kernels.finite import check
print(check.address(np.dtype(np.float32)) != 0)
"""


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"MBBP_JIT": "1"} | environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def test_a_place_without_a_writable_folder_and_without_a_home(tmp_path):
    """Files stand where folders would be made: this holds for the administrator, too, who may write anywhere."""
    package = tmp_path / "mbbp"
    shutil.copytree(Path(cache.__file__).parents[2], package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").touch()
    nowhere = str(tmp_path / "mbbp" / "__pycache__" / "home")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + USE
    out, error = python(code, NUMBA_CACHE_DIR=nowhere, HOME=nowhere, XDG_CACHE_HOME=nowhere)
    assert out == "True"
    (line,) = error.splitlines()
    assert line.startswith("mbbp: compiled kernels cannot be kept on disk, so every run compiles them; ")
    assert "no locator available" in line


def test_a_disk_that_takes_no_byte(tmp_path):
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n" + USE
    out, error = python(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert out == "True"
    (line,) = error.splitlines()
    assert line.startswith("mbbp: compiled kernels cannot be kept on disk, so every run compiles them; ")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


FORK = """
import os, signal, threading, warnings
import numpy as np
from numba.core import event
from mbbp.kernels.finite import check
from mbbp.kernels.elementwise import sigmoid

inside = threading.Event()
class Listener(event.Listener):
    def on_start(self, e): inside.set()
    def on_end(self, e): pass
event.register("numba:compile", Listener())
compiling = threading.Thread(target=check.address, args=(np.dtype(np.float32),))
compiling.start()
inside.wait()  # now the thread holds the compiler's lock
warnings.simplefilter("ignore")  # of forking with threads
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(check.address(np.dtype(np.float64)) == 0)
_, status = os.waitpid(child, 0)
compiling.join()
print(status, check.address(np.dtype(np.float64)) != 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_while_another_thread_compiles(tmp_path):
    assert python(FORK, NUMBA_CACHE_DIR=str(tmp_path)) == ("0 True", "")


COMPILED = """
import json, sys
from numba.core import event
compiled = []
class Listener(event.Listener):
    def on_start(self, event): compiled.append(event.data["dispatcher"].py_func.__name__)
    def on_end(self, event): pass
event.register("numba:compile", Listener())
import mbbp.kernels, numpy as np
print(mbbp.kernels.sigmoid(np.ones(5)).tobytes().hex(), len(compiled))
"""


def test_machines_with_different_processors_share_a_folder(tmp_path):
    levels = [level for level in processor.LEVELS[:2] if (processor.host_level() or "") >= level]
    first = {level: python(COMPILED, NUMBA_CACHE_DIR=str(tmp_path), **processor.settings(level)) for level in levels}
    for level in levels:
        again, error = python(COMPILED, NUMBA_CACHE_DIR=str(tmp_path), **processor.settings(level))
        answer, count = first[level][0].split()
        assert int(count) > 0
        assert again.split() == [answer, "0"]
        assert error == ""


def test_several_processes_fill_a_folder_at_once(tmp_path):
    environment = os.environ | {"MBBP_JIT": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COMPILED],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(4)
    ]
    found = [process.communicate() for process in processes]
    assert len({out.split()[0] for out, _ in found}) == 1
    assert {error for _, error in found} == {""}
    assert python(COMPILED, NUMBA_CACHE_DIR=str(tmp_path))[0].split()[1] == "0"
