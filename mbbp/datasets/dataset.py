"""What every loader returns: examples in columns, and the names of their classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Training and test examples, one per column.

    Attributes
    ----------
    name : str
        What the data set is called.
    x_train : ndarray, shape (n_inputs, n_train)
        Inputs in float32 or float64, in Fortran order: each column, one example, is contiguous.
    y_train : ndarray, shape (n_train,) or (1, n_train)
        int64 labels 0..K-1; for regression, targets of the dtype of `x_train`.
    x_test, y_test : ndarray or None
        The same for the examples held out for testing; None if there are none.
    classes : tuple of str or None
        The name of each label: label k means ``classes[k]``. None for regression.

    Examples
    --------
    >>> from mbbp.datasets import load_digits
    >>> load_digits()
    Dataset('digits', x_train (64, 1437), x_test (64, 360), float32, 10 classes)
    """

    name: str
    x_train: Array
    y_train: Array
    x_test: Array | None
    y_test: Array | None
    classes: tuple[str, ...] | None

    @property
    def n_inputs(self) -> int:
        """The number of features: the size of a network's first layer."""
        return int(self.x_train.shape[0])

    @property
    def n_outputs(self) -> int:
        """The number of classes, or of targets: the size of a network's last layer."""
        return int(self.y_train.shape[0]) if self.classes is None else len(self.classes)

    def split(self, n: int) -> tuple[Dataset, tuple[Array, Array]]:
        """Hold out the last `n` training examples, to validate with.

        Parameters
        ----------
        n : int
            How many, from 1 to n_train - 1.

        Returns
        -------
        rest : Dataset
            This one with `n` training examples fewer; the test examples are as they were.
        validation : (x, y)
            The examples held out. Both are views: nothing is copied.

        Raises
        ------
        ValueError
            If `n` leaves no example on one side.

        Examples
        --------
        >>> from mbbp.datasets import load_digits
        >>> data, (x, y) = load_digits().split(400)
        >>> data.x_train.shape, x.shape, y.shape
        ((64, 1037), (64, 400), (400,))
        """
        n_train = self.x_train.shape[1]
        if not 1 <= n < n_train:
            raise ValueError(f"n must be from 1 to {n_train - 1}, as {n_train} training examples are there; got {n}")
        rest = replace(self, x_train=self.x_train[:, :-n], y_train=self.y_train[..., :-n])
        return rest, (self.x_train[:, -n:], self.y_train[..., -n:])

    def __repr__(self) -> str:
        test = "no test examples" if self.x_test is None else f"x_test {self.x_test.shape}"
        aim = f"{self.n_outputs} target" if self.classes is None else f"{self.n_outputs} classes"
        return f"Dataset({self.name!r}, x_train {self.x_train.shape}, {test}, {self.x_train.dtype}, {aim})"


def checked_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return float32 or float64 as a NumPy dtype, or raise a ValueError that names `dtype`."""
    try:
        checked = np.dtype(dtype)
    except TypeError:
        checked = None
    # np.dtype(None) is float64: a dtype left out by mistake must not pass for a choice.
    if dtype is None or checked not in (np.float32, np.float64):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return checked
