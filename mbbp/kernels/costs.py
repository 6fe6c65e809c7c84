"""The costs: for each one kernel that sums C_x over examples, and one for the output error.

Both take the output layer's block of the mini-batch and its targets. Sums are taken in float64 whatever the dtype.

To add a cost, write its two kernels here and add an entry to `BUILT_IN`. Write its NumPy twins `name` and
`name_gradient` in `mbbp.reference.costs`, and `name_error` if its output error is fused, and let `mbbp.reference`
export them. All the rest, the tests included, reads this table.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mbbp.kernels.exponential import exp_nonpositive
from mbbp.kernels.gemm.matrix import stretches
from mbbp.kernels.lowlevel.compiling import FAST, ZERO, inlined, scalars
from mbbp.kernels.lowlevel.freezing import compiled_once
from mbbp.kernels.lowlevel.kernel import Kernel, kernel
from mbbp.kernels.lowlevel.records import Int, Numbers, Real, record
from mbbp.kernels.lowlevel.views import matrix, part

SMALLEST = 1e-30  # outputs under it have lost digits, in float32
FACTORS = 8  # of which each may be SMALLEST in a product of float64 that is SMALLEST already


@record(returns=Real)
class Outputs(NamedTuple):
    """The output layer's z, a, targets y and delta for some examples: (n, m) matrices in the order of the layer."""

    z: Numbers
    a: Numbers
    y: Numbers
    delta: Numbers
    n: Int
    m: Int
    rs: Int  # from neuron to neuron
    cs: Int  # from example to example
    spare: Numbers  # room for SPARE_ROWS m numbers
    parameter: Real  # of the cost; of a logarithm the least probability that it is taken of; 0 where it has none
    threshold: Real  # a single output above it means the label 1


class Parameter(NamedTuple):
    """A number that a family of costs has: its name, its default, and its bound; it is above 0."""

    name: str
    default: float
    below: float = math.inf


class CostKernels(NamedTuple):
    """The two kernels of a cost, and what is told of it.

    Attributes
    ----------
    total : Kernel
        Returns the sum of C_x over the examples.
    output_error : Kernel
        Sets delta to grad_a C, or to the whole output error if it is fused; returns 0.
    is_fused : bool
        Whether the output error contains sigma' already: the cost cancels it by hand, so that no digits are lost.
    formula : str
        C_x.
    required_activation : str or None
        The only output activation that the cost is defined for.
    reason : str
        Why.
    targets : {"numbers", "probabilities", "counts", "classes"}
        What the cost is defined for: any numbers, numbers from 0 to 1, numbers of at least 0, or 0 and 1.
    parameter : Parameter or None
        What the kernels read as `Outputs.parameter`.
    usual_activation : str or None
        The output activation that a cost defined for all of them is meant for.
    threshold : float
        A single output above it means the label 1.
    kinks : tuple of float
        The differences a_j - y_j at which the gradient jumps.
    """

    total: Kernel
    output_error: Kernel
    is_fused: bool
    formula: str = ""
    required_activation: str | None = None
    reason: str = ""
    targets: str = "numbers"
    parameter: Parameter | None = None
    usual_activation: str | None = None
    threshold: float = 0.5
    kinks: tuple[float, ...] = ()


@inlined
def _vectors(outputs, k, size):
    """Return z, a, y and delta of a stretch of neighbouring numbers."""
    start = k * outputs.rs
    z, a = part(outputs.z, start, size), part(outputs.a, start, size)
    return z, a, part(outputs.y, start, size), part(outputs.delta, start, size)


@kernel(Outputs, fastmath=FAST)
def _quadratic(at):
    """Sum over 1/2 (a_j - y_j)^2."""
    outputs = at[0]
    total = 0.0
    count, size = stretches(outputs)
    for k in range(count):
        _, a, y, _ = _vectors(outputs, k, size)
        for i in range(size):
            difference = np.float64(a[i] - y[i])  # to Numba, float() leaves a float32 what it is
            total += difference * difference
    return 0.5 * total


