"""What a network predicts for the rows of a table: the names of classes, or numbers in their own units."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.datasets.newrows import columns_of, read_inputs
from mbbp.extras import load_extra
from mbbp.inputs import as_inputs
from mbbp.network import Network
from mbbp.parameters import Array
from mbbp.schema import Schema

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """What a network predicts for the rows of a table.

    Attributes
    ----------
    target : str
        The name of what is predicted: that of the column of classes, or "prediction".
    classes : ndarray of str or int64, shape (m,), or None
        The class of each row: its name, or its label if the classes have no names. None if numbers are predicted.
    outputs : ndarray of shape (n_out, m)
        The outputs of the network, one column for each row of the table. For classes: with sigmoid or softmax outputs,
        the probability of each class, also with a single output, which gives two rows. Else numbers in their own units.
    names : tuple of str
        The name of each row of `outputs`: ``target=class``, or the name of the number.
    """

    target: str
    classes: Array | None
    outputs: Array
    names: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.outputs.shape[1])

    def __repr__(self) -> str:
        return f"Predictions(of {self.target!r} for {len(self):,} rows)"

    def to_dict(self) -> dict[str, Array]:
        """Return the columns by name: the classes first, if there are any, and then the outputs."""
        first = {} if self.classes is None else {self.target: self.classes}
        return first | dict(zip(self.names, self.outputs, strict=True))

    def to_frame(self) -> pandas.DataFrame:
        """Return a pandas DataFrame with one row for each row of the table.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return load_extra("to_frame", "pandas").DataFrame(self.to_dict())

    def to_csv(self) -> str:
        """Return the predictions as the text of a CSV file, with a header. A number has as many digits as it needs."""
        found = self.to_dict()
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(found)
        writer.writerows(zip(*(column.astype(str) for column in found.values()), strict=True))
        return file.getvalue()


def predict(
    net: Network,
    table: str | os.PathLike[str] | pandas.DataFrame | ArrayLike,
    *,
    delimiter: str = ",",
    header: bool | None = None,
) -> Predictions:
    """Return what a network predicts for the rows of a table.

    Parameters
    ----------
    net : Network
        If its schema names columns, the table's columns are found by name, in any order, and coded as in the training.
    table : path, pandas.DataFrame, or array_like of shape (n_in, m)
        A CSV file or a frame with one sample in each row, or inputs with one example in each column.
    delimiter : str
        For a file: the one character between fields.
    header : bool or None
        For a file: whether the first line holds the names of the columns. None means that this is found out.

    Returns
    -------
    Predictions

    Raises
    ------
    OSError
        If the file cannot be read.
    ImportError
        If pandas is needed and not installed.
    ValueError
        If a column or a value is missing, or a number is text, NaN or inf.
    TypeError
        If an argument is of the wrong type.

    Examples
    --------
    >>> import mbbp
    >>> data = mbbp.datasets.load_digits()
    >>> net = mbbp.classifier(data.x_train, data.y_train, rng=0)
    >>> predictions = mbbp.predict(net, data.x_test)
    >>> float((predictions.classes == data.y_test).mean()) > 0.95
    True
    >>> predictions.outputs.shape
    (10, 360)
    """
    if not isinstance(net, Network):
        raise TypeError(f"net: expected an mbbp.Network, got {net!r:.100}")
    outputs = net.feedforward(inputs_of(net, table, delimiter, header))
    schema = net.schema or Schema()
    output, cost = net.layers[-1].activation.name, net.cost_function
    if schema.classes is None and (schema.targets is not None or not _means_classes(net)):
        if schema.target_scaling is not None:
            outputs = schema.target_scaling.undo(outputs)
        return Predictions("prediction", None, outputs, schema.targets or _numbered("output", len(outputs)))
    single = len(outputs) == 1
    labels = (outputs[0] > cost.threshold).astype(np.int64) if single else outputs.argmax(axis=0)
    if single and output == "sigmoid":
        outputs = np.concatenate([1 - outputs, outputs])
    target = schema.targets[0] if schema.targets else "prediction"
    words = schema.classes or tuple(map(str, range(max(len(outputs), 2))))
    names = tuple(f"{target}={word}" for word in words) if len(outputs) == len(words) else (f"{target}: score",)
    classes = labels if schema.classes is None else np.array(schema.classes)[labels]
    return Predictions(target, classes, outputs, names)


def _means_classes(net: Network) -> bool:
    is_probability = net.layers[-1].activation.name in ("sigmoid", "softmax")
    return (is_probability and net.trained_on_classes is not False) or net.cost_function.is_of_classes


def _numbered(word: str, n: int) -> tuple[str, ...]:
    return tuple(f"{word} {i}" for i in range(n))


def inputs_of(net: Network, table: Any, delimiter: str = ",", header: bool | None = None) -> Any:
    """Return the rows of a table as inputs of a network, (n_in, m); see `predict`."""
    is_path = isinstance(table, str | os.PathLike)
    schema = net.schema
    has_columns = schema is not None and schema.columns is not None
    if schema is not None and has_columns and (is_path or hasattr(table, "iloc")):
        return read_inputs(table, schema, delimiter=delimiter, header=header)
    if is_path:
        columns = columns_of(Path(table), delimiter, header)
        if len(columns) != net.sizes[0]:
            raise ValueError(f"{table}: expected {net.sizes[0]} columns, one for each input, got {len(columns)}")
        return read_inputs(table, Schema(columns), delimiter=delimiter, header=header)
    X = table.T if hasattr(table, "iloc") else table  # a frame has its samples in rows
    return as_inputs("table", X, net.sizes[0], net.dtype, net.engine.scaling).T
