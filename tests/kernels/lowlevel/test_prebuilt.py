"""Kernels that come with the package are used if they fit and are intact; otherwise they are compiled."""

import ctypes
import io
import json
import shutil
from types import SimpleNamespace

import llvmlite.binding as llvm
import numpy as np
import pytest

from mbbp.building import libraries
from mbbp.kernels.finite import ALL_FINE, NOT_FINITE, Checked, check
from mbbp.kernels.labels import name_classes
from mbbp.kernels.lowlevel import prebuilt, processor
from mbbp.kernels.lowlevel.records import format_of
from tests.conftest import JIT

LEVEL = processor.level()
DOUBLE = np.dtype(np.float64)

pytestmark = pytest.mark.skipif(
    not JIT or LEVEL is None or shutil.which("cc") is None or llvm.llvm_version_info < (17,),
    reason="needs a level of processor, a linker, and LLVM 17",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a folder with a library of one kernel."""
    from mbbp.kernels.lowlevel.emit import object_code

    folder, objects = (tmp_path_factory.mktemp(name) for name in ("libraries", "objects"))
    (objects / "check.o").write_bytes(object_code(check, DOUBLE))
    libraries.link(objects, folder / prebuilt.file_of(LEVEL))
    libraries.write_index(folder, [LEVEL])
    return folder


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Return what a person at a terminal would read."""
    found = Terminal()
    monkeypatch.setattr(prebuilt, "sys", SimpleNamespace(stderr=found))
    return found


@pytest.fixture
def installed(built, tmp_path, monkeypatch):
    """Install a copy of the library, and return its folder."""
    folder = tmp_path / "libraries"
    shutil.copytree(built, folder)
    monkeypatch.setattr(prebuilt, "FOLDER", folder)
    monkeypatch.delenv("MBBP_JIT", raising=False)
    for cached in (prebuilt._library, prebuilt._tell):
        cached.cache_clear()
    yield folder
    for cached in (prebuilt._library, prebuilt._tell):
        cached.cache_clear()


def change(folder, **entries):
    index = json.loads((folder / prebuilt.INDEX).read_text())
    (folder / prebuilt.INDEX).write_text(json.dumps(index | entries))


def test_a_kernel_of_the_library_runs(installed):
    address = prebuilt.address(check.symbol(DOUBLE))
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(address)
    x, labels = np.ones(100), np.zeros(0, np.int64)
    for bad, expected in ((1.0, ALL_FINE), (np.nan, NOT_FINITE), (np.inf, NOT_FINITE)):
        x[77] = bad
        structure = format_of(Checked, DOUBLE).fill(Checked(x, 100, labels, 0, 0))
        assert run(ctypes.addressof(structure)) == expected
    assert prebuilt.why_not() is None


def test_a_kernel_that_is_not_in_the_library_is_compiled(installed, terminal):
    symbol = name_classes.symbol(DOUBLE)
    assert prebuilt.address(symbol) is None
    assert f"{symbol} is not among the installed kernels" in terminal.getvalue()
    assert prebuilt.address(check.symbol(DOUBLE)) is not None


def flip_a_bit(folder):
    path = folder / prebuilt.file_of(LEVEL)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def write_nonsense(folder):
    (folder / prebuilt.file_of(LEVEL)).write_bytes(b"no library")
    libraries.write_index(folder, [LEVEL])


FAULTS = {
    "stale": (lambda folder: change(folder, source="0"), "the installed kernels were made from another source"),
    "damaged": (flip_a_bit, "the installed kernels are damaged"),
    "cut": (lambda folder: (folder / prebuilt.file_of(LEVEL)).write_bytes(b""), "the installed kernels are damaged"),
    "no library": (write_nonsense, "the installed kernels cannot be loaded"),
    "a missing library": (lambda folder: (folder / prebuilt.file_of(LEVEL)).unlink(), "cannot be loaded"),
    "another level": (lambda folder: change(folder, libraries={"x86-64-v9": "0"}), "are for x86-64-v9, not for"),
    "a missing index": (lambda folder: (folder / prebuilt.INDEX).unlink(), "the index of the installed kernels"),
    "a damaged index": (lambda folder: (folder / prebuilt.INDEX).write_text("{"), "the index of the installed kernels"),
    "an index of another kind": (lambda folder: (folder / prebuilt.INDEX).write_text("[1]"), "the index of the"),
}


@pytest.mark.parametrize(("fault", "message"), FAULTS.values(), ids=FAULTS)
def test_a_library_that_does_not_fit_is_never_run_and_a_person_is_told_why_once(fault, message, installed, terminal):
    fault(installed)
    assert prebuilt.address(check.symbol(DOUBLE)) is None
    assert prebuilt.address(name_classes.symbol(DOUBLE)) is None
    assert message in prebuilt.why_not()
    (line,) = terminal.getvalue().splitlines()
    assert message in line
    assert line.startswith("mbbp: ")


def test_without_libraries_nothing_is_said(installed, terminal):
    shutil.rmtree(installed)
    assert prebuilt.address(check.symbol(DOUBLE)) is None
    assert terminal.getvalue() == ""
    assert prebuilt.why_not() == "mbbp was installed without compiled kernels"


def test_a_setting_leaves_the_libraries_alone(installed, monkeypatch):
    monkeypatch.setenv("MBBP_JIT", "1")
    assert prebuilt.address(check.symbol(DOUBLE)) is None
    assert prebuilt.why_not() == "MBBP_JIT is set"


def test_a_processor_of_no_level_gets_no_library(installed, monkeypatch):
    monkeypatch.setenv("NUMBA_CPU_NAME", "znver4")
    assert prebuilt.address(check.symbol(DOUBLE)) is None
    assert "the processor that Numba's settings describe" in prebuilt.why_not()


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("all", list(processor.LEVELS)),
        ("host", [processor.host_level()]),
        ("x86-64-v3,x86-64-v2", ["x86-64-v3", "x86-64-v2"]),
    ],
)
def test_levels_are_named(text, levels):
    assert libraries.levels_of(text) == levels


@pytest.mark.parametrize("text", ["", "v3", "x86-64-v3,", "x86-64-v3;x86-64-v2"])
def test_an_unknown_level_is_refused(text):
    with pytest.raises(ValueError, match="levels: expected all, host, or some of x86-64-v2"):
        libraries.levels_of(text)
