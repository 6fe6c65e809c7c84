"""What products with second derivatives need of activations and costs: a kernel each, where it is not 0 or 1.

Of an activation, E = E * sigma''(Z) * T, for an error E and the derivative T of Z along a direction. Of softmax, whose
outputs depend on all of Z, this is the derivative of its Jacobian along T, times E.

Of a cost, the error at the outputs changes along a direction, if the outputs A change by T. The kernel sets T to this
change: d^2 C / da^2 T for a cost whose error is not fused, else the change of the whole error.

The twins are `name_second_derivative` in `mbbp.reference`; for softmax `softmax_second_derivative_product`, and
`name_error_tangent` for fused costs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from mbbp.kernels.activations import sigmoid_of
from mbbp.kernels.costs import Outputs
from mbbp.kernels.gemm.matrix import stretches
from mbbp.kernels.lowlevel.compiling import CONTRACTING, FAST, ZERO, inlined, scalars
from mbbp.kernels.lowlevel.freezing import compiled_once
from mbbp.kernels.lowlevel.kernel import Kernel, kernel
from mbbp.kernels.lowlevel.records import Int, Numbers, record
from mbbp.kernels.lowlevel.views import part
from mbbp.kernels.special import normal


@record
class Bend(NamedTuple):
    """A layer's z, a, error and tangent of z for some examples: (n, m) matrices in the order of the layer."""

    z: Numbers
    a: Numbers
    error: Numbers
    tangent: Numbers
    n: Int
    m: Int
    rs: Int  # from neuron to neuron
    cs: Int  # from example to example


@inlined
def _vectors(bend, k, size):
    """Return z, a, error and tangent of a stretch of neighbouring numbers."""
    start = k * bend.rs
    z, a = part(bend.z, start, size), part(bend.a, start, size)
    return z, a, part(bend.error, start, size), part(bend.tangent, start, size)


@kernel(Bend, fastmath=FAST)
def _sigmoid(at):
    """Sigma'' = a (1 - a) (1 - 2 a)."""
    bend = at[0]
    one = part(bend.z, ZERO, ZERO).dtype.type(1)
    count, size = stretches(bend)
    for k in range(count):
        _, a, e, t = _vectors(bend, k, size)
        for i in range(size):
            e[i] *= a[i] * (one - a[i]) * (one - a[i] - a[i]) * t[i]
    return ZERO


@kernel(Bend, fastmath=FAST)
def _tanh(at):
    """Sigma'' = -2 a (1 - a^2)."""
    bend = at[0]
    one = part(bend.z, ZERO, ZERO).dtype.type(1)
    count, size = stretches(bend)
    for k in range(count):
        _, a, e, t = _vectors(bend, k, size)
        for i in range(size):
            e[i] *= -(a[i] + a[i]) * (one - a[i] * a[i]) * t[i]
    return ZERO


@kernel(Bend, fastmath=CONTRACTING)
def _gelu(at):
    """Sigma'' = phi(z) (2 - z^2), with the normal density phi."""
    bend = at[0]
    two = part(bend.z, ZERO, ZERO).dtype.type(2)
    count, size = stretches(bend)
    for k in range(count):
        z, _, e, t = _vectors(bend, k, size)
        for i in range(size):
            _, density = normal(z[i])
            # a density of 0 times the square of a large z would be NaN
            e[i] *= (two * density - (z[i] * density) * z[i]) * t[i]
    return ZERO


@kernel(Bend, fastmath=CONTRACTING)
def _silu(at):
    """Sigma'' = s (1 - s) (2 + z (1 - 2 s)), with the sigmoid s of z."""
    bend = at[0]
    number = part(bend.z, ZERO, ZERO).dtype.type
    one, two = number(1), number(2)
    count, size = stretches(bend)
    for k in range(count):
        z, _, e, t = _vectors(bend, k, size)
        for i in range(size):
            s, rest_of_s = sigmoid_of(z[i]), sigmoid_of(-z[i])
            slope = s * rest_of_s
            e[i] *= (two * slope + (z[i] * slope) * (one - s - s)) * t[i]
    return ZERO


@kernel(Bend, fastmath=FAST)
def _elu(at):
    """Sigma'' = 0 above 0, else exp(z) = a + 1."""
    bend = at[0]
    number = part(bend.z, ZERO, ZERO).dtype.type
    zero, one = number(0), number(1)
    count, size = stretches(bend)
    for k in range(count):
        _, a, e, t = _vectors(bend, k, size)
        for i in range(size):
            e[i] *= (zero if a[i] > 0 else a[i] + one) * t[i]
    return ZERO


@kernel(Bend, fastmath=CONTRACTING)
def _softplus(at):
    """Sigma'' = s (1 - s), with the sigmoid s of z."""
    bend = at[0]
    count, size = stretches(bend)
    for k in range(count):
        z, _, e, t = _vectors(bend, k, size)
        for i in range(size):
            e[i] *= sigmoid_of(z[i]) * sigmoid_of(-z[i]) * t[i]
    return ZERO


@kernel(Bend, fastmath=FAST)
def _exp(at):
    """Sigma'' = a."""
    bend = at[0]
    count, size = stretches(bend)
    for k in range(count):
        _, a, e, t = _vectors(bend, k, size)
        for i in range(size):
            e[i] *= a[i] * t[i]
    return ZERO


