"""MNIST: where its files are looked for, how they are checked, and how they are downloaded."""

import functools
import hashlib
import http.server
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from mbbp.datasets import load_mnist, mnist
from tests.datasets.idx_files import NAMES, idx, write

REAL_DATA = os.environ.get("MBBP_DATA")  # read here, because a fixture deletes it


@pytest.fixture
def small(monkeypatch):
    """Return four IDX files that replace those of MNIST, with five training and three test images of 2 x 3 pixels."""
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


def is_small(data, contents):
    x = np.frombuffer(contents[NAMES[0]][16:], np.uint8).reshape(5, 6)
    return (
        np.array_equal(data.x_train, x.T if data.scaling else x.T.astype(data.x_train.dtype) / 255)
        and data.x_test.shape == (6, 3)
        and data.y_train.tolist() == [3, 1, 4, 1, 5]
        and data.y_test.tolist() == [9, 2, 6]
    )


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


def test_mnist_in_bytes(tmp_path, small):
    data = load_mnist(write(tmp_path, small))
    assert data.x_train.dtype == data.x_test.dtype == np.uint8
    assert data.scaling == 1 / 255
    numbers = load_mnist(tmp_path, "float32")
    assert numbers.scaling is None
    np.testing.assert_allclose(data.x_train * data.scaling, numbers.x_train, rtol=1e-7)


def test_mnist_dtype_is_checked_first(tmp_path):
    with pytest.raises(ValueError, match="dtype: expected "):
        load_mnist(tmp_path, "int8")


@pytest.mark.parametrize("sub", [".", "mnist"])
def test_mnist_from_the_folder_of_the_environment_variable(tmp_path, small, monkeypatch, sub):
    write(tmp_path / sub, small)
    monkeypatch.setenv("MBBP_DATA", str(tmp_path))
    assert is_small(load_mnist(), small)


def test_the_folder_is_first_then_the_environment_then_the_cache(tmp_path, small, monkeypatch):
    write(tmp_path / "good", small)
    monkeypatch.setenv("MBBP_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "cache" / "mbbp" / "mnist", small)
    assert is_small(load_mnist(tmp_path / "good"), small)
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist()
    root = tmp_path / "nowhere"
    assert str(caught.value) == (
        f"MNIST: expected {NAMES[0]} or {NAMES[0]}.gz in {root} or {root / 'mnist'}, got neither; "
        "the folder is given by MBBP_DATA"
    )
    monkeypatch.setenv("MBBP_DATA", "")
    assert is_small(load_mnist(), small)


@pytest.mark.parametrize("name", NAMES)
def test_the_error_for_a_missing_file_gives_its_name(tmp_path, small, name, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "cache" / "mbbp" / "mnist", small)
    folder = write(tmp_path / "given", small)
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist(folder)
    assert str(caught.value) == f"MNIST: expected {name} or {name}.gz in {folder}, got neither"


def test_no_download_unless_allowed(tmp_path, small, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist(download=False)
    assert str(caught.value).endswith(f"in {tmp_path / 'mbbp' / 'mnist'}, got neither; download=True downloads it")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("platform", "expected"),
    [("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "local"), ("freebsd14", ".cache")],
)
def test_the_cache_is_where_the_platform_keeps_caches(tmp_path, monkeypatch, platform, expected):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    assert mnist._cache_folder() == tmp_path / expected / "mbbp" / "mnist"


def test_without_a_home_the_error_says_what_to_set(small, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(FileNotFoundError, match=r"MNIST: expected a home folder .*; set MBBP_DATA or XDG_CACHE_HOME"):
        load_mnist()


def test_mnist_content_is_checked_by_its_hash(tmp_path, small):
    folder = write(tmp_path, small)
    changed = small[NAMES[1]][:-1] + b"\7"
    path = folder / NAMES[1]
    path.write_bytes(changed)
    with pytest.raises(ValueError, match="SHA-256") as caught:
        load_mnist(folder)
    got = hashlib.sha256(changed).hexdigest()
    expected = mnist.SHA256[NAMES[1]]
    assert str(caught.value) == f"{path}: expected uncompressed content with SHA-256 {expected}, got {got}"
    assert path.read_bytes() == changed


def test_mnist_format_errors_come_before_the_hash(tmp_path, small):
    folder = write(tmp_path, small)
    (folder / NAMES[0]).write_bytes(small[NAMES[0]][:-4])
    with pytest.raises(ValueError, match=r"expected 5 x 2 x 3 = 30 bytes of data, got 26; the file is truncated"):
        load_mnist(folder)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Start a web site on this machine that replaces the one of MNIST, and return its folder and an empty cache."""

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


def test_mnist_is_downloaded_once_with_a_message(small, site, capsys):
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


def test_only_missing_files_are_downloaded(small, site, capsys):
    root, cache = site
    write(root, small, compress=True)
    write(cache, small)
    (cache / NAMES[2]).unlink()
    assert is_small(load_mnist(), small)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_wrong_download_is_not_kept(small, site):
    root, cache = site
    write(root, dict.fromkeys(NAMES, idx([1, 2, 3])), compress=True)
    with pytest.raises(
        ValueError, match=r"expected a file of MNIST, got another one, now deleted; .*SHA-256"
    ) as caught:
        load_mnist()
    assert mnist.URL in str(caught.value)
    assert list(cache.iterdir()) == []


def test_the_error_for_a_failed_download_gives_the_address(small, site):
    _, cache = site
    with pytest.raises(OSError, match=r"expected to download a file, got an error; .*404") as caught:
        load_mnist()
    assert f"{mnist.URL}{NAMES[0]}.gz" in str(caught.value)
    assert list(cache.iterdir()) == []


def test_without_pooch_the_error_says_what_to_install(small, site, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ModuleNotFoundError, match=r"download: needs pooch, .*; pip install pooch$") as caught:
        load_mnist()
    assert str(site[1]) in str(caught.value)


@pytest.mark.skipif(REAL_DATA is None, reason="needs the four files of MNIST in MBBP_DATA")
def test_the_real_mnist():
    folder = Path(REAL_DATA, "mnist")
    data = load_mnist(folder if folder.is_dir() else REAL_DATA)
    assert repr(data) == "Dataset('mnist', x_train (784, 60000), x_test (784, 10000), uint8, 10 classes)"
    assert data.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert (data.x_train.min(), data.x_train.max()) == (0, 255)
    assert data.x_train.mean(dtype=np.float64) * data.scaling == pytest.approx(0.1306605, abs=1e-6)
    rest, (x, y) = data.split(10_000)
    assert (rest.x_train.shape, x.shape, y.shape) == ((784, 50000), (784, 10000), (10000,))
