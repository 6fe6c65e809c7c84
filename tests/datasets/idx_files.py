"""IDX files like those of MNIST, for tests of several loaders."""

import gzip
import struct

import numpy as np

from mbbp.datasets import mnist

NAMES = list(mnist.SHA256)


def idx(array):
    array = np.asarray(array, np.uint8)
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder, contents, *, compress=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        path = folder / (f"{name}.gz" if compress else name)
        path.write_bytes(gzip.compress(content) if compress else content)
    return folder
