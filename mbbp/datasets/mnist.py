"""Load MNIST: find its four files, or download them once, and check their content by its hash."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mbbp.datasets.dataset import Dataset
from mbbp.datasets.digits import DIGITS
from mbbp.datasets.idx import read_idx_and_hash
from mbbp.datasets.prepare import PIXELS, image_columns, image_dtype, image_scaling
from mbbp.extras import load_extra

LARGEST = 255  # of a pixel
URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"

# These are hashes of the uncompressed content, because mirrors compress the same file differently.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def load_mnist(
    folder: str | os.PathLike[str] | None = None, dtype: DTypeLike = PIXELS, download: bool = True
) -> Dataset:
    """Load MNIST: 60,000 handwritten digits for training and 10,000 for testing, of 28 x 28 pixels.

    The function looks for the four IDX files, plain or ``.gz``, in only one place:

    - in `folder`, if it is given;
    - or else in the folder of the environment variable ``MBBP_DATA`` and in its subfolder ``mnist``, if that is set;
    - or else in the cache: ``$XDG_CACHE_HOME/mbbp/mnist``, or the platform's usual folder for caches.

    Files are downloaded only into the cache. For each, a line on standard error gives the address and the folder.

    ``data, validation = load_mnist().split(10_000)`` gives the usual 50,000 training and 10,000 validation examples.

    Parameters
    ----------
    folder : path-like, optional
        The folder that holds the files.
    dtype : {"float32", "float64", "uint8"}
        The type of the inputs: the pixels as they are in uint8, or from 0 to 1 in four or eight times as much memory.
    download : bool
        Whether to download files that are missing in the cache. This needs ``pip install pooch``.

    Returns
    -------
    Dataset
        `x_train` (784, 60000) and `x_test` (784, 10000) hold pixels from 0 (no ink) to 255, and `scaling`
        is 1/255, for ``Network(scaling=data.scaling)``. In float32 or float64 they are from 0 to 1, and `scaling` is
        None. `y_train` and `y_test` hold the digits.

    Raises
    ------
    FileNotFoundError
        If a file is missing and must not be downloaded, or there is no home folder for the cache.
    ValueError
        If a file has the wrong format or the wrong SHA-256, or if `dtype` is another one.
    ModuleNotFoundError
        If a download is needed and pooch is not installed.
    OSError
        If a download fails.

    Examples
    --------
    >>> data = load_mnist("data/mnist")  # doctest: +SKIP
    >>> data.x_train.shape  # doctest: +SKIP
    (784, 60000)
    """
    found = image_dtype(dtype)
    x_train, y_train, x_test, y_test = mnist_bytes(folder, download)
    return Dataset(
        name="mnist",
        x_train=image_columns(x_train, LARGEST, found),
        y_train=y_train.astype(np.int64),
        x_test=image_columns(x_test, LARGEST, found),
        y_test=y_test.astype(np.int64),
        classes=DIGITS,
        scaling=image_scaling(LARGEST, found),
    )


def mnist_bytes(folder: str | os.PathLike[str] | None = None, download: bool = True) -> list[NDArray[np.uint8]]:
    """Return the content of the four files. `load_mnist` says where they are looked for.

    Returns
    -------
    x_train, y_train, x_test, y_test : ndarray of uint8
        Of shapes (60000, 28, 28), (60000,), (10000, 28, 28) and (10000,). Pixels are from 0 (no ink) to 255.

    Raises
    ------
    FileNotFoundError, ValueError, ModuleNotFoundError, OSError
        In the same cases as `load_mnist`.
    """
    cache, hint = None, ""
    if folder is not None:
        folders = [Path(folder).expanduser()]
    elif environment := os.environ.get("MBBP_DATA"):
        root = Path(environment).expanduser()
        folders, hint = [root, root / "mnist"], "; the folder is given by MBBP_DATA"
    else:
        cache = _cache_folder()
        folders, hint = [cache], "; download=True downloads it"

    parts = []
    for name in SHA256:
        path = _find(name, folders)
        if path is None:
            if cache is None or not download:
                places = " or ".join(map(str, folders))
                raise FileNotFoundError(f"MNIST: expected {name} or {name}.gz in {places}, got neither{hint}")
            path = _download(name, cache)
        parts.append(_read_verified(path, name))
    return parts


def _find(name: str, folders: list[Path]) -> Path | None:
    candidates = (folder / file for folder in folders for file in (name, f"{name}.gz"))
    return next((path for path in candidates if path.is_file()), None)


def _read_verified(path: Path, name: str) -> NDArray[np.uint8]:
    array, got = read_idx_and_hash(path)
    if got != SHA256[name]:
        raise ValueError(f"{path}: expected uncompressed content with SHA-256 {SHA256[name]}, got {got}")
    return array


def _cache_folder() -> Path:
    try:
        return _usual_folder() / "mbbp" / "mnist"
    except RuntimeError as error:  # pathlib's, for a user without a home
        raise FileNotFoundError(
            f"MNIST: expected a home folder for the cache, got none; set MBBP_DATA or XDG_CACHE_HOME ({error})"
        ) from error


def _usual_folder() -> Path:
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local)
    return Path.home() / ".cache"


def _download(name: str, cache: Path) -> Path:
    file = f"{name}.gz"
    pooch = load_extra("download", "pooch", f"{file} is not in {cache}, and MBBP_DATA names no folder")
    print(f"mbbp: downloading {file} from {URL} to {cache}", file=sys.stderr)
    cache.mkdir(parents=True, exist_ok=True)
    # The file is moved into the cache only when it is complete and checked: another process may read the cache now.
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        fresh = Path(scratch, file)
        try:
            # With stream=True, pooch would leave the connection open after an error status.
            pooch.HTTPDownloader(stream=False)(URL + file, str(fresh), None)
        except OSError as error:
            raise OSError(f"{URL + file}: expected to download a file, got an error; {error}") from error
        try:
            _read_verified(fresh, name)
        except ValueError as error:
            raise ValueError(
                f"{URL + file}: expected a file of MNIST, got another one, now deleted; {error}"
            ) from error
        return fresh.replace(cache / file)