@kernel(Bend)
def _softmax(at):
    """E_j = R_j (E_j - s) - a_j sum_k R_k E_k, with R = J T, J = diag(a) - a a^T and s = sum_k a_k E_k."""
    bend = at[0]
    n, rs, cs, a, e, t = bend.n, bend.rs, bend.cs, bend.a, bend.error, bend.tangent
    for i in range(bend.m):
        first = i * cs
        mean_of_t = mean_of_e = part(a, ZERO, ZERO).dtype.type(0)
        for j in range(n):
            at_j = first + j * rs
            mean_of_t += a[at_j] * t[at_j]
            mean_of_e += a[at_j] * e[at_j]
        total = mean_of_t * 0
        for j in range(n):
            at_j = first + j * rs
            total += a[at_j] * (t[at_j] - mean_of_t) * e[at_j]
        for j in range(n):
            at_j = first + j * rs
            e[at_j] = a[at_j] * ((t[at_j] - mean_of_t) * (e[at_j] - mean_of_e) - total)
    return ZERO


OF_ACTIVATIONS: dict[str, Kernel | None] = {
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": None,
    "leaky_relu": None,
    "gelu": _gelu,
    "silu": _silu,
    "elu": _elu,
    "softplus": _softplus,
    "identity": None,
    "exp": _exp,
    "softmax": _softmax,
}
"""For each built-in activation its kernel; None where sigma'' is 0."""


@kernel(Outputs)
def _no_curvature(at):
    """T = 0: the cost is linear on either side of its kink."""
    outputs = at[0]
    count, size = stretches(outputs)
    for k in range(count):
        t = part(outputs.delta, k * outputs.rs, size)
        for i in range(size):
            t[i] = 0
    return 0.0


@kernel(Outputs)
def _huber(at):
    """T = 0 where |a - y| > delta."""
    outputs = at[0]
    delta = part(outputs.a, ZERO, ZERO).dtype.type(outputs.parameter)
    count, size = stretches(outputs)
    for k in range(count):
        start = k * outputs.rs
        a, y, t = part(outputs.a, start, size), part(outputs.y, start, size), part(outputs.delta, start, size)
        for i in range(size):
            t[i] *= abs(a[i] - y[i]) <= delta
    return 0.0


@kernel(Outputs)
def _squared_hinge(at):
    """T = 2 t^2 T where 1 - t a > 0, else 0, with t = 2 y - 1."""
    outputs = at[0]
    number = part(outputs.a, ZERO, ZERO).dtype.type
    zero, one, two = number(0), number(1), number(2)
    count, size = stretches(outputs)
    for k in range(count):
        start = k * outputs.rs
        a, y, tangent = part(outputs.a, start, size), part(outputs.y, start, size), part(outputs.delta, start, size)
        for i in range(size):
            t = two * y[i] - one
            tangent[i] *= two * t * t if t * a[i] < one else zero
    return 0.0


@kernel(Outputs)
def _log_likelihood(at):
    """T = T sum_j y_j: the change of the error a sum_j y_j - y."""
    outputs = at[0]
    n, rs, cs, y, t = outputs.n, outputs.rs, outputs.cs, outputs.y, outputs.delta
    for i in range(outputs.m):
        total = part(y, ZERO, ZERO).dtype.type(0)
        for j in range(n):
            total += y[i * cs + j * rs]
        for j in range(n):
            t[i * cs + j * rs] *= total
    return 0.0


OF_COSTS: dict[str, Kernel | None] = {
    "quadratic": None,
    "cross_entropy": None,
    "log_likelihood": _log_likelihood,
    "poisson": None,
    "huber": _huber,
    "absolute": _no_curvature,
    "quantile": _no_curvature,
    "squared_hinge": _squared_hinge,
}
"""For each built-in cost its kernel; None where the error changes as the outputs do."""


@compiled_once
def custom_activation(second_derivative: Callable[[float], float]) -> Kernel:
    """Return the kernel of a custom activation, from the scalar function sigma''(z)."""
    second = scalars().compiled_scalar(second_derivative)

    def bend_by_custom(at: Any) -> Any:
        bend = at[0]
        count, size = stretches(bend)
        for k in range(count):
            z, _, e, t = _vectors(bend, k, size)
            for i in range(size):
                e[i] *= second(z[i]) * t[i]
        return ZERO

    return Kernel(bend_by_custom, Bend, CONTRACTING, is_cached=False)


@compiled_once
def custom_cost(second_derivative: Callable[[float, float], float]) -> Kernel:
    """Return the kernel of a custom cost, from the scalar function d^2 c(a, y) / da^2."""
    second = scalars().compiled_scalar(second_derivative)

    def change_by_custom(at: Any) -> Any:
        outputs = at[0]
        count, size = stretches(outputs)
        for k in range(count):
            start = k * outputs.rs
            a, y, t = part(outputs.a, start, size), part(outputs.y, start, size), part(outputs.delta, start, size)
            for i in range(size):
                t[i] *= second(a[i], y[i])
        return 0.0

    return Kernel(change_by_custom, Outputs, FAST, is_cached=False)
