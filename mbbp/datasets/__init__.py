"""Data sets in the form that a network takes: one example per column, labels 0..K-1.

`load_digits` needs no file: its images are part of the package. `load_mnist` reads the four IDX files of MNIST, and can
download them. `load_csv` and `load_npz` read your own tables, in which each row is a sample. `load` takes a name or a
path and calls one of these four. All five return a `Dataset`. `read_inputs` reads further rows for a trained network.
"""

from mbbp.datasets.catalogue import load
from mbbp.datasets.csvfile import load_csv
from mbbp.datasets.dataset import Dataset
from mbbp.datasets.digits import load_digits
from mbbp.datasets.idx import read_idx
from mbbp.datasets.mnist import load_mnist
from mbbp.datasets.newrows import read_inputs
from mbbp.datasets.npzfile import load_npz

__all__ = ["Dataset", "load", "load_csv", "load_digits", "load_mnist", "load_npz", "read_idx", "read_inputs"]
