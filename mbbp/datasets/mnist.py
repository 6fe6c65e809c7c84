"""MNIST: find its four files, or fetch them once, and check that they are what they should be."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mbbp.datasets.dataset import Dataset, checked_dtype
from mbbp.datasets.digits import DIGITS
from mbbp.datasets.idx import decode_idx, uncompressed

URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"

# Of the uncompressed bytes: mirrors compress the same files differently.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def load_mnist(
    folder: str | os.PathLike[str] | None = None, dtype: DTypeLike = "float32", download: bool = True
) -> Dataset:
    """Load MNIST: 60,000 handwritten digits to train with and 10,000 to test, of 28 x 28 pixels.

    The four IDX files, plain or ``.gz``, are looked for in one place: in `folder`, if given; else in the
    folder that the environment variable ``MBBP_DATA`` names, or its subfolder ``mnist``; else in the cache
    (``$XDG_CACHE_HOME/mbbp/mnist``, or the platform's own place for caches). Only into the cache is anything
    downloaded, and standard error then says what, from where and to where.

    The classic 50,000 + 10,000 is ``data, validation = load_mnist().split(10_000)``.

    Parameters
    ----------
    folder : path-like, optional
        Where the files are.
    dtype : {"float32", "float64"}
        The type of the inputs.
    download : bool
        Whether files that the cache lacks may be downloaded; this needs ``pip install mbbp[mnist]``.

    Returns
    -------
    Dataset
        `x_train` (784, 60000) and `x_test` (784, 10000), ink from 0 to 1; `y_train` and `y_test` the digits.

    Raises
    ------
    FileNotFoundError
        If a file is missing and may not be downloaded.
    ValueError
        If a file is not the one it should be, by its format or its SHA-256; if `dtype` is unknown.
    ModuleNotFoundError
        If a download is needed, and pooch is not installed.
    OSError
        If a download fails.

    Examples
    --------
    >>> data = load_mnist("data/mnist")  # doctest: +SKIP
    >>> data.x_train.shape  # doctest: +SKIP
    (784, 60000)
    """
    dtype = checked_dtype(dtype)
    x_train, y_train, x_test, y_test = mnist_bytes(folder, download)
    return Dataset(
        name="mnist",
        x_train=_columns(x_train, dtype),
        y_train=y_train.astype(np.int64),
        x_test=_columns(x_test, dtype),
        y_test=y_test.astype(np.int64),
        classes=DIGITS,
    )


def mnist_bytes(folder: str | os.PathLike[str] | None = None, download: bool = True) -> list[NDArray[np.uint8]]:
    """Return what stands in the four files, found as `load_mnist` finds them.

    Returns
    -------
    x_train, y_train, x_test, y_test : ndarray of uint8
        Of shapes (60000, 28, 28), (60000,), (10000, 28, 28), (10000,), ink from 0 to 255.

    Raises
    ------
    FileNotFoundError, ValueError, ModuleNotFoundError, OSError
        As `load_mnist` does.
    """
    cache, hint = None, ""
    if folder is not None:
        folders = [Path(folder).expanduser()]
    elif environment := os.environ.get("MBBP_DATA"):
        root = Path(environment).expanduser()
        folders, hint = [root, root / "mnist"], "; MBBP_DATA says to look there"
    else:
        cache = _cache_folder()
        folders, hint = [cache], "; download=True would fetch it"

    parts = []
    for name in SHA256:
        path = _find(name, folders)
        if path is None:
            if cache is None or not download:
                places = " or ".join(map(str, folders))
                raise FileNotFoundError(f"MNIST: neither {name} nor {name}.gz is in {places}{hint}")
            path = _download(name, cache)
        parts.append(_read_verified(path, name))
    return parts


def _columns(images: NDArray[np.uint8], dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
    return np.divide(images.reshape(len(images), -1), 255, dtype=dtype).T


def _find(name: str, folders: list[Path]) -> Path | None:
    candidates = (folder / file for folder in folders for file in (name, f"{name}.gz"))
    return next((path for path in candidates if path.is_file()), None)


def _read_verified(path: Path, name: str) -> NDArray[np.uint8]:
    content = uncompressed(path)
    array = decode_idx(content, path)  # first: what it finds wrong says more than a hash does
    got = hashlib.sha256(content).hexdigest()
    if got != SHA256[name]:
        raise ValueError(f"{path}: wrong SHA-256 (uncompressed): got {got}, wanted {SHA256[name]}")
    return array


def _cache_folder() -> Path:
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        root = Path(chosen).expanduser()
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        root = Path(local)
    else:
        root = Path.home() / ".cache"
    return root / "mbbp" / "mnist"


def _download(name: str, cache: Path) -> Path:
    file = f"{name}.gz"
    try:
        import pooch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"MNIST's {file} is not in {cache}, and to download it pooch is needed: pip install mbbp[mnist]"
        ) from error
    print(f"mbbp: downloading {file} from {URL} to {cache}", file=sys.stderr)
    cache.mkdir(parents=True, exist_ok=True)
    # The cache never holds a file that is incomplete or wrong, whoever else is writing to it.
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        fresh = Path(scratch, file)
        try:
            # Not as a stream: on an error status pooch would leave the connection open.
            pooch.HTTPDownloader(stream=False)(URL + file, str(fresh), None)
        except OSError as error:
            raise OSError(f"cannot download {URL + file}: {error}") from error
        try:
            _read_verified(fresh, name)
        except ValueError as error:
            raise ValueError(f"what {URL} sent is not MNIST, and was discarded: {error}") from error
        return fresh.replace(cache / file)
