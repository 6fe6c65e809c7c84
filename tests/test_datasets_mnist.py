"""IDX files, and MNIST: where it is looked for, what is checked, how it is fetched."""

import builtins
import functools
import gzip
import hashlib
import http.server
import os
import struct
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from mbbp.datasets import load_mnist, mnist, read_idx
from mbbp.datasets.idx import decode_idx

NAMES = list(mnist.SHA256)

REAL_DATA = os.environ.get("MBBP_DATA")  # before a fixture takes it away


def idx(array):
    array = np.asarray(array, np.uint8)
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def small(monkeypatch):
    """Four IDX files in MNIST's places, five training and three test images of 2 x 3, and their hashes."""
    rng = np.random.default_rng(1)
    arrays = [
        rng.integers(0, 256, (5, 2, 3)),
        np.array([3, 1, 4, 1, 5]),
        rng.integers(0, 256, (3, 2, 3)),
        np.array([9, 2, 6]),
    ]
    contents = dict(zip(NAMES, map(idx, arrays), strict=True))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(mnist, "SHA256", hashes)
    monkeypatch.delenv("MBBP_DATA", raising=False)
    return contents


def write(folder, contents, *, compress=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        path = folder / (f"{name}.gz" if compress else name)
        path.write_bytes(gzip.compress(content) if compress else content)
    return folder


def is_small(data, contents):
    x = np.frombuffer(contents[NAMES[0]][16:], np.uint8).reshape(5, 6)
    return (
        np.array_equal(data.x_train, x.T.astype(data.x_train.dtype) / 255)
        and data.x_test.shape == (6, 3)
        and data.y_train.tolist() == [3, 1, 4, 1, 5]
        and data.y_test.tolist() == [9, 2, 6]
    )


# --- IDX


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)))
def test_idx_round_trip(array):
    decoded = decode_idx(idx(array), Path("memory"))
    assert decoded.shape == array.shape
    assert np.array_equal(decoded, array)


@pytest.mark.parametrize("name", ["a-idx2-ubyte", "a-idx2-ubyte.gz"])
@pytest.mark.parametrize("compress", [False, True])
def test_read_idx_tells_gzip_by_content(tmp_path, name, compress):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    path = tmp_path / name
    path.write_bytes(gzip.compress(idx(array)) if compress else idx(array))
    read = read_idx(str(path))
    assert read.dtype == np.uint8
    assert read.tolist() == [[0, 1, 2], [3, 4, 5]]
    read += 1  # the caller's own


GOOD = idx([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "wrong magic number: got 0x, wanted 0x000008"),
        (b"<htm", "wrong magic number: got 0x3c68746d, wanted 0x000008"),
        (b"\0\0\x0d\2" + GOOD[4:], "wrong magic number: got 0x00000d02, wanted 0x000008"),
        (b"\0\0\x08\0", "wrong magic number: got 0x00000800, wanted 0x000008"),
        (GOOD[:3], "wrong magic number: got 0x000008, wanted 0x000008 and the number of dimensions"),
        (GOOD[:11], "truncated: got a header of 11 bytes, wanted 12"),
        (GOOD[:-1], "truncated: got 5 bytes of data, wanted 2 x 3 = 6"),
        (GOOD + b"\0", "trailing bytes: got 7 bytes of data, wanted 2 x 3 = 6"),
        (gzip.compress(GOOD)[:-3], "a corrupt gzip file: "),
        (gzip.compress(GOOD)[:-8] + bytes(8), "a corrupt gzip file: CRC check failed"),
        (gzip.compress(GOOD)[:10] + b"\xff" * 20, "a corrupt gzip file: "),
        (b"\x1f\x8b", "a corrupt gzip file: "),
    ],
)
def test_read_idx_says_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below, to its start
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_read_idx_of_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")


# --- where MNIST is looked for


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mnist_from_a_folder(tmp_path, small, compress, dtype):
    data = load_mnist(write(tmp_path, small, compress=compress), dtype)
    assert is_small(data, small)
    assert data.x_train.dtype == data.x_test.dtype == dtype
    assert data.y_train.dtype == data.y_test.dtype == np.int64
    assert data.x_train.flags.f_contiguous
    assert data.classes == tuple("0123456789")
    assert data.name == "mnist"


def test_mnist_dtype_is_checked_first(tmp_path):
    with pytest.raises(ValueError, match="dtype must be"):
        load_mnist(tmp_path, "int8")


@pytest.mark.parametrize("sub", [".", "mnist"])
def test_mnist_from_the_environments_folder(tmp_path, small, monkeypatch, sub):
    write(tmp_path / sub, small)
    monkeypatch.setenv("MBBP_DATA", str(tmp_path))
    assert is_small(load_mnist(), small)


