"""The compiled costs: their values, and the output error delta^L."""

import math

from mbbp.kernels.codes import CROSS_ENTROPY, LOG_LIKELIHOOD, OWN, QUADRATIC, SIGMOID, SOFTMAX
from mbbp.kernels.elementwise import multiply_by_derivative
from mbbp.kernels.jit import compiled
from mbbp.kernels.pointers import call_binary


@compiled
def _softplus(z):
    """ln(1 + exp(z)), with no overflow."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


@compiled
def _log_sum_exp(Z, i):
    largest = Z[0, i]
    for j in range(1, Z.shape[0]):
        largest = max(largest, Z[j, i])
    total = 0.0
    for j in range(Z.shape[0]):
        total += math.exp(Z[j, i] - largest)
    return largest + math.log(total)


@compiled
def example_cost(rule, Z, A, Y, i):
    """C_x of the example in column i, summed in float64."""
    code = rule[0]
    n = A.shape[0]
    c_x = 0.0
    if code == QUADRATIC:
        for j in range(n):
            c_x += 0.5 * (A[j, i] - Y[j, i]) ** 2
    elif code == CROSS_ENTROPY:
        for j in range(n):
            c_x += _softplus(Z[j, i]) - Y[j, i] * Z[j, i]
    elif code == LOG_LIKELIHOOD:
        log_total = _log_sum_exp(Z, i)
        for j in range(n):
            c_x += Y[j, i] * (log_total - Z[j, i])
    elif code == OWN:
        for j in range(n):
            c_x += call_binary(rule[1], A[j, i], Y[j, i])
    return c_x


@compiled
def output_delta(rule, activation, Z, A, Y, D):
    """D = grad_a C * sigma'(Z) (BP1); where the cost cancels sigma', by hand, so that nothing is lost."""
    n, m = A.shape
    if rule[0] == CROSS_ENTROPY and activation[0] == SIGMOID:
        for i in range(m):
            for j in range(n):
                D[j, i] = A[j, i] - Y[j, i]
        return
    if rule[0] == LOG_LIKELIHOOD and activation[0] == SOFTMAX:
        for i in range(m):
            total = A.dtype.type(0)
            for j in range(n):
                total += Y[j, i]
            for j in range(n):
                D[j, i] = A[j, i] * total - Y[j, i]
        return
    if rule[0] == QUADRATIC:
        for i in range(m):
            for j in range(n):
                D[j, i] = A[j, i] - Y[j, i]
    elif rule[0] == OWN:
        for i in range(m):
            for j in range(n):
                D[j, i] = call_binary(rule[2], A[j, i], Y[j, i])
    multiply_by_derivative(activation, Z, A, D)
