"""Networks as ONNX models, which onnxruntime and many others run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mbbp.exchange.describe import as_text, describe
from mbbp.exchange.onnx_functions import written
from mbbp.exchange.plain import Plain, plain
from mbbp.extras import load_extra
from mbbp.fileformat.structure import MOST_LAYERS
from mbbp.files import write_aside
from mbbp.network import Network
from mbbp.parameters import Array

OPSET, IR = 17, 8  # onnx 1.12 and onnxruntime 1.12 read them, and all later ones
MOST_BYTES = 2_000_000_000  # protobuf holds no message of 2 GiB
DESCRIPTION, INPUT_NAMES = "mbbp", "input_names"
"""The entries of the model's metadata that are not the network's own."""


def to_onnx(net: Network, path: str | Path | None = None) -> Any:
    """Return a network as an ONNX model, and write it to a file if a path is given.

    Parameters
    ----------
    net : Network
        Its activations must be built-in ones.
    path : path, optional
        The file. An old file at `path` is replaced when the new one is complete.

    Returns
    -------
    onnx.ModelProto
        The model. Its input ``X`` has the shape (m, n_in), one example per **row**, as in other programs, in the dtype
        of the network; any m will do. The scaling of the inputs is inside.

    Raises
    ------
    ValueError
        If the network has custom activations, its scaling has not been learnt yet, its parameters hold NaN or inf, or
        ONNX cannot hold it: more than 2 GB, a name that is no valid text, or metadata with the name ``mbbp`` or
        ``input_names``.
    OSError
        If the file cannot be written.
    TypeError
        If it is no network.
    RuntimeError
        If another thread is training the network.
    ImportError
        If onnx is not installed.

    Notes
    -----
    The outputs are those that scikit-learn's converters write. A network for numbers has one: ``variable``, (m, n_out).
    A classifier has two. ``label``, (m,), is what `Network.classify` returns, as int64; or the name of the class, if
    the schema has names: a text, or an int64 if all names are whole numbers. ``probabilities``, (m, K), are the
    outputs; a single output p becomes the two columns 1 - p and p. Outputs that are no probabilities, such as those of
    squared_hinge, are called ``scores`` and stay as they are. A network is a classifier if its schema names classes,
    its outputs are sigmoid or softmax, or its cost is for classes; but not if its schema names targets alone.

    The numbers are those of `Network.feedforward` up to rounding: in onnxruntime the difference is below 2e-6 of the
    largest output in float32, and 1e-14 in float64, if the layers have some hundred neurons. Outputs are in the
    targets' own units. The operators are those of opset 17 (IR version 8).
    """
    parts = plain(net, "to_onnx")
    if len(parts.layers) > MOST_LAYERS:
        raise ValueError(f"net: expected at most {MOST_LAYERS:,} layers for to_onnx, got {len(parts.layers):,}")
    n_bytes = sum(layer.W.nbytes + layer.b.nbytes for layer in parts.layers)
    if n_bytes > MOST_BYTES:
        raise ValueError(f"net: expected at most {MOST_BYTES:,} bytes for to_onnx, got {n_bytes:,}")
    _check_texts(parts)
    onnx = load_extra("to_onnx", "onnx")
    graph = _Graph(onnx, parts)
    graph.write()
    model = graph.model(describe(net, parts), is_custom=net.cost_function.is_custom)
    if path is not None:
        content = model.SerializeToString(deterministic=True)
        write_aside(path, lambda aside: aside.write_bytes(content))
    return model


def _check_texts(parts: Plain) -> None:
    texts = [*(parts.classes or ()), *parts.metadata, *parts.metadata.values()]
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"net: expected names and texts that UTF-8 can hold for to_onnx, got {text!r:.100}"
            ) from error
    for name in (DESCRIPTION, INPUT_NAMES):
        if name in parts.metadata:
            raise ValueError(f"net: expected no metadata with the name {name!r} for to_onnx, got one")


def as_integers(classes: tuple[str, ...]) -> list[int] | None:
    """Return the names of classes as whole numbers, or None if one of them is none, or not written as Python does."""
    numbers = []
    for name in classes:
        try:
            number = int(name)
        except ValueError:
            return None
        if str(number) != name or not -(2**63) <= number < 2**63:
            return None
        numbers.append(number)
    return numbers


class _Graph:
    """The graph while it is written."""

    def __init__(self, onnx: Any, parts: Plain) -> None:
        self.onnx, self.parts = onnx, parts
        self.type = onnx.TensorProto.FLOAT if parts.dtype == np.float32 else onnx.TensorProto.DOUBLE
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.outputs: list[Any] = []

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        name = f"node_{len(self.nodes)}_{op}"
        self.nodes.append(self.onnx.helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    def constant(self, name: str, array: Array) -> str:
        if name not in self.constants:
            self.constants[name] = self.onnx.numpy_helper.from_array(array, name)
        return name

    def number(self, value: float) -> str:
        return self.constant(f"number_{value!r}", np.array(value, self.parts.dtype))

    def output(self, name: str, kind: int, *shape: int | str) -> None:
        self.outputs.append(self.onnx.helper.make_tensor_value_info(name, kind, ["m", *shape]))

    def write(self) -> None:
        parts = self.parts
        current = "X"
        for name, op, array in (("mean", "Sub", parts.mean), ("factor", "Mul", parts.factor)):
            if array is not None:  # in the network's dtype, as mbbp scales inputs of this dtype
                numbers = self.constant(f"scaling.{name}", array.astype(parts.dtype))
                current = self.node(op, [current, numbers], f"scaled.{name}")
        for i, layer in enumerate(parts.layers):
            W, b = self.constant(f"layers.{i}.weight", layer.W), self.constant(f"layers.{i}.bias", layer.b)
            is_last = i == len(parts.layers) - 1
            z = "outputs" if is_last and layer.activation == "identity" else f"layers.{i}.z"
            current = self.node("Gemm", [current, W, b], z, transB=1)
            current = self.activation(layer.activation, current, "outputs" if is_last else f"layers.{i}.a")
        if parts.is_classifier:
            self.classes(current)
        else:
            self.node("Identity", [current], "variable")
            self.output("variable", self.type, parts.sizes[-1])

    def activation(self, name: str, z: str, a: str) -> str:
        program = written(name, self.parts.dtype.name)
        names: dict[str, str] = {"x": z}
        for one in program.operations:
            inputs = [names[value] if isinstance(value, str) else self.number(value) for value in one.inputs]
            is_last = one is program.operations[-1]
            names[one.output] = a if is_last else f"{a}.{one.output}"
            axis = {} if one.axis is None else {"axis": one.axis}
            self.node(one.op, inputs, names[one.output], **axis)
        return a if program.operations else z

    def classes(self, outputs: str) -> None:
        parts, types = self.parts, self.onnx.TensorProto
        n_out, shown = parts.sizes[-1], outputs
        is_probability = parts.layers[-1].activation in ("sigmoid", "softmax")
        index = "label" if parts.classes is None else "index"
        if n_out == 1:
            is_above = self.node("Greater", [outputs, self.number(parts.threshold)], "is_above")
            column = self.node("Cast", [is_above], "index_column", to=types.INT64)
            self.node("Reshape", [column, self.constant("one_dimension", np.array([-1]))], index)
            if is_probability:
                other = self.node("Sub", [self.number(1.0), outputs], "complement")
                shown = self.node("Concat", [other, outputs], "both", axis=1)
        else:
            self.node("ArgMax", [outputs], index, axis=1, keepdims=0)
        label_type = types.INT64
        if parts.classes is not None:
            numbers = as_integers(parts.classes)
            names = np.array(parts.classes, object) if numbers is None else np.array(numbers, np.int64)
            label_type = types.STRING if numbers is None else types.INT64
            self.node("Gather", [self.constant("classes", names), index], "label", axis=0)
        self.output("label", label_type)
        name = "probabilities" if is_probability else "scores"
        self.node("Identity", [shown], name)
        self.output(name, self.type, 2 if n_out == 1 and is_probability else n_out)

    def model(self, facts: dict[str, Any], is_custom: bool) -> Any:
        helper, parts = self.onnx.helper, self.parts
        inputs = [helper.make_tensor_value_info("X", self.type, ["m", parts.sizes[0]])]
        graph = helper.make_graph(self.nodes, "mbbp", inputs, self.outputs, list(self.constants.values()))
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="mbbp"
        )
        # a custom cost is code, which no file holds; without its metadata, since these have entries of their own
        left_out = ("metadata", "cost") if is_custom else ("metadata",)
        kept = {name: fact for name, fact in facts.items() if name not in left_out}
        texts = {DESCRIPTION: as_text("to_onnx", kept)}
        if parts.input_names is not None:
            texts[INPUT_NAMES] = json.dumps(parts.input_names)
        helper.set_model_props(model, texts | parts.metadata)
        return model
