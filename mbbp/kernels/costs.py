"""The compiled costs: their values, and the output error delta^L."""

import math

import numpy as np

from mbbp.kernels.codes import CROSS_ENTROPY, LOG_LIKELIHOOD, OWN, QUADRATIC, SIGMOID, SOFTMAX, ZERO
from mbbp.kernels.elementwise import multiply_by_derivative
from mbbp.kernels.exponential import exp
from mbbp.kernels.jit import compiled, compiled_fast
from mbbp.kernels.pointers import call_binary

# The sums are taken in float64 whatever the dtype.


@compiled_fast
def _sum_of_squares(A, Y, start, stop):
    a, y = A.T.reshape(A.size), Y.T.reshape(Y.size)
    total = 0.0
    for i in range(start, stop):
        difference = np.float64(a[i] - y[i])  # to Numba, float() leaves a float32 what it is
        total += difference * difference
    return total


@compiled_fast
def _cross_entropy(Z, Y, i):
    """Sum over ln(1 + exp(z_j)) - y_j z_j, with one logarithm for the product of all 1 + exp(-|z_j|)."""
    total, product = 0.0, 1.0
    for start in range(0, Z.shape[0], 512):  # each factor is 1 to 2, so this is far from overflow
        for j in range(start, min(start + 512, Z.shape[0])):
            z = Z[j, i]
            total += max(z, 0) - Y[j, i] * z
            product *= 1.0 + exp(-abs(z))
        total += math.log(product)
        product = 1.0
    return total


@compiled
def _log_likelihood(Z, A, Y, i):
    """-sum over y_j ln a_j; an output too small for its logarithm is had from the weighted inputs."""
    n = A.shape[0]
    total = 0.0
    for j in range(n):
        if Y[j, i] == 0:
            continue
        if A[j, i] > 1e-30:
            total -= Y[j, i] * math.log(A[j, i])
            continue
        largest = Z[0, i]
        for k in range(1, n):
            largest = max(largest, Z[k, i])
        whole = 0.0
        for k in range(n):
            whole += math.exp(Z[k, i] - largest)
        total += Y[j, i] * (largest - Z[j, i] + math.log(whole))
    return total


@compiled
def _own_cost(rule, A, Y, i):
    total = 0.0
    for j in range(A.shape[0]):
        total += call_binary(rule[1], A[j, i], Y[j, i])
    return total


@compiled
def _are_ones(factors):
    others = 0
    for factor in factors:
        others += factor != 1
    return others == 0


@compiled
def summed_cost(rule, Z, A, Y, factors):
    """Return the sum of the examples' costs C_x, each times its factor."""
    code = rule[0]
    total = 0.0
    n, m = A.shape
    if code == QUADRATIC and _are_ones(factors):
        return 0.5 * _sum_of_squares(A, Y, ZERO, n * m)
    for i in range(m):
        if code == QUADRATIC:
            c_x = 0.5 * _sum_of_squares(A, Y, i * n, (i + 1) * n)
        elif code == CROSS_ENTROPY:
            c_x = _cross_entropy(Z, Y, i)
        elif code == LOG_LIKELIHOOD:
            c_x = _log_likelihood(Z, A, Y, i)
        else:
            c_x = _own_cost(rule, A, Y, i)
        total += factors[i] * c_x
    return total


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
