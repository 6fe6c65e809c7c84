"""The activations: for each one kernel that sets A = sigma(Z), and one that sets D = D * sigma'(Z).

Both take a layer's block of the mini-batch. The derivative is taken from the outputs A where that is cheaper.

To add an activation, write its two kernels here and add an entry to `BUILT_IN`. Write its NumPy twins `name` and
`name_prime` in `mbbp.reference`. All the rest, the tests included, reads this table.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from mbbp.kernels.exponential import exp_nonpositive, tanh
from mbbp.kernels.lowlevel.compiling import CONTRACTING, FAST, ZERO, inlined
from mbbp.kernels.lowlevel.freezing import compiled_once
from mbbp.kernels.lowlevel.records import Int, Kernel, Numbers, kernel, record
from mbbp.kernels.lowlevel.scalars import compiled_scalar
from mbbp.kernels.lowlevel.views import matrix, part

LEAK = 0.01


@record
class Block(NamedTuple):
    """A layer's z, a and delta for some examples: each an (n, m) matrix, one example per column."""

    z: Numbers
    a: Numbers
    delta: Numbers
    n: Int
    m: Int


class ActivationKernels(NamedTuple):
    """The two kernels of an activation, and what is told of it."""

    activate: Kernel
    multiply_by_derivative: Kernel | None  # None where there is nothing to do
    formula: str = ""
    kinks: tuple[float, ...] = ()  # the z where sigma' jumps


@inlined
def _vectors(block):
    """Return z, a and delta, the numbers of all examples one after the other."""
    size = block.n * block.m
    return part(block.z, ZERO, size), part(block.a, ZERO, size), part(block.delta, ZERO, size)


@inlined
def sigmoid_of(z):
    """Return sigma(z) of one number."""
    e = exp_nonpositive(-abs(z))  # of a negative number: it never overflows
    one = type(z)(1)
    return (one if z >= 0 else e) / (one + e)


@inlined
def sigmoid_prime_of(z):
    """Return sigma'(z) of one number."""
    e = exp_nonpositive(-abs(z))
    one = type(z)(1)
    return e / ((one + e) * (one + e))


@kernel(Block, fastmath=CONTRACTING)
def _sigmoid(at):
    z, a, _ = _vectors(at[0])
    for i in range(z.size):
        a[i] = sigmoid_of(z[i])
    return ZERO


@kernel(Block, fastmath=FAST)
def _sigmoid_derivative(at):
    _, a, d = _vectors(at[0])
    one = a.dtype.type(1)
    for i in range(d.size):
        d[i] *= a[i] * (one - a[i])
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _tanh(at):
    z, a, _ = _vectors(at[0])
    for i in range(z.size):
        a[i] = tanh(z[i])
    return ZERO


@kernel(Block, fastmath=FAST)
def _tanh_derivative(at):
    _, a, d = _vectors(at[0])
    one = a.dtype.type(1)
    for i in range(d.size):
        d[i] *= one - a[i] * a[i]
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _relu(at):
    z, a, _ = _vectors(at[0])
    zero = z.dtype.type(0)
    for i in range(z.size):
        a[i] = z[i] if z[i] > 0 else z[i] * zero  # 0, but NaN stays NaN
    return ZERO


@kernel(Block, fastmath=FAST)
def _relu_derivative(at):
    z, _, d = _vectors(at[0])
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for i in range(d.size):
        d[i] *= one if z[i] > 0 else zero
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _leaky_relu(at):
    z, a, _ = _vectors(at[0])
    leak = z.dtype.type(LEAK)
    for i in range(z.size):
        a[i] = z[i] if z[i] > 0 else z[i] * leak
    return ZERO


@kernel(Block, fastmath=FAST)
def _leaky_relu_derivative(at):
    z, _, d = _vectors(at[0])
    leak, one = z.dtype.type(LEAK), z.dtype.type(1)
    for i in range(d.size):
        d[i] *= one if z[i] > 0 else leak
    return ZERO


@kernel(Block)
def _identity(at):
    z, a, _ = _vectors(at[0])
    for i in range(z.size):
        a[i] = z[i]
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _softmax(at):
    """Set A = softmax of each column of Z, from its differences to the largest entry so that nothing overflows."""
    block = at[0]
    n, m = block.n, block.m
    Z, A = matrix(block.z, ZERO, n, m), matrix(block.a, ZERO, n, m)
    for i in range(m):
        largest = Z[0, i]
        for j in range(1, n):
            largest = max(largest, Z[j, i])
        for j in range(n):
            A[j, i] = Z[j, i] - largest
    a = part(block.a, ZERO, n * m)
    for i in range(a.size):  # of all columns in one loop, so that it runs in vector lanes however short they are
        a[i] = exp_nonpositive(a[i])
    for i in range(m):
        total = Z.dtype.type(0)
        for j in range(n):
            total += A[j, i]
        factor = Z.dtype.type(1) / total
        for j in range(n):
            A[j, i] *= factor
    return ZERO


@kernel(Block, fastmath=FAST)
def _softmax_derivative(at):
    """D = J^T D for the Jacobian J_jk = a_j (1[j = k] - a_k) of each column."""
    block = at[0]
    n, m = block.n, block.m
    A, D = matrix(block.a, ZERO, n, m), matrix(block.delta, ZERO, n, m)
    for i in range(m):
        mean = A.dtype.type(0)
        for j in range(n):
            mean += A[j, i] * D[j, i]
        for j in range(n):
            D[j, i] = A[j, i] * (D[j, i] - mean)
    return ZERO


BUILT_IN = {
    "sigmoid": ActivationKernels(_sigmoid, _sigmoid_derivative, "1 / (1 + exp(-z))"),
    "tanh": ActivationKernels(_tanh, _tanh_derivative, "tanh(z)"),
    "relu": ActivationKernels(_relu, _relu_derivative, "max(z, 0)", kinks=(0.0,)),
    "leaky_relu": ActivationKernels(_leaky_relu, _leaky_relu_derivative, "max(z, 0.01 z)", kinks=(0.0,)),
    "identity": ActivationKernels(_identity, None, "z"),
    "softmax": ActivationKernels(_softmax, _softmax_derivative, "exp(z_j) / sum_k exp(z_k)"),
}


@compiled_once
def custom(function: Callable[[float], float], derivative: Callable[[float], float]) -> ActivationKernels:
    """Return the kernels of a custom activation, from the scalar functions sigma(z) and sigma'(z)."""
    sigma, sigma_prime = compiled_scalar(function), compiled_scalar(derivative)

    def activate(at: Any) -> Any:
        z, a, _ = _vectors(at[0])
        for i in range(z.size):
            a[i] = sigma(z[i])
        return ZERO

    def multiply_by_derivative(at: Any) -> Any:
        z, _, d = _vectors(at[0])
        for i in range(d.size):
            d[i] *= sigma_prime(z[i])
        return ZERO

    forward, backward = (Kernel(f, Block, CONTRACTING, is_cached=False) for f in (activate, multiply_by_derivative))
    return ActivationKernels(forward, backward)
