"""The activations: for each one kernel that sets A = sigma(Z), and one that sets D = D * sigma'(Z).

Both take a layer's block of the mini-batch. The derivative is taken from the outputs A where that is cheaper.

To add an activation, write its two kernels here and add an entry to `BUILT_IN`. Write its NumPy twins `name` and
`name_prime` in `mbbp.reference.activations`, and let `mbbp.reference` export them. Write it in C in
`mbbp.exchange.c.activations`. All the rest, the tests included, reads this table.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from mbbp.kernels.exponential import exp, exp_nonpositive, expm1_nonpositive, tanh
from mbbp.kernels.gemm.matrix import stretches
from mbbp.kernels.lowlevel.compiling import CONTRACTING, FAST, ZERO, inlined, scalars
from mbbp.kernels.lowlevel.freezing import compiled_once
from mbbp.kernels.lowlevel.kernel import Kernel, kernel
from mbbp.kernels.lowlevel.records import Int, Numbers, record
from mbbp.kernels.lowlevel.views import matrix, part
from mbbp.kernels.special import normal, softplus

LEAK = 0.01


@record
class Block(NamedTuple):
    """A layer's z, a and delta for some examples: (n, m) matrices in the order of the layer (see gemm/matrix.py)."""

    z: Numbers
    a: Numbers
    delta: Numbers
    n: Int
    m: Int
    rs: Int  # from neuron to neuron
    cs: Int  # from example to example
    spare: Numbers  # room for SPARE_ROWS m numbers


class ActivationKernels(NamedTuple):
    """The two kernels of an activation, and what is told of it."""

    activate: Kernel
    multiply_by_derivative: Kernel | None  # None where there is nothing to do
    formula: str = ""
    kinks: tuple[float, ...] = ()  # the z where sigma' jumps


@inlined
def _vectors(block, k, size):
    """Return z, a and delta of a stretch of neighbouring numbers."""
    start = k * block.rs
    return part(block.z, start, size), part(block.a, start, size), part(block.delta, start, size)


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
    block = at[0]
    count, size = stretches(block)
    for k in range(count):
        z, a, _ = _vectors(block, k, size)
        for i in range(size):
            a[i] = sigmoid_of(z[i])
    return ZERO


@kernel(Block, fastmath=FAST)
def _sigmoid_derivative(at):
    block = at[0]
    number = part(block.z, ZERO, ZERO).dtype.type
    one = number(1)
    count, size = stretches(block)
    for k in range(count):
        _, a, d = _vectors(block, k, size)
        for i in range(size):
            d[i] *= a[i] * (one - a[i])
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _tanh(at):
    block = at[0]
    count, size = stretches(block)
    for k in range(count):
        z, a, _ = _vectors(block, k, size)
        for i in range(size):
            a[i] = tanh(z[i])
    return ZERO


@kernel(Block, fastmath=FAST)
def _tanh_derivative(at):
    block = at[0]
    number = part(block.z, ZERO, ZERO).dtype.type
    one = number(1)
    count, size = stretches(block)
    for k in range(count):
        _, a, d = _vectors(block, k, size)
        for i in range(size):
            d[i] *= one - a[i] * a[i]
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _relu(at):
    block = at[0]
    number = part(block.z, ZERO, ZERO).dtype.type
    zero = number(0)
    count, size = stretches(block)
    for k in range(count):
        z, a, _ = _vectors(block, k, size)
        for i in range(size):
            a[i] = z[i] if z[i] > 0 else z[i] * zero  # 0, but NaN stays NaN
    return ZERO


@kernel(Block, fastmath=FAST)
def _relu_derivative(at):
    block = at[0]
    number = part(block.z, ZERO, ZERO).dtype.type
    zero, one = number(0), number(1)
    count, size = stretches(block)
    for k in range(count):
        z, _, d = _vectors(block, k, size)
        for i in range(size):
            d[i] *= one if z[i] > 0 else zero
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _leaky_relu(at):
    block = at[0]
    number = part(block.z, ZERO, ZERO).dtype.type
    leak = number(LEAK)
    count, size = stretches(block)
    for k in range(count):
        z, a, _ = _vectors(block, k, size)
        for i in range(size):
            a[i] = z[i] if z[i] > 0 else z[i] * leak
    return ZERO


