"""The compiled costs: their values, and the output error delta^L."""

import math

import numpy as np

from mbbp.kernels.codes import CROSS_ENTROPY, LOG_LIKELIHOOD, OWN, QUADRATIC, SIGMOID, SOFTMAX, ZERO
from mbbp.kernels.elementwise import multiply_by_derivative
from mbbp.kernels.exponential import exp
from mbbp.kernels.jit import compiled, compiled_fast
from mbbp.kernels.pointers import call_binary
from mbbp.kernels.views import flat

# The sums are taken in float64 whatever the dtype.


@compiled_fast
def _sum_of_squares(a, y):
    total = 0.0
    for i in range(a.size):
        difference = np.float64(a[i] - y[i])  # to Numba, float() leaves a float32 what it is
        total += difference * difference
    return total


@compiled_fast
def _cross_entropy(z, y):
    """Sum over ln(1 + exp(z_j)) - y_j z_j, with one logarithm for the product of many 1 + exp(-|z_j|)."""
    total, product = 0.0, 1.0
    for start in range(0, z.size, 512):  # each factor is 1 to 2, so this is far from overflow
        z_part, y_part = z[start : start + 512], y[start : start + 512]
        for j in range(z_part.size):
            total += max(z_part[j], 0) - y_part[j] * z_part[j]
            product *= 1.0 + exp(-abs(z_part[j]))
        total += math.log(product)
        product = 1.0
    return total


@compiled
def _log_likelihood(z, a, y):
    """Minus the sum over y_j ln a_j; an output too small for its logarithm is had from the weighted inputs."""
    n = a.size
    total = 0.0
    for j in range(n):
        if y[j] == 0:
            continue
        if a[j] > 1e-30:
            total -= y[j] * math.log(a[j])
            continue
        largest = z[0]
        for k in range(1, n):
            largest = max(largest, z[k])
        whole = 0.0
        for k in range(n):
            whole += math.exp(z[k] - largest)
        total += y[j] * (largest - z[j] + math.log(whole))
    return total


@compiled
def _own_cost(rule, a, y):
    total = 0.0
    for j in range(a.size):
        total += call_binary(rule[1], a[j], y[j])
    return total


@compiled
def _cost_of(rule, z, a, y):
    if rule[0] == QUADRATIC:
        return 0.5 * _sum_of_squares(a, y)
    if rule[0] == CROSS_ENTROPY:
        return _cross_entropy(z, y)
    if rule[0] == LOG_LIKELIHOOD:
        return _log_likelihood(z, a, y)
    return _own_cost(rule, a, y)


@compiled
def summed_cost(rule, Z, A, Y, factors):
    """Return the sum of the examples' costs C_x, each times its factor; with no factors, each counts alike."""
    n, m = A.shape
    z, a, y = flat(Z), flat(A), flat(Y)
    if factors.size == 0 and rule[0] != LOG_LIKELIHOOD:  # which is of a column, the others of single outputs
        return _cost_of(rule, z, a, y)
    total = 0.0
    for i in range(m):
        here = slice(i * n, (i + 1) * n)
        cost = _cost_of(rule, z[here], a[here], y[here])
        total += cost * factors[i] if factors.size else cost
    return total


@compiled
def output_delta(rule, activation, Z, A, Y, D):
    """D = grad_a C * sigma'(Z) (BP1); where the cost cancels sigma', by hand, so that nothing is lost."""
    n, m = A.shape
    a, y, d = flat(A), flat(Y), flat(D)
    if rule[0] == QUADRATIC or (rule[0] == CROSS_ENTROPY and activation[0] == SIGMOID):
        for i in range(d.size):
            d[i] = a[i] - y[i]
        if rule[0] == QUADRATIC:
            multiply_by_derivative(activation, Z, A, D)
        return
    if rule[0] == LOG_LIKELIHOOD and activation[0] == SOFTMAX:
        for i in range(m):
            total = A.dtype.type(0)
            for j in range(n):
                total += Y[j, i]
            for j in range(n):
                D[j, i] = A[j, i] * total - Y[j, i]
        return
    for i in range(d.size):
        d[i] = call_binary(rule[2], a[i], y[i])
    multiply_by_derivative(activation, Z, A, D)