@kernel(Outputs, fastmath=FAST)
def _cross_entropy(at):
    """Sum over ln(1 + exp(z_j)) - y_j z_j, with one logarithm for the product of many 1 + exp(-|z_j|)."""
    outputs = at[0]
    total, least = 0.0, outputs.parameter
    number = part(outputs.z, ZERO, ZERO).dtype.type
    limit = number(math.log((1.0 - least) / least) if least > 0 else math.inf)  # the |z| of the least probability
    count, size = stretches(outputs)
    for k in range(count):
        z, _, y, _ = _vectors(outputs, k, size)
        for start in range(0, size, 512):  # each factor is 1 to 2, so this is far from overflow
            n = min(512, size - start)
            z_part, y_part = part(z, start, n), part(y, start, n)
            product = 1.0
            for j in range(n):
                z_j = limit if z_part[j] > limit else z_part[j]  # in this order, so that NaN stays NaN
                z_j = -limit if z_j < -limit else z_j
                total += max(z_j, 0) - y_part[j] * z_j
                product *= 1.0 + np.float64(exp_nonpositive(-abs(z_j)))
            total += math.log(product)
    return total


@inlined
def _from_weighted_inputs(outputs, j, i):
    """Return -ln a_j of a softmax column whose a_j is too small for its logarithm."""
    z, rs, start = outputs.z, outputs.rs, i * outputs.cs
    largest = z[start]
    for k in range(1, outputs.n):
        largest = max(largest, z[start + k * rs])
    whole = 0.0
    for k in range(outputs.n):
        whole += math.exp(z[start + k * rs] - largest)
    return largest - z[start + j * rs] + math.log(whole)


@kernel(Outputs, fastmath=FAST)
def _log_likelihood(at):
    """Minus the sum over y_j ln a_j, with one logarithm for the product of several a_j. `spare` is written."""
    outputs = at[0]
    if outputs.cs == 1 and _chooses_in_rows(outputs):
        return -_log_of_product(part(outputs.spare, ZERO, outputs.m))
    rs, cs = outputs.rs, outputs.cs
    total, product, least = 0.0, 1.0, part(outputs.a, ZERO, ZERO).dtype.type(outputs.parameter)
    for i in range(outputs.m):
        for j in range(outputs.n):
            target, output = outputs.y[j * rs + i * cs], outputs.a[j * rs + i * cs]
            output = least if output < least else output
            if target == 0:
                total += target * output  # nothing, or NaN
                continue
            if output <= SMALLEST:
                total += target * _from_weighted_inputs(outputs, j, i)
            elif target == 1:
                product *= np.float64(output)
                if product < SMALLEST:  # then one more factor is far from underflow
                    total -= math.log(product)
                    product = 1.0
            else:
                total -= target * math.log(output)
    return total - math.log(product)


@inlined
def _chooses_in_rows(outputs):
    """Write to `spare` the output a_j of each example that its unit vector y names, neuron by neuron.

    Return whether all targets are unit vectors, and all these outputs are large enough for a logarithm.
    """
    m = outputs.m
    chosen, sums, squares = (part(outputs.spare, ZERO, m), part(outputs.spare, m, m), part(outputs.spare, 2 * m, m))
    for i in range(m):
        chosen[i], sums[i], squares[i] = 0, 0, 0
    for j in range(outputs.n):
        _, a, y, _ = _vectors(outputs, j, m)
        for i in range(m):
            chosen[i] += y[i] * a[i]
            sums[i] += y[i]
            squares[i] += y[i] * y[i]
    count, least = ZERO, chosen.dtype.type(outputs.parameter)
    for i in range(m):
        chosen[i] = least if chosen[i] < least else chosen[i]
        count += (chosen[i] > SMALLEST) & (sums[i] == 1) & (squares[i] == 1)
    return count == m


@inlined
def _log_of_product(x):
    """Return the logarithm of the product of numbers from SMALLEST to 1."""
    total, product = 0.0, 1.0
    for start in range(0, x.size, FACTORS):
        for i in range(start, min(start + FACTORS, x.size)):
            product *= np.float64(x[i])
        if product < SMALLEST:  # then as many more factors are still far from underflow
            total += math.log(product)
            product = 1.0
    return total + math.log(product)


@kernel(Outputs)
def _difference(at):
    """D = a - y: the gradient of the quadratic cost, and the whole error of the cross-entropy."""
    outputs = at[0]
    count, size = stretches(outputs)
    for k in range(count):
        _, a, y, d = _vectors(outputs, k, size)
        for i in range(size):
            d[i] = a[i] - y[i]
    return 0.0