@kernel(Block, fastmath=FAST)
def _leaky_relu_derivative(at):
    block = at[0]
    number = part(block.z, ZERO, ZERO).dtype.type
    leak, one = number(LEAK), number(1)
    count, size = stretches(block)
    for k in range(count):
        z, _, d = _vectors(block, k, size)
        for i in range(size):
            d[i] *= one if z[i] > 0 else leak
    return ZERO


@kernel(Block)
def _identity(at):
    block = at[0]
    count, size = stretches(block)
    for k in range(count):
        z, a, _ = _vectors(block, k, size)
        for i in range(size):
            a[i] = z[i]
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _gelu(at):
    """Set A = Z Phi(Z), with the normal distribution Phi."""
    block = at[0]
    count, size = stretches(block)
    for k in range(count):
        z, a, _ = _vectors(block, k, size)
        for i in range(size):
            distribution, _ = normal(z[i])
            a[i] = z[i] * distribution
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _gelu_derivative(at):
    block = at[0]
    count, size = stretches(block)
    for k in range(count):
        z, _, d = _vectors(block, k, size)
        for i in range(size):
            distribution, density = normal(z[i])
            d[i] *= distribution + z[i] * density
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _silu(at):
    block = at[0]
    count, size = stretches(block)
    for k in range(count):
        z, a, _ = _vectors(block, k, size)
        for i in range(size):
            a[i] = z[i] * sigmoid_of(z[i])
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _silu_derivative(at):
    block = at[0]
    number = part(block.z, ZERO, ZERO).dtype.type
    one = number(1)
    count, size = stretches(block)
    for k in range(count):
        z, a, d = _vectors(block, k, size)
        for i in range(size):
            s = sigmoid_of(z[i])
            d[i] *= s + a[i] * (one - s)
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _elu(at):
    block = at[0]
    number = part(block.z, ZERO, ZERO).dtype.type
    zero = number(0)
    count, size = stretches(block)
    for k in range(count):
        z, a, _ = _vectors(block, k, size)
        for i in range(size):
            below = expm1_nonpositive(zero if z[i] > 0 else z[i])
            a[i] = z[i] if z[i] > 0 else below
    return ZERO


@kernel(Block, fastmath=FAST)
def _elu_derivative(at):
    block = at[0]
    number = part(block.z, ZERO, ZERO).dtype.type
    one = number(1)
    count, size = stretches(block)
    for k in range(count):
        _, a, d = _vectors(block, k, size)
        for i in range(size):
            d[i] *= one if a[i] > 0 else a[i] + one
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _softplus(at):
    block = at[0]
    count, size = stretches(block)
    for k in range(count):
        z, a, _ = _vectors(block, k, size)
        for i in range(size):
            a[i] = softplus(z[i])
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _softplus_derivative(at):
    """D = D sigma(Z), with the sigmoid sigma: it is 1 - exp(-A), which needs no division."""
    block = at[0]
    count, size = stretches(block)
    for k in range(count):
        _, a, d = _vectors(block, k, size)
        for i in range(size):
            d[i] *= -expm1_nonpositive(-a[i])
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _exp(at):
    block = at[0]
    count, size = stretches(block)
    for k in range(count):
        z, a, _ = _vectors(block, k, size)
        for i in range(size):
            a[i] = exp(z[i])
    return ZERO


@kernel(Block, fastmath=FAST)
def _exp_derivative(at):
    block = at[0]
    count, size = stretches(block)
    for k in range(count):
        _, a, d = _vectors(block, k, size)
        for i in range(size):
            d[i] *= a[i]
    return ZERO


