"""`Dataset`, which every loader returns: examples in columns, their labels, and the names of the classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mbbp.parameters import Array
from mbbp.scaling import Scaling
from mbbp.schema import Column, Schema


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Training and test examples, one per column.

    Attributes
    ----------
    name : str
        What the data set is called.
    x_train : ndarray, shape (n_inputs, n_train)
        Inputs in float32, float64 or uint8, in Fortran order: each column (one example) is contiguous in memory.
    y_train : ndarray, shape (n_train,) or (n_targets, n_train)
        int64 labels 0..K-1. For regression: targets, with the dtype of the network, of shape (n_targets, n_train).
    x_test, y_test : ndarray or None
        The same for the test examples; None if there are none.
    classes : tuple of str or None
        The name of each class: label k stands for ``classes[k]``. None for regression.
    feature_names, target_names : tuple of str or None
        The name of each row of `x_train`, and of each target; None if they have no names.
    scaling : float or "standardize", optional
        How these inputs are usually scaled, for ``Network(scaling=...)``: 1/255 for pixels of 0 to 255.
    target_scaling : Scaling or None
        How `y_train` and `y_test` were scaled by `standardize_targets`; None if they are in their own units.
    notes : tuple of str
        What the loader did with the data, such as the values that it has filled.
    columns : tuple of Column or None
        The columns of the table that became the features.

    Examples
    --------
    >>> from mbbp.datasets import load_digits
    >>> load_digits()
    Dataset('digits', x_train (64, 1437), x_test (64, 360), uint8, 10 classes)
    """

    name: str
    x_train: Array
    y_train: Array
    x_test: Array | None
    y_test: Array | None
    classes: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] | None = None
    scaling: float | Literal["standardize"] | None = None
    target_scaling: Scaling | None = None
    notes: tuple[str, ...] = ()
    columns: tuple[Column, ...] | None = None

    @property
    def n_inputs(self) -> int:
        """The number of features, which is the size of a network's first layer."""
        return int(self.x_train.shape[0])

    @property
    def n_outputs(self) -> int:
        """The number of classes (or of targets), which is the size of a network's last layer."""
        return int(self.y_train.shape[0]) if self.classes is None else len(self.classes)

    @property
    def schema(self) -> Schema:
        """What the inputs and the outputs of a network for these data stand for, for `Network.schema`.

        Without columns if two of them have the same name: then no other table can be read by names.
        """
        columns = self.columns
        if columns is not None and len({one.name for one in columns}) < len(columns):
            columns = None
        targets = self.target_names
        if targets is not None and len(set(targets)) < len(targets):
            targets = None
        return Schema(columns, self.classes, targets, self.target_scaling)

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

    def standardize_targets(self) -> Dataset:
        """Return a data set whose targets are scaled to mean 0 and variance 1 over the training examples.

        A network with identity outputs learns them faster. `restore_targets` turns its outputs back.

        Returns
        -------
        Dataset
            It shares the inputs with this one. Its `target_scaling` says how the targets were scaled.

        Raises
        ------
        ValueError
            If there are classes instead of numbers to predict, or if the targets are already scaled.

        Examples
        --------
        >>> x, y = np.zeros((1, 3)), np.array([[100.0, 200.0, 300.0]])
        >>> data = Dataset("prices", x, y, None, None, None).standardize_targets()
        >>> data.y_train.round(3).tolist()
        [[-1.225, 0.0, 1.225]]
        >>> data.restore_targets([[0.0, 2.0]]).round(1).tolist()
        [[200.0, 363.3]]
        """
        if self.classes is not None:
            raise ValueError(f"standardize_targets: expected numbers to predict, got {self.n_outputs} classes")
        if self.target_scaling is not None:
            raise ValueError("standardize_targets: expected targets in their own units, got scaled targets")
        scaling = Scaling.learn(self.y_train)

        def scaled(targets: Array) -> Array:
            return scaling.apply(targets).astype(targets.dtype)

        y_test = None if self.y_test is None else scaled(self.y_test)
        return replace(self, y_train=scaled(self.y_train), y_test=y_test, target_scaling=scaling)

    def restore_targets(self, outputs: ArrayLike) -> NDArray[np.float64]:
        """Return outputs of a network in the units that the targets had before `standardize_targets`.

        Parameters
        ----------
        outputs : array_like, shape (n_targets, m)
            Outputs of a network that was trained on these targets, or scaled targets.

        Raises
        ------
        ValueError
            If the targets are not scaled.
        """
        if self.target_scaling is None:
            raise ValueError("restore_targets: expected a data set with scaled targets, got one with targets as given")
        return self.target_scaling.undo(outputs)

    def __repr__(self) -> str:
        test = "no test examples" if self.x_test is None else f"x_test {self.x_test.shape}"
        kind = "classes" if self.classes is not None else "target" if self.n_outputs == 1 else "targets"
        aim = f"{self.n_outputs} {kind}"
        return f"Dataset({self.name!r}, x_train {self.x_train.shape}, {test}, {self.x_train.dtype}, {aim})"