def test_a_folder_goes_before_the_environment_and_that_before_the_cache(tmp_path, small, monkeypatch):
    write(tmp_path / "good", small)
    monkeypatch.setenv("MBBP_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "cache" / "mbbp" / "mnist", small)
    assert is_small(load_mnist(tmp_path / "good"), small)
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist()
    root = tmp_path / "nowhere"
    assert str(caught.value) == (
        f"MNIST: neither {NAMES[0]} nor {NAMES[0]}.gz is in {root} or {root / 'mnist'}; MBBP_DATA says to look there"
    )
    monkeypatch.setenv("MBBP_DATA", "")
    assert is_small(load_mnist(), small)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_lacks_a_file_is_an_error_that_names_it(tmp_path, small, name, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "cache" / "mbbp" / "mnist", small)
    folder = write(tmp_path / "given", small)
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist(folder)
    assert str(caught.value) == f"MNIST: neither {name} nor {name}.gz is in {folder}"


def test_no_download_unless_allowed(tmp_path, small, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist(download=False)
    assert str(caught.value).endswith(f"is in {tmp_path / 'mbbp' / 'mnist'}; download=True would fetch it")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "wanted"),
    [("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "local"), ("freebsd14", ".cache")],
)
def test_the_cache_is_where_the_platform_keeps_caches(tmp_path, monkeypatch, platform, wanted):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    assert mnist._cache_folder() == tmp_path / wanted / "mbbp" / "mnist"


# --- what is checked


def test_mnist_content_is_checked_by_its_hash(tmp_path, small):
    folder = write(tmp_path, small)
    changed = small[NAMES[1]][:-1] + b"\7"
    path = folder / NAMES[1]
    path.write_bytes(changed)
    with pytest.raises(ValueError, match="SHA-256") as caught:
        load_mnist(folder)
    got = hashlib.sha256(changed).hexdigest()
    assert str(caught.value) == (f"{path}: wrong SHA-256 (uncompressed): got {got}, wanted {mnist.SHA256[NAMES[1]]}")
    assert path.read_bytes() == changed


def test_mnist_format_errors_come_before_the_hash(tmp_path, small):
    folder = write(tmp_path, small)
    (folder / NAMES[0]).write_bytes(small[NAMES[0]][:-4])
    with pytest.raises(ValueError, match=r"truncated: got 26 bytes of data, wanted 5 x 2 x 3 = 30"):
        load_mnist(folder)


# --- how it is fetched


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A web site on this machine in the place of MNIST's, and an empty cache."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    root, cache = tmp_path / "site", tmp_path / "cache"
    root.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(mnist, "URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield root, cache / "mbbp" / "mnist"
    server.shutdown()
    thread.join()
    server.server_close()


def test_mnist_is_downloaded_once_and_says_so(small, site, capsys):
    root, cache = site
    write(root, small, compress=True)
    assert is_small(load_mnist(), small)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [f"mbbp: downloading {name}.gz from {mnist.URL} to {cache}" for name in NAMES]
    assert sorted(path.name for path in cache.iterdir()) == sorted(f"{name}.gz" for name in NAMES)
    for path in root.iterdir():
        path.unlink()
    assert is_small(load_mnist(), small)
    assert capsys.readouterr().err == ""


def test_only_what_the_cache_lacks_is_downloaded(small, site, capsys):
    root, cache = site
    write(root, small, compress=True)
    write(cache, small)
    (cache / NAMES[2]).unlink()
    assert is_small(load_mnist(), small)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_wrong_download_is_not_kept(small, site):
    root, cache = site
    write(root, dict.fromkeys(NAMES, idx([1, 2, 3])), compress=True)
    with pytest.raises(ValueError, match=r"is not MNIST, and was discarded: .*wrong SHA-256") as caught:
        load_mnist()
    assert mnist.URL in str(caught.value)
    assert list(cache.iterdir()) == []


def test_a_failed_download_is_an_error_that_names_the_address(small, site):
    _, cache = site
    with pytest.raises(OSError, match=r"cannot download .*404") as caught:
        load_mnist()
    assert f"{mnist.URL}{NAMES[0]}.gz" in str(caught.value)
    assert list(cache.iterdir()) == []


def test_without_pooch_the_error_says_what_to_install(small, site, monkeypatch):
    imported = builtins.__import__

    def without_pooch(name, *args, **kwargs):
        if name == "pooch":
            raise ModuleNotFoundError("No module named 'pooch'")
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pooch)
    with pytest.raises(ModuleNotFoundError, match=r"pip install mbbp\[mnist\]") as caught:
        load_mnist()
    assert str(site[1]) in str(caught.value)


# --- the real files, where they are


@pytest.mark.skipif(REAL_DATA is None, reason="wants the four files of MNIST in MBBP_DATA")
def test_the_real_mnist():
    folder = Path(REAL_DATA, "mnist")
    data = load_mnist(folder if folder.is_dir() else REAL_DATA)
    assert repr(data) == "Dataset('mnist', x_train (784, 60000), x_test (784, 10000), float32, 10 classes)"
    assert data.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)
    assert data.x_train.mean(dtype=np.float64) == pytest.approx(0.1306605, abs=1e-6)
    rest, (x, y) = data.split(10_000)
    assert (rest.x_train.shape, x.shape, y.shape) == ((784, 50000), (784, 10000), (10000,))