@kernel(Outputs)
def _log_likelihood_error(at):
    """D = a sum_j y_j - y: the whole error of the log-likelihood, for softmax. `spare` is written."""
    outputs = at[0]
    n, m = outputs.n, outputs.m
    if outputs.cs == 1:
        total = part(outputs.spare, ZERO, m)
        for i in range(m):
            total[i] = 0
        for j in range(n):
            y = part(outputs.y, j * outputs.rs, m)
            for i in range(m):
                total[i] += y[i]
        for j in range(n):
            _, a, y, d = _vectors(outputs, j, m)
            for i in range(m):
                d[i] = a[i] * total[i] - y[i]
        return 0.0
    A, Y, D = matrix(outputs.a, ZERO, n, m), matrix(outputs.y, ZERO, n, m), matrix(outputs.delta, ZERO, n, m)
    for i in range(m):
        total_of_column = A.dtype.type(0)
        for j in range(n):
            total_of_column += Y[j, i]
        for j in range(n):
            D[j, i] = A[j, i] * total_of_column - Y[j, i]
    return 0.0


@kernel(Outputs, fastmath=FAST)
def _poisson(at):
    """Sum over y_j (ln y_j - z_j) - y_j + a_j, where 0 ln 0 = 0."""
    outputs = at[0]
    total = 0.0
    count, size = stretches(outputs)
    for k in range(count):
        z, a, y, _ = _vectors(outputs, k, size)
        for i in range(size):
            target = np.float64(y[i])
            total += np.float64(a[i]) - target
            if target != 0:  # most counts are 0 in many data, and the logarithm is slow
                total += target * (np.log(target) - np.float64(z[i]))
    return total


@kernel(Outputs, fastmath=FAST)
def _huber(at):
    """Sum over 1/2 d^2 where |d| <= delta, else delta (|d| - delta/2): both are r (|d| - r/2), r = min(|d|, delta)."""
    outputs = at[0]
    delta, total = outputs.parameter, 0.0
    count, size = stretches(outputs)
    for k in range(count):
        _, a, y, _ = _vectors(outputs, k, size)
        for i in range(size):
            distance = abs(np.float64(a[i] - y[i]))
            r = delta if distance > delta else distance
            total += r * (distance - 0.5 * r)
    return total


@kernel(Outputs)
def _huber_error(at):
    """D = a - y, but at most delta and at least -delta."""
    outputs = at[0]
    delta = part(outputs.z, ZERO, ZERO).dtype.type(outputs.parameter)
    count, size = stretches(outputs)
    for k in range(count):
        _, a, y, d = _vectors(outputs, k, size)
        for i in range(size):
            difference = a[i] - y[i]
            capped = delta if difference > delta else difference  # in this order, so that NaN stays NaN
            d[i] = -delta if capped < -delta else capped
    return 0.0


@kernel(Outputs, fastmath=FAST)
def _absolute(at):
    """Sum over |a_j - y_j|."""
    outputs = at[0]
    total = 0.0
    count, size = stretches(outputs)
    for k in range(count):
        _, a, y, _ = _vectors(outputs, k, size)
        for i in range(size):
            total += np.float64(abs(a[i] - y[i]))
    return total


@kernel(Outputs)
def _absolute_error(at):
    """D = sign(a - y); NaN stays NaN."""
    outputs = at[0]
    one = part(outputs.z, ZERO, ZERO).dtype.type(1)
    count, size = stretches(outputs)
    for k in range(count):
        _, a, y, d = _vectors(outputs, k, size)
        for i in range(size):
            difference = a[i] - y[i]
            positive = one if difference > 0 else difference
            d[i] = -one if difference < 0 else positive
    return 0.0


@kernel(Outputs, fastmath=FAST)
def _quantile(at):
    """Sum over q (y_j - a_j), or (1 - q) (a_j - y_j) where a_j is the larger one."""
    outputs = at[0]
    q, total = outputs.parameter, 0.0
    count, size = stretches(outputs)
    for k in range(count):
        _, a, y, _ = _vectors(outputs, k, size)
        for i in range(size):
            over = np.float64(a[i] - y[i])
            total += ((1.0 - q) if over > 0 else -q) * over
    return total


@kernel(Outputs)
def _quantile_error(at):
    """D = 1 - q where a > y, -q where a < y, 0 where they are equal; NaN stays NaN."""
    outputs = at[0]
    number = part(outputs.z, ZERO, ZERO).dtype.type
    over, under = number(1.0 - outputs.parameter), number(-outputs.parameter)
    count, size = stretches(outputs)
    for k in range(count):
        _, a, y, d = _vectors(outputs, k, size)
        for i in range(size):
            difference = a[i] - y[i]
            positive = over if difference > 0 else difference
            d[i] = under if difference < 0 else positive
    return 0.0


