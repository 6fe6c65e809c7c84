"""The compiled costs: their values, and the output error delta^L."""

import math

import numpy as np

from mbbp.kernels.codes import CROSS_ENTROPY, LOG_LIKELIHOOD, OWN, QUADRATIC
from mbbp.kernels.exponential import exp
from mbbp.kernels.jit import compiled, compiled_fast, inlined
from mbbp.kernels.pointers import call_binary
from mbbp.kernels.views import flat, part

SMALLEST = 1e-30  # outputs under it have lost digits, in float32

# The sums are taken in float64 whatever the dtype.


@inlined
def _sum_of_squares(a, y):
    total = 0.0
    for i in range(a.size):
        difference = np.float64(a[i] - y[i])  # to Numba, float() leaves a float32 what it is
        total += difference * difference
    return total


@inlined
def _cross_entropy(z, y):
    """Sum over ln(1 + exp(z_j)) - y_j z_j, with one logarithm for the product of many 1 + exp(-|z_j|)."""
    total, product = 0.0, 1.0
    for start in range(0, z.size, 512):  # each factor is 1 to 2, so this is far from overflow
        z_part, y_part = z[start : start + 512], y[start : start + 512]
        for j in range(z_part.size):
            total += max(z_part[j], 0) - y_part[j] * z_part[j]
            product *= 1.0 + np.float64(exp(-abs(z_part[j])))
        total += math.log(product)
        product = 1.0
    return total


@inlined
def _from_inputs(z, start, n, j):
    """-ln a_j of a softmax column whose a_j is too small for its logarithm, from the weighted inputs."""
    largest = z[start]
    for k in range(1, n):
        largest = max(largest, z[start + k])
    whole = 0.0
    for k in range(n):
        whole += math.exp(z[start + k] - largest)
    return largest - z[start + j] + math.log(whole)


@inlined
def _log_likelihood(z, a, y, n):
    """Minus the sum over y_j ln a_j for columns of n, with one logarithm for the product of several a_j."""
    total, product = 0.0, 1.0
    for start in range(0, z.size, n):
        for j in range(n):
            target, output = y[start + j], a[start + j]
            if target == 0:
                total += target * output  # nothing, or NaN
                continue
            if output <= SMALLEST:
                total += target * _from_inputs(z, start, n, j)
            elif target == 1:
                product *= np.float64(output)
                if product < SMALLEST:  # then one more factor is far from underflow
                    total -= math.log(product)
                    product = 1.0
            else:
                total -= target * math.log(output)
    return total - math.log(product)


@inlined
def _own_cost(rule, a, y):
    total = 0.0
    for j in range(a.size):
        total += call_binary(rule[1], a[j], y[j])
    return total


@inlined
def _cost_of(rule, z, a, y, n):
    if rule[0] == QUADRATIC:
        cost = 0.5 * _sum_of_squares(a, y)
    elif rule[0] == CROSS_ENTROPY:
        cost = _cross_entropy(z, y)
    elif rule[0] == LOG_LIKELIHOOD:
        cost = _log_likelihood(z, a, y, n)
    else:
        cost = _own_cost(rule, a, y)
    return cost


@compiled_fast
def summed_cost(rule, Z, A, Y, factors):
    """Return the sum of the examples' costs C_x, each times its factor; with no factors, each counts alike."""
    n, m = A.shape
    z, a, y = flat(Z), flat(A), flat(Y)
    length = n if factors.size else n * m  # of all columns in one go where they count alike
    total = 0.0
    for start in range(0, n * m, length):
        cost = _cost_of(rule, part(z, start, length), part(a, start, length), part(y, start, length), n)
        total += cost * factors[start // n] if factors.size else cost
    return total


@compiled
def output_delta(rule, A, Y, D):
    """Set D = grad_a C, and return whether D * sigma'(Z) is left to be done (BP1).

    Where the cost cancels sigma', D is the whole error, by hand, so that nothing is lost.
    """
    n, m = A.shape
    a, y, d = flat(A), flat(Y), flat(D)
    if rule[0] == OWN:
        for i in range(d.size):
            d[i] = call_binary(rule[2], a[i], y[i])
        return True
    if rule[0] == LOG_LIKELIHOOD:
        for i in range(m):
            total = A.dtype.type(0)
            for j in range(n):
                total += Y[j, i]
            for j in range(n):
                D[j, i] = A[j, i] * total - Y[j, i]
        return False
    for i in range(d.size):
        d[i] = a[i] - y[i]
    return rule[0] == QUADRATIC
