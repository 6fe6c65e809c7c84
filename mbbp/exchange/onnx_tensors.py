"""The constants of an ONNX model that is not trusted: every size is checked before memory is taken."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mbbp.parameters import Array


class Constants:
    """The constants of a graph by name: initializers, and the outputs of Constant nodes.

    Each is read when it is asked for, once. No other file is ever opened: a tensor whose numbers are in another file is
    refused.
    """

    def __init__(self, onnx: Any, graph: Any) -> None:
        types = onnx.TensorProto
        self._dtypes: dict[int, tuple[np.dtype[Any], str]] = {
            types.FLOAT: (np.dtype("<f4"), "float_data"),
            types.DOUBLE: (np.dtype("<f8"), "double_data"),
            types.INT32: (np.dtype("<i4"), "int32_data"),
            types.INT64: (np.dtype("<i8"), "int64_data"),
            types.BOOL: (np.dtype("?"), "int32_data"),
        }
        self._names, self._string, self._external = types.DataType, types.STRING, types.EXTERNAL
        self._read: dict[str, Array] = {}
        self._tensors: dict[str, Any] = {}
        self._vectors: dict[str, Array] = {}
        self._roots: dict[str, str] = {}  # of constants that are the same as another one
        for tensor in graph.initializer:
            self._tensors[tensor.name] = tensor
        for node in graph.node:
            if node.op_type == "Constant" and len(node.output) == 1 and len(node.attribute) == 1:
                self._take(node.output[0], node.attribute[0])
            elif node.op_type == "Identity" and len(node.output) == len(node.input) == 1 and node.input[0] in self:
                self._roots[node.output[0]] = self.root(node.input[0])  # PyTorch says so that two constants are equal

    def _take(self, name: str, attribute: Any) -> None:
        if attribute.name == "value":
            self._tensors[name] = attribute.t
        elif attribute.name in ("value_float", "value_floats"):
            numbers = [attribute.f] if attribute.name == "value_float" else list(attribute.floats)
            self._read[name] = np.array(numbers, np.float32).reshape(() if attribute.name == "value_float" else (-1,))
        elif attribute.name in ("value_int", "value_ints"):
            whole = [attribute.i] if attribute.name == "value_int" else list(attribute.ints)
            self._read[name] = np.array(whole, np.int64).reshape(() if attribute.name == "value_int" else (-1,))

    def __contains__(self, name: str) -> bool:
        return name in self._tensors or name in self._read or name in self._roots

    def root(self, name: str) -> str:
        """Return the name of the constant that a name stands for."""
        return self._roots.get(name, name)

    def __getitem__(self, name: str) -> Array:
        """Return the numbers or the texts of a constant.

        Raises
        ------
        ValueError
            If they are in another file, of another type, or not as many as the shape says.
        """
        name = self.root(name)
        if name not in self._read:
            self._read[name] = self._array(self._tensors[name])
        return self._read[name]

    def vector(self, name: str) -> Array:
        """Return the numbers of a constant as one vector of float64, the same array for each call.

        Raises
        ------
        ValueError
            If they cannot be read.
        """
        name = self.root(name)
        if name not in self._vectors:
            with np.errstate(invalid="ignore"):  # a NaN that signals; it is refused later, as every NaN
                self._vectors[name] = self[name].reshape(-1).astype(np.float64)
        return self._vectors[name]

    def _array(self, tensor: Any) -> Array:
        where, shape = f"the constant {tensor.name!r:.100}", tuple(tensor.dims)
        if tensor.data_location == self._external or tensor.external_data:
            raise ValueError(f"{where}: expected numbers in the model itself, got numbers in another file")
        if min(shape, default=0) < 0:
            raise ValueError(f"{where}: expected sizes of at least 0, got {shape!s:.100}")
        n = math.prod(shape)
        if tensor.data_type == self._string:
            texts = tensor.string_data
            if len(texts) != n:
                raise ValueError(f"{where}: expected texts of shape {shape!s:.100}, got {len(texts)} texts")
            return np.array([one.decode() for one in texts], object).reshape(shape)
        if tensor.data_type not in self._dtypes:
            known = self._names.values()
            kind = self._names.Name(tensor.data_type) if tensor.data_type in known else f"type {tensor.data_type}"
            raise ValueError(f"{where}: expected float32, float64, int32, int64, bool or text, got {kind}")
        dtype, field = self._dtypes[tensor.data_type]
        raw = tensor.raw_data
        if raw:
            if len(raw) != n * dtype.itemsize:
                raise ValueError(f"{where}: expected {dtype} of shape {shape!s:.100}, got {len(raw)} bytes")
            numbers = np.frombuffer(raw, dtype)
        else:
            values = getattr(tensor, field)
            if len(values) != n:
                raise ValueError(f"{where}: expected {dtype} of shape {shape!s:.100}, got {len(values)} numbers")
            with np.errstate(all="ignore"):
                numbers = np.array(values).astype(dtype)
        return numbers.astype(dtype.newbyteorder("="), copy=False).reshape(shape)
