"""Each activation as a short program of ONNX operators, and as the programs that others write for it.

onnxruntime has no Erf, Softplus, Elu and LeakyRelu for float64. Its Sigmoid is 1.5e-8 for all numbers below -18 in
float32, and 0 below -37 in float64, so that outputs which differ become equal, and the largest is not found; and
silu(-50) loses all digits. So the activations are written with Exp, Log, Tanh and arithmetic, in formulas that neither
overflow nor cancel. They keep the digits of small results too: the error is a few units in the last place, and for the
tail of gelu z^2 / 2 of them, as in mbbp itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from mbbp.kernels.special import FAR, P_DOUBLE, P_SINGLE, K
from mbbp.reference.activations import LEAK

Value = str | float


class Operation(NamedTuple):
    """One operator of a program, whose inputs are names or numbers."""

    op: str
    inputs: tuple[Value, ...]
    output: str
    axis: int | None = None


class Program(NamedTuple):
    """Operators that compute an activation of the value with the name x. The last output is the result."""

    activation: str
    operations: tuple[Operation, ...]


class _Writer:
    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def __call__(self, op: str, *inputs: Value, axis: int | None = None) -> str:
        output = f"t{len(self.operations)}"
        self.operations.append(Operation(op, inputs, output, axis))
        return output


def _sigmoid(do: _Writer, z: str) -> str:
    e = do("Exp", do("Neg", do("Abs", z)))
    return do("Div", do("Where", do("Less", z, 0.0), e, 1.0), do("Add", e, 1.0))


def _silu(do: _Writer, z: str) -> str:
    return do("Mul", z, _sigmoid(do, z))


def _softplus(do: _Writer, z: str) -> str:
    """Return max(z, 0) + log1p(e) with e = exp(-|z|). By Kahan, log1p(e) = log(u) e / (u - 1) with u = 1 + e."""
    e = do("Exp", do("Neg", do("Abs", z)))
    u = do("Add", e, 1.0)
    d = do("Sub", u, 1.0)
    is_large = do("Greater", d, 0.0)
    ratio = do("Div", e, do("Where", is_large, d, 1.0))
    return do("Add", do("Max", z, 0.0), do("Where", is_large, do("Mul", do("Log", u), ratio), e))


def _elu(do: _Writer, z: str) -> str:
    """Where z <= 0, exp(z) - 1 = 2 t / (1 - t) with t = tanh(z / 2): no difference of numbers that are nearly equal."""
    t = do("Tanh", do("Mul", do("Min", z, 0.0), 0.5))
    return do("Where", do("Greater", z, 0.0), z, do("Div", do("Add", t, t), do("Sub", 1.0, t)))


def _gelu(coefficients: tuple[float, ...]) -> Callable[[_Writer, str], str]:
    def write(do: _Writer, z: str) -> str:
        """Return z Phi(z), with Phi from its smaller tail: see `mbbp.kernels.special`."""
        x = do("Abs", z)
        t = do("Div", K, do("Add", do("Min", x, FAR), K))
        q = do("Sub", 1.0, do("Add", t, t))
        polynomial: Value = coefficients[-1]
        for one in reversed(coefficients[:-1]):
            polynomial = do("Add", do("Mul", polynomial, q), one)
        e = do("Exp", do("Mul", do("Mul", x, x), -0.5))
        tail = do("Mul", e, do("Mul", t, polynomial))
        return do("Mul", z, do("Where", do("Greater", z, 0.0), do("Sub", 1.0, tail), tail))

    return write


def _leaky_relu(do: _Writer, z: str) -> str:
    return do("Max", z, do("Mul", z, LEAK))


def _single(op: str, axis: int | None = None) -> Callable[[_Writer, str], str]:
    return lambda do, z: do(op, z, axis=axis)


_WRITTEN: dict[str, Callable[[_Writer, str], str]] = {
    "sigmoid": _sigmoid,
    "tanh": _single("Tanh"),
    "relu": _single("Relu"),
    "leaky_relu": _leaky_relu,
    "silu": _silu,
    "elu": _elu,
    "softplus": _softplus,
    "exp": _single("Exp"),
    "softmax": _single("Softmax", axis=1),
}


def _program(name: str, write: Callable[[_Writer, str], str]) -> Program:
    do = _Writer()
    write(do, "x")
    return Program(name, tuple(do.operations))


@cache
def written(activation: str, dtype: str) -> Program:
    """Return the program that `to_onnx` writes for an activation, for float32 or float64. That of identity is empty."""
    if activation == "identity":
        return Program(activation, ())
    if activation == "gelu":
        return _program(activation, _gelu(P_SINGLE if dtype == "float32" else P_DOUBLE))
    return _program(activation, _WRITTEN[activation])


def _silu_of_others(do: _Writer, z: str) -> str:
    return do("Mul", z, do("Sigmoid", z))


def _gelu_of_torch(do: _Writer, z: str) -> str:
    return do("Mul", do("Mul", z, do("Add", do("Erf", do("Div", z, 2**0.5)), 1.0)), 0.5)


def _gelu_with_factor(do: _Writer, z: str) -> str:
    return do("Mul", do("Mul", z, do("Add", do("Erf", do("Mul", z, 0.5**0.5)), 1.0)), 0.5)


def _gelu_of_half(do: _Writer, z: str) -> str:
    return do("Mul", do("Mul", z, 0.5), do("Add", do("Erf", do("Mul", z, 0.5**0.5)), 1.0))


def _gelu_of_half_last(do: _Writer, z: str) -> str:
    return do("Mul", z, do("Mul", do("Add", do("Erf", do("Div", z, 2**0.5)), 1.0), 0.5))


def _relu_by_max(do: _Writer, z: str) -> str:
    return do("Max", z, 0.0)


@cache
def readable() -> tuple[Program, ...]:
    """Return the programs of several operators that are read: those of `to_onnx`, and those of others."""
    names = [*_WRITTEN, "gelu"]
    ours = {written(name, dtype) for name in names for dtype in ("float32", "float64")}
    theirs = [_program("gelu", one) for one in (_gelu_of_torch, _gelu_with_factor, _gelu_of_half, _gelu_of_half_last)]
    theirs += [_program("silu", _silu_of_others), _program("relu", _relu_by_max)]
    found = [*ours, *theirs]
    return tuple(one for one in found if len(one.operations) > 1 or one.operations[0].op == "Max")
