"""What each operator of an ONNX graph makes of a chain of layers, or of the label and the probabilities at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mbbp.exchange.chain import Factor, Function, Linear, Shift, Step
from mbbp.exchange.onnx_tensors import Constants
from mbbp.parameters import Array


@dataclass(frozen=True)
class Chain:
    """The result of some steps: the last one, and the chain before it. The inputs have no step."""

    step: Step | None = None
    before: Chain | None = None
    length: int = 0
    weights: str = ""  # the name of the constant that holds the weights of the last step
    rank: int | None = None  # the number of dimensions, None if the model does not tell
    size: int | None = None  # how many numbers one example has, None if the model does not tell
    dtype: np.dtype[Any] | None = None  # of the weights of the last layer, None before the first one

    def then(self, step: Step, weights: str = "") -> Chain:
        """Return this chain with a further step.

        Raises
        ------
        CannotConvertError
            If the step takes rows, and the values are none.
        """
        size, dtype = self.size, self.dtype
        if isinstance(step, Linear):
            n_out, n_in = step.W.shape
            if self.rank not in (None, 2):
                raise CannotConvertError(
                    f"it takes inputs of rank 2, one row for each example, and gets rank {self.rank}; "
                    "Flatten or Reshape would make rows"
                )
            if size not in (None, n_in):
                raise CannotConvertError(f"it takes {n_in} inputs, and its rows have {size} numbers")
            size, dtype = n_out, step.W.dtype
        elif isinstance(step, Shift | Factor) and step.v.size > 1 and self.rank not in (None, 2):
            raise CannotConvertError(
                f"it has {step.v.size} numbers, one for each feature of a row, and gets inputs of rank {self.rank}"
            )
        return replace(self, step=step, before=self, length=self.length + 1, weights=weights, size=size, dtype=dtype)

    def flat(self, size: int | None) -> Chain:
        """Return this chain with one row of `size` numbers for each example."""
        return replace(self, rank=2, size=size) if (self.rank, self.size) != (2, size) else self


@dataclass(frozen=True)
class Tail:
    """What a classifier makes of the outputs of a chain.

    `kind` is complement (1 - p), both (1 - p and p), above (whether p is above `threshold`), index or label. `classes`
    are the names of the classes, if the graph has them.
    """

    kind: str
    chain: Chain
    threshold: float | None = None
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Unknown:
    """A value that cannot be converted, and why."""

    where: str
    why: str


Value = Chain | Tail | Unknown


class CannotConvertError(Exception):
    """A node cannot be converted; the text says why."""


@dataclass
class Node:
    """One node, with what its inputs are."""

    onnx: Any
    proto: Any
    constants: Constants
    values: dict[str, Value]
    attributes: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.attributes = {one.name: one for one in self.proto.attribute}

    @property
    def where(self) -> str:
        """The node in an error message."""
        return f"node {self.proto.name or '?'!r:.100} ({self.proto.op_type:.100})"

    def attribute(self, name: str, default: Any) -> Any:
        """Return the value of an attribute."""
        if name not in self.attributes:
            return default
        value = self.onnx.helper.get_attribute_value(self.attributes[name])
        value = value.decode(errors="replace") if isinstance(value, bytes) else value
        kinds = {int: (int,), float: (int, float), str: (str,)}
        if not isinstance(value, kinds.get(type(default), (list,))):
            raise CannotConvertError(f"{name} is {value!r:.50}, which is of another type than {default!r}")
        return value

    def expect(self, name: str, default: Any, *allowed: Any) -> None:
        """Check the value of an attribute."""
        value = self.attribute(name, default)
        if value not in allowed:
            raise CannotConvertError(f"{name} is {value!r:.50}, and mbbp has {allowed[0]!r}")

    def chain(self, place: int = 0) -> Chain:
        """Return the input that must be a chain."""
        value = self.values.get(self.proto.input[place]) if len(self.proto.input) > place else None
        if not isinstance(value, Chain):
            raise CannotConvertError(f"its input {place} is not the result of the layers before")
        return value

    def constant(self, place: int) -> Array:
        """Return the input that must be a constant."""
        if len(self.proto.input) <= place or self.proto.input[place] not in self.constants:
            raise CannotConvertError(f"its input {place} is no constant")
        return self.constants[self.proto.input[place]]

    def is_constant(self, place: int) -> bool:
        """Return whether an input is there and a constant."""
        return len(self.proto.input) > place and self.proto.input[place] in self.constants

    def vector(self, place: int) -> Array:
        """Return an input that must be one number for all features, or one for each, in float64."""
        array = self.constant(place)
        if array.dtype.kind != "f" or array.size != max((1, *array.shape[-1:])) or array.ndim > 2:
            raise CannotConvertError(
                f"its constant is {array.dtype} of shape {array.shape}, which is no row of numbers"
            )
        return self.constants.vector(self.proto.input[place])


def _gemm(node: Node) -> Value:
    node.expect("transA", 0, 0)
    chain, W = node.chain(), node.constant(1)
    W = W if node.attribute("transB", 0) else W.T
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    has_bias = len(node.proto.input) > 2 and bool(node.proto.input[2])
    b = None
    if has_bias:
        node.vector(2)
        b = node.constant(2).reshape(-1)
    is_plain = alpha == 1 and beta == 1 and (b is None or (W.ndim == 2 and b.size == len(W) and b.dtype == W.dtype))
    chain = chain.then(_linear(node, W, b if is_plain else None), node.constants.root(node.proto.input[1]))
    if not is_plain:
        chain = chain if alpha == 1 else chain.then(Factor(node.where, np.array([float(alpha)])))
        chain = chain if b is None else chain.then(Shift(node.where, node.vector(2), float(beta)))
    return chain


def _linear(node: Node, W: Array, b: Array | None) -> Linear:
    if W.ndim != 2 or W.dtype not in (np.float32, np.float64):
        raise CannotConvertError(f"its weights are {W.dtype} of shape {W.shape!s:.100}")
    # without a bias, zeros that take no memory: what a file says twice must not be stored twice
    return Linear(node.where, W, np.broadcast_to(W.dtype.type(0), len(W)) if b is None else b)


def _matmul(node: Node) -> Value:
    if node.is_constant(0):
        raise CannotConvertError("it multiplies from the left, so that examples would be columns")
    chain = node.chain()
    W = node.constant(1)
    return chain.then(_linear(node, W.T, None), node.constants.root(node.proto.input[1]))


def _add(node: Node) -> Value:
    place = 1 if node.is_constant(1) else 0
    return node.chain(1 - place).then(Shift(node.where, node.vector(place)))


def _mul(node: Node) -> Value:
    place = 1 if node.is_constant(1) else 0
    return node.chain(1 - place).then(Factor(node.where, node.vector(place)))


def _sub(node: Node) -> Value:
    if node.is_constant(0):
        v = node.vector(0)
        if v.size == 1 and v[0] == 1:
            return Tail("complement", node.chain(1))
        return node.chain(1).then(Factor(node.where, np.array([-1.0]))).then(Shift(node.where, v))
    return node.chain().then(Shift(node.where, node.vector(1), -1.0))


def _div(node: Node) -> Value:
    return node.chain().then(Factor(node.where, node.vector(1), divides=True))


def _neg(node: Node) -> Value:
    return node.chain().then(Factor(node.where, np.array([-1.0])))


def _scaler(node: Node) -> Value:
    found = node.attribute("offset", [0.0]), node.attribute("scale", [1.0])
    if not all(one and all(isinstance(number, float) for number in one) for one in found):
        raise CannotConvertError("its offset or scale is no list of numbers")
    offset, scale = (np.array(one, np.float64) for one in found)
    return node.chain().then(Shift(node.where, offset, -1.0)).then(Factor(node.where, scale))


def _same(node: Node) -> Value:
    """Return the input: the node changes nothing while a network is used."""
    return node.values[node.proto.input[0]]


def _dropout(node: Node) -> Value:
    if len(node.proto.input) > 2 and node.proto.input[2] and bool(node.constant(2).any()):
        raise CannotConvertError("it drops neurons also while the network is used")
    return _same(node)


def _cast(node: Node) -> Value:
    value, types = _same(node), node.onnx.TensorProto
    to = node.attribute("to", types.FLOAT)
    if isinstance(value, Tail) and value.kind in ("above", "index", "label"):
        # bool has only two values, and float16 no large ones
        allowed = [types.INT32, types.INT64]
        allowed += [types.STRING] if value.kind == "label" else [types.BOOL] if value.threshold is not None else []
        if to not in allowed:
            raise CannotConvertError(f"it makes type {_type_name(node, to)} of a label")
        return Tail("index", value.chain, value.threshold) if value.kind == "above" else value
    chain = value.chain if isinstance(value, Tail) else value
    if to not in (types.FLOAT, types.DOUBLE):
        raise CannotConvertError(f"it rounds or cuts the numbers, to type {_type_name(node, to)}")
    if isinstance(chain, Chain) and chain.dtype == np.float64 and to == types.FLOAT:
        raise CannotConvertError("it rounds the float64 results of a layer to float32")
    return value


def _type_name(node: Node, to: int) -> str:
    types = node.onnx.TensorProto.DataType
    return str(types.Name(to) if to in types.values() else to)


def _flatten(node: Node) -> Value:
    node.expect("axis", 1, 1)
    chain = node.chain()
    return chain.flat(chain.size)


def _reshape(node: Node) -> Value:
    value = _same(node)
    if not isinstance(value, Chain):
        return value
    shape = node.constant(1).reshape(-1).tolist()
    if len(shape) != 2 or shape[0] not in (-1, 0) or shape == [-1, -1]:
        raise CannotConvertError(f"its shape {shape!s:.50} is not one row for each example")
    if 0 in shape and node.attribute("allowzero", 0):
        raise CannotConvertError(f"its shape {shape!s:.50} has no numbers, as allowzero is not 0")
    rows, size = shape
    if size == 0 and value.rank == 2:
        size = -1  # the second dimension stays as it is
    if size == -1 or size == value.size:
        return value.flat(value.size)
    if value.size is not None:
        raise CannotConvertError(f"its rows have {size} numbers, and those before have {value.size}")
    if rows != 0 or size < 1:
        raise CannotConvertError(
            f"its shape {shape!s:.50} may change the number of rows: expected [0, {size}] or [0, -1], "
            "since the model does not tell how many numbers a row has"
        )
    return value.flat(size)


def _squeeze(node: Node) -> Value:
    value = _same(node)
    if isinstance(value, Chain):
        raise CannotConvertError("it changes the shape of the numbers")
    return value


def _function(name: str, **expected: tuple[Any, ...]) -> Callable[[Node], Value]:
    def convert(node: Node) -> Value:
        for attribute, (default, *allowed) in expected.items():
            node.expect(attribute, default, *allowed)
        return node.chain().then(Function(node.where, name))

    return convert


def _leaky_relu(node: Node) -> Value:
    alpha = node.attribute("alpha", 0.01)
    if abs(alpha - 0.01) > 1e-8:
        raise CannotConvertError(f"alpha is {alpha!r:.50}, and mbbp has 0.01")
    return node.chain().then(Function(node.where, "leaky_relu"))


def _concat(node: Node) -> Value:
    node.expect("axis", 1, 1, -1)
    parts = [node.values.get(name) for name in node.proto.input]
    if len(parts) == 2 and isinstance(parts[0], Tail) and parts[0].kind == "complement" and parts[0].chain is parts[1]:
        return Tail("both", parts[0].chain)
    raise CannotConvertError("it joins values that are not 1 - p and p of one output")


def _argmax(node: Node) -> Value:
    node.expect("axis", 0, 1, -1)
    node.expect("select_last_index", 0, 0)
    value = _same(node)
    if isinstance(value, Tail) and value.kind == "both":
        return Tail("index", value.chain, 0.5)
    return Tail("index", node.chain())


def _greater(node: Node) -> Value:
    v = node.vector(1)
    if v.size != 1:
        raise CannotConvertError("it compares with several numbers")
    return Tail("above", node.chain(), float(v[0]))


def _label(node: Node) -> Value:
    node.expect("axis", 0, 0)
    value = node.values.get(node.proto.input[1])
    if not isinstance(value, Tail) or value.kind != "index":
        raise CannotConvertError("it selects from numbers that are no names of classes")
    return Tail("label", value.chain, value.threshold, _names(node.constant(0).reshape(-1).tolist()))


def _zip_map(node: Node) -> Value:
    value = _same(node)
    texts = [
        one.decode(errors="replace") if isinstance(one, bytes) else one
        for one in node.attribute("classlabels_strings", [])
    ]
    names = _names(texts or list(node.attribute("classlabels_int64s", [])))
    if isinstance(value, Chain):
        return Tail("probabilities", value, None, names)
    if isinstance(value, Tail) and value.kind == "both":
        return Tail("both", value.chain, None, names)
    raise CannotConvertError("its input is not the outputs of the network")


def _names(values: list[Any]) -> tuple[str, ...]:
    return tuple(str(one) for one in values)


CONVERTERS: dict[tuple[str, str], Callable[[Node], Value]] = {
    ("", "Gemm"): _gemm,
    ("", "MatMul"): _matmul,
    ("", "Add"): _add,
    ("", "Mul"): _mul,
    ("", "Sub"): _sub,
    ("", "Div"): _div,
    ("", "Neg"): _neg,
    ("", "Identity"): _same,
    ("", "Dropout"): _dropout,
    ("", "Cast"): _cast,
    ("", "Flatten"): _flatten,
    ("", "Reshape"): _reshape,
    ("", "Squeeze"): _squeeze,
    ("", "Sigmoid"): _function("sigmoid"),
    ("", "Tanh"): _function("tanh"),
    ("", "Relu"): _function("relu"),
    ("", "Exp"): _function("exp"),
    ("", "Softplus"): _function("softplus"),
    ("", "LeakyRelu"): _leaky_relu,
    ("", "Elu"): _function("elu", alpha=(1.0, 1.0)),
    ("", "Gelu"): _function("gelu", approximate=("none", "none")),
    ("", "Swish"): _function("silu", alpha=(1.0, 1.0)),
    ("", "Softmax"): _function("softmax", axis=(1, 1, -1)),
    ("", "Concat"): _concat,
    ("", "ArgMax"): _argmax,
    ("", "Greater"): _greater,
    ("", "Gather"): _label,
    ("ai.onnx.ml", "Scaler"): _scaler,
    ("ai.onnx.ml", "ArrayFeatureExtractor"): _label,
    ("ai.onnx.ml", "ZipMap"): _zip_map,
}