@kernel(Block, fastmath=CONTRACTING)
def _softmax(at):
    """Set A = softmax of each column of Z, from its differences to the largest entry so that nothing overflows.

    `spare` is written.
    """
    block = at[0]
    if block.cs == 1:
        _softmax_of_rows(block)
    else:
        _softmax_of_columns(block)
    return ZERO


@inlined
def _softmax_of_columns(block):
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


@inlined
def _softmax_of_rows(block):
    n, m, rs = block.n, block.m, block.rs
    largest, total = part(block.spare, ZERO, m), part(block.spare, m, m)
    for i in range(m):
        largest[i] = block.z[i]
        total[i] = 0
    for j in range(1, n):
        z = part(block.z, j * rs, m)
        for i in range(m):
            largest[i] = max(largest[i], z[i])
    for j in range(n):
        z, a = part(block.z, j * rs, m), part(block.a, j * rs, m)
        for i in range(m):
            a[i] = exp_nonpositive(z[i] - largest[i])
            total[i] += a[i]
    for i in range(m):
        total[i] = total.dtype.type(1) / total[i]
    for j in range(n):
        a = part(block.a, j * rs, m)
        for i in range(m):
            a[i] *= total[i]


@kernel(Block, fastmath=FAST)
def _softmax_derivative(at):
    """D = J^T D for the Jacobian J_jk = a_j (1[j = k] - a_k) of each column."""
    block = at[0]
    rs, cs, a, d = block.rs, block.cs, block.a, block.delta
    for i in range(block.m):
        mean = part(a, ZERO, ZERO).dtype.type(0)
        for j in range(block.n):
            mean += a[j * rs + i * cs] * d[j * rs + i * cs]
        for j in range(block.n):
            d[j * rs + i * cs] = a[j * rs + i * cs] * (d[j * rs + i * cs] - mean)
    return ZERO


BUILT_IN = {
    "sigmoid": ActivationKernels(_sigmoid, _sigmoid_derivative, "1 / (1 + exp(-z))"),
    "tanh": ActivationKernels(_tanh, _tanh_derivative, "tanh(z)"),
    "relu": ActivationKernels(_relu, _relu_derivative, "max(z, 0)", kinks=(0.0,)),
    "leaky_relu": ActivationKernels(_leaky_relu, _leaky_relu_derivative, "max(z, 0.01 z)", kinks=(0.0,)),
    "gelu": ActivationKernels(_gelu, _gelu_derivative, "z (1 + erf(z / sqrt 2)) / 2"),
    "silu": ActivationKernels(_silu, _silu_derivative, "z / (1 + exp(-z))"),
    "elu": ActivationKernels(_elu, _elu_derivative, "z if z > 0, else exp(z) - 1"),
    "softplus": ActivationKernels(_softplus, _softplus_derivative, "ln(1 + exp(z))"),
    "identity": ActivationKernels(_identity, None, "z"),
    "exp": ActivationKernels(_exp, _exp_derivative, "exp(z)"),
    "softmax": ActivationKernels(_softmax, _softmax_derivative, "exp(z_j) / sum_k exp(z_k)"),
}


@compiled_once
def custom(function: Callable[[float], float], derivative: Callable[[float], float]) -> ActivationKernels:
    """Return the kernels of a custom activation, from the scalar functions sigma(z) and sigma'(z)."""
    compiled_scalar = scalars().compiled_scalar
    sigma, sigma_prime = compiled_scalar(function), compiled_scalar(derivative)

    def activate(at: Any) -> Any:
        block = at[0]
        count, size = stretches(block)
        for k in range(count):
            z, a, _ = _vectors(block, k, size)
            for i in range(size):
                a[i] = sigma(z[i])
        return ZERO

    def multiply_by_derivative(at: Any) -> Any:
        block = at[0]
        count, size = stretches(block)
        for k in range(count):
            z, _, d = _vectors(block, k, size)
            for i in range(size):
                d[i] *= sigma_prime(z[i])
        return ZERO

    forward, backward = (Kernel(f, Block, CONTRACTING, is_cached=False) for f in (activate, multiply_by_derivative))
    return ActivationKernels(forward, backward)