@kernel(Outputs, fastmath=FAST)
def _squared_hinge(at):
    """Sum over max(0, 1 - t_j a_j)^2, with t = 2 y - 1."""
    outputs = at[0]
    total = 0.0
    count, size = stretches(outputs)
    for k in range(count):
        _, a, y, _ = _vectors(outputs, k, size)
        for i in range(size):
            short = 1.0 - (2.0 * np.float64(y[i]) - 1.0) * np.float64(a[i])
            lacking = 0.0 if short < 0 else short  # in this order, so that NaN stays NaN
            total += lacking * lacking
    return total


@kernel(Outputs)
def _squared_hinge_error(at):
    """D = -2 t max(0, 1 - t a), with t = 2 y - 1."""
    outputs = at[0]
    number = part(outputs.z, ZERO, ZERO).dtype.type
    zero, one, two = number(0), number(1), number(2)
    count, size = stretches(outputs)
    for k in range(count):
        _, a, y, d = _vectors(outputs, k, size)
        for i in range(size):
            t = two * y[i] - one
            short = one - t * a[i]
            d[i] = -two * t * (zero if short < 0 else short)
    return 0.0


BUILT_IN = {
    "quadratic": CostKernels(_quadratic, _difference, is_fused=False, formula="1/2 sum_j (a_j - y_j)^2"),
    "cross_entropy": CostKernels(
        _cross_entropy,
        _difference,
        is_fused=True,
        formula="-sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)]",
        required_activation="sigmoid",
        reason="its logarithms need outputs between 0 and 1, and its delta a - y holds where sigma' = a (1 - a)",
        targets="probabilities",
    ),
    "log_likelihood": CostKernels(
        _log_likelihood,
        _log_likelihood_error,
        is_fused=True,
        formula="-sum_j y_j ln a_j",
        required_activation="softmax",
        reason="it reads the outputs as the probabilities of classes, which must add up to 1",
        targets="probabilities",
    ),
    "poisson": CostKernels(
        _poisson,
        _difference,
        is_fused=True,
        formula="sum_j [y_j ln(y_j / a_j) - y_j + a_j]",
        required_activation="exp",
        reason="its logarithm needs outputs above 0, and its delta a - y holds where sigma' = a",
        targets="counts",
    ),
    "huber": CostKernels(
        _huber,
        _huber_error,
        is_fused=False,
        formula="sum_j of 1/2 d^2 if |d| <= delta, else delta (|d| - delta/2); d = a_j - y_j",
        parameter=Parameter("delta", 1.0),
    ),
    "absolute": CostKernels(_absolute, _absolute_error, is_fused=False, formula="sum_j |a_j - y_j|", kinks=(0.0,)),
    "quantile": CostKernels(
        _quantile,
        _quantile_error,
        is_fused=False,
        formula="sum_j max(q (y_j - a_j), (q - 1) (y_j - a_j))",
        parameter=Parameter("q", 0.5, below=1.0),
        kinks=(0.0,),
    ),
    "squared_hinge": CostKernels(
        _squared_hinge,
        _squared_hinge_error,
        is_fused=False,
        formula="sum_j max(0, 1 - (2 y_j - 1) a_j)^2",
        targets="classes",
        usual_activation="identity",
        threshold=0.0,
    ),
}


@compiled_once
def custom(function: Callable[[float, float], float], gradient: Callable[[float, float], float]) -> CostKernels:
    """Return the kernels of a custom cost, from the scalar functions c(a, y) and dc/da."""
    compiled_scalar = scalars().compiled_scalar
    value, slope = compiled_scalar(function), compiled_scalar(gradient)

    def total(at: Any) -> Any:
        outputs = at[0]
        total = 0.0
        count, size = stretches(outputs)
        for k in range(count):
            _, a, y, _ = _vectors(outputs, k, size)
            for i in range(size):
                total += np.float64(value(a[i], y[i]))
        return total

    def output_error(at: Any) -> Any:
        outputs = at[0]
        count, size = stretches(outputs)
        for k in range(count):
            _, a, y, d = _vectors(outputs, k, size)
            for i in range(size):
                d[i] = slope(a[i], y[i])
        return 0.0

    total_kernel, error_kernel = (Kernel(f, Outputs, FAST, is_cached=False) for f in (total, output_error))
    return CostKernels(total_kernel, error_kernel, is_fused=False)
