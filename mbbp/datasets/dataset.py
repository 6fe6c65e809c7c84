"""`Dataset`, which every loader returns: examples in columns, their labels, and the names of the classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Training and test examples, one per column.

    Attributes
    ----------
    name : str
        What the data set is called.
    x_train : ndarray, shape (n_inputs, n_train)
        Inputs in float32 or float64, in Fortran order: each column (one example) is contiguous in memory.
    y_train : ndarray, shape (n_train,) or (1, n_train)
        int64 labels 0..K-1. For regression: targets, with the dtype of `x_train`.
    x_test, y_test : ndarray or None
        The same for the test examples; None if there are none.
    classes : tuple of str or None
        The name of each class: label k stands for ``classes[k]``. None for regression.

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
        """The number of features, which is the size of a network's first layer."""
        return int(self.x_train.shape[0])

    @property
    def n_outputs(self) -> int:
        """The number of classes (or of targets), which is the size of a network's last layer."""
        return int(self.y_train.shape[0]) if self.classes is None else len(self.classes)

    def split(self, n: int) -> tuple[Dataset, tuple[Array, Array]]:
        """Split off the last `n` training examples as validation data.

        Parameters
        ----------
        n : int
            How many examples to split off, from 1 to n_train - 1.

        Returns
        -------
        rest : Dataset
            The same data set without these `n` training examples. The test examples stay the same.
        validation : (x, y)
            The examples that were split off. No data is copied: all arrays are views.

        Raises
        ------
        ValueError
            If `n` is not from 1 to n_train - 1, so that one part would be empty.

        Examples
        --------
        >>> from mbbp.datasets import load_digits
        >>> data, (x, y) = load_digits().split(400)
        >>> data.x_train.shape, x.shape, y.shape
        ((64, 1037), (64, 400), (400,))
        """
        n_train = self.x_train.shape[1]
        if not 1 <= n < n_train:
            raise ValueError(f"n: expected 1 to {n_train - 1}, got {n}; there are {n_train} training examples")
        rest = replace(self, x_train=self.x_train[:, :-n], y_train=self.y_train[..., :-n])
        return rest, (self.x_train[:, -n:], self.y_train[..., -n:])

    def __repr__(self) -> str:
        test = "no test examples" if self.x_test is None else f"x_test {self.x_test.shape}"
        aim = f"{self.n_outputs} target" if self.classes is None else f"{self.n_outputs} classes"
        return f"Dataset({self.name!r}, x_train {self.x_train.shape}, {test}, {self.x_train.dtype}, {aim})"
