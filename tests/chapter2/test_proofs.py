"""The proofs of chapter 2 by computer algebra, step by step, for any sigma and any cost.

sigma and C are unknown functions: only the names of their derivatives are given. Weights, biases and inputs are
symbols.
The functions of `mbbp.chapter2` take these symbols, so the proofs are about the code itself.
"""

import functools

import numpy as np
import pytest
import sympy

from mbbp import chapter2

SIZES = {1: 2, 2: 2, 3: 3, 4: 2}
L = 4


class SigmaPrime(sympy.Function):
    """sigma'(z)."""

    nargs = 1


class Sigma(sympy.Function):
    """sigma(z), of which only the name of its derivative is known."""

    nargs = 1

    def fdiff(self, argindex=1):
        return SigmaPrime(self.args[0])


class FPrime(sympy.Function):
    """f'(z) of the modified neuron."""

    nargs = 1


class F(sympy.Function):
    """f(z) of the modified neuron."""

    nargs = 1

    def fdiff(self, argindex=1):
        return FPrime(self.args[0])


class CostSlope1(sympy.Function):
    """dC/da_1."""


class CostSlope2(sympy.Function):
    """dC/da_2."""


class Cost(sympy.Function):
    """C(a_1, a_2), any function of the outputs. Only the names of its derivatives are known."""

    def fdiff(self, argindex=1):
        return {1: CostSlope1, 2: CostSlope2}[argindex](*self.args)


def matrix(name, n, m):
    return np.array([[sympy.Symbol(f"{name}_{j}{k}") for k in range(m)] for j in range(n)], dtype=object)


def apply(function, array):
    return np.array([[function(entry) for entry in row] for row in array], dtype=object)


def slope_of_cost(a):
    return np.array([[CostSlope1(*a[:, 0])], [CostSlope2(*a[:, 0])]], dtype=object)


def same(left, right):
    return sympy.expand(left - right) == 0


W = {l: matrix(f"w{l}", SIZES[l], SIZES[l - 1]) for l in range(2, L + 1)}
B = {l: matrix(f"b{l}", SIZES[l], 1) for l in range(2, L + 1)}
X = matrix("x", SIZES[1], 1)
Z = {l: matrix(f"z{l}", SIZES[l], 1) for l in range(2, L + 1)}  # weighted inputs as variables
A = {l: matrix(f"a{l}", SIZES[l], 1) for l in range(2, L + 1)}  # activations as variables


def forward_from(l, z, sigma=Sigma):
    """Return z and a of layers l to L for a given weighted input of layer l."""
    zs, activations = {l: z}, {l: apply(sigma, z)}
    for n in range(l + 1, L + 1):
        zs[n] = W[n] @ activations[n - 1] + B[n]
        activations[n] = apply(sigma, zs[n])
    return zs, activations


@functools.cache
def whole(sigma=Sigma):
    """Return z and a of the whole network as expressions in its parameters and inputs."""
    z, a = forward_from(2, W[2] @ X + B[2], sigma)
    return z, a | {1: X}


def cost_of(a):
    return Cost(*a[L][:, 0])


@functools.cache
def errors():
    """Return delta of every layer, computed by the functions of the chapter."""
    z, a = whole()
    delta = {L: chapter2.output_error(slope_of_cost(a[L]), apply(SigmaPrime, z[L]))}
    for l in range(L - 1, 1, -1):
        delta[l] = chapter2.backpropagated_error(W[l + 1], delta[l + 1], apply(SigmaPrime, z[l]))
    return delta


# ------------------------------------------------------------------------------------------------------- proof of (BP1)


@pytest.mark.parametrize("j", range(SIZES[L]))
def test_the_proof_of_bp1(j):
    z_j = Z[L][j, 0]
    a_of_z = apply(Sigma, Z[L])
    at = dict(zip(A[L][:, 0], a_of_z[:, 0], strict=True))
    dC_da = [sympy.diff(Cost(*A[L][:, 0]), a_k).subs(at) for a_k in A[L][:, 0]]
    da_dz = [sympy.diff(a_k, z_j) for a_k in a_of_z[:, 0]]
    eq36 = sympy.diff(Cost(*a_of_z[:, 0]), z_j)
    eq37 = sum(dC_da[k] * da_dz[k] for k in range(SIZES[L]))
    assert same(eq37, eq36)
    assert all(da_dz[k] == 0 for k in range(SIZES[L]) if k != j)  # a^L_k depends on z^L_k alone
    eq38 = dC_da[j] * da_dz[j]
    assert same(eq38, eq37)
    eq39 = dC_da[j] * SigmaPrime(z_j)
    assert same(eq39, eq38)
    bp1 = chapter2.bp1(slope_of_cost(a_of_z), apply(SigmaPrime, Z[L]))
    assert same(bp1[j, 0], eq39)


# ------------------------------------------------------------------------------------------------------- proof of (BP2)


@pytest.mark.parametrize(("l", "j"), [(l, j) for l in (3, 2) for j in range(SIZES[l])])
def test_the_proof_of_bp2(l, j):
    z_j = Z[l][j, 0]
    next_z = W[l + 1] @ apply(Sigma, Z[l]) + B[l + 1]
    at = dict(zip(Z[l + 1][:, 0], next_z[:, 0], strict=True))
    C_of_next = cost_of(forward_from(l + 1, Z[l + 1])[1])
    next_delta = [sympy.diff(C_of_next, z_k).subs(at) for z_k in Z[l + 1][:, 0]]
    eq40 = sympy.diff(cost_of(forward_from(l, Z[l])[1]), z_j)
    dz_dz = [sympy.diff(z_k, z_j) for z_k in next_z[:, 0]]
    eq41 = sum(next_delta[k] * dz_dz[k] for k in range(SIZES[l + 1]))
    assert same(eq41, eq40)
    eq42 = sum(dz_dz[k] * next_delta[k] for k in range(SIZES[l + 1]))
    assert same(eq42, eq41)
    for k in range(SIZES[l + 1]):
        eq43 = sum(W[l + 1][k, i] * Sigma(Z[l][i, 0]) for i in range(SIZES[l])) + B[l + 1][k, 0]
        assert same(eq43, next_z[k, 0])
        assert same(sympy.diff(eq43, z_j), W[l + 1][k, j] * SigmaPrime(z_j))  # (44)
    eq45 = sum(W[l + 1][k, j] * next_delta[k] * SigmaPrime(z_j) for k in range(SIZES[l + 1]))
    assert same(eq45, eq42)
    delta = np.array(next_delta, dtype=object).reshape(-1, 1)
    bp2 = chapter2.bp2(W[l + 1], delta, apply(SigmaPrime, Z[l]))
    assert same(bp2[j, 0], eq45)


# -------------------------------------------------------- proof of (BP3) and (BP4), an exercise in the book


@pytest.mark.parametrize("l", [2, 3, 4])
def test_the_proof_of_bp3_and_bp4(l):
    a_in = X if l == 2 else A[l - 1]
    z = W[l] @ a_in + B[l]
    at = dict(zip(Z[l][:, 0], z[:, 0], strict=True))
    C_of_z = cost_of(forward_from(l, Z[l])[1])
    delta = np.array([[sympy.diff(C_of_z, z_j).subs(at)] for z_j in Z[l][:, 0]], dtype=object)
    C = C_of_z.subs(at)
    bp3, bp4 = chapter2.bp3(delta), chapter2.bp4(delta, a_in)
    for j in range(SIZES[l]):
        dz_db = [sympy.diff(z_i, B[l][j, 0]) for z_i in z[:, 0]]
        assert dz_db == [int(i == j) for i in range(SIZES[l])]
        assert same(sympy.diff(C, B[l][j, 0]), delta[j, 0])
        assert same(bp3[j, 0], delta[j, 0])
        for k in range(SIZES[l - 1]):
            dz_dw = [sympy.diff(z_i, W[l][j, k]) for z_i in z[:, 0]]
            assert dz_dw == [a_in[k, 0] if i == j else 0 for i in range(SIZES[l])]
            assert same(sympy.diff(C, W[l][j, k]), a_in[k, 0] * delta[j, 0])
            assert same(bp4[j, k], a_in[k, 0] * delta[j, 0])


# ---------------------------------------------------------------------------------------------------- the four together


def test_the_four_equations_give_the_gradient_of_the_whole_network():
    _, a = whole()
    C, delta = cost_of(a), errors()
    for l in range(2, L + 1):
        nabla_b, nabla_w = chapter2.bias_gradient(delta[l]), chapter2.weight_gradient(delta[l], a[l - 1])
        for j in range(SIZES[l]):
            assert same(nabla_b[j, 0], sympy.diff(C, B[l][j, 0]))
            for k in range(SIZES[l - 1]):
                assert same(nabla_w[j, k], sympy.diff(C, W[l][j, k]))


@pytest.mark.parametrize("fault", ["no sigma'", "sigma' of another layer", "a neuron of the next layer left out"])
def test_a_wrong_equation_is_found(fault):
    _, a = whole()
    delta, slope = errors(), apply(SigmaPrime, whole()[0][2])
    wrong = {
        "no sigma'": lambda: W[3].T @ delta[3],
        "sigma' of another layer": lambda: chapter2.backpropagated_error(W[3], delta[3], apply(SigmaPrime, X)),
        "a neuron of the next layer left out": lambda: chapter2.backpropagated_error(W[3][:2], delta[3][:2], slope),
    }[fault]()
    for j in range(SIZES[2]):
        exact = sympy.diff(cost_of(a), B[2][j, 0])
        assert same(delta[2][j, 0], exact)
        assert not same(wrong[j, 0], exact)


def test_the_gradient_of_two_examples_is_the_mean_of_their_gradients():
    """Check BP3 and BP4 for two columns and a single layer, with C = 1/2 (C_1 + C_2)."""
    inputs = matrix("x", SIZES[3], 2)
    z = W[4] @ inputs + B[4]
    a = apply(Sigma, z)
    C = (Cost(*a[:, 0]) + Cost(*a[:, 1])) / 2
    grad = np.hstack([slope_of_cost(a[:, i : i + 1]) for i in range(2)])
    delta = chapter2.output_error(grad, apply(SigmaPrime, z))
    nabla_b, nabla_w = chapter2.bias_gradient(delta), chapter2.weight_gradient(delta, inputs)
    for j in range(SIZES[4]):
        assert same(nabla_b[j, 0], sympy.diff(C, B[4][j, 0]))
        for k in range(SIZES[3]):
            assert same(nabla_w[j, k], sympy.diff(C, W[4][j, k]))


# ------------------------------------------------------------------------------------------- the alternate presentation


def test_the_alternate_presentation_gives_the_same_errors():
    z, a = whole()
    delta = errors()
    Sigma_prime = {l: chapter2.sigma_prime_matrix(apply(SigmaPrime, z[l])) for l in z}
    grad = slope_of_cost(a[L])
    eq33 = chapter2.output_error_by_matrix(Sigma_prime[L], grad)
    assert all(same(eq33[j, 0], delta[L][j, 0]) for j in range(SIZES[L]))
    for l in range(L - 1, 1, -1):
        eq34 = chapter2.backpropagated_error_by_matrix(Sigma_prime[l], W[l + 1], delta[l + 1])
        eq35 = chapter2.error_as_product(l, Sigma_prime, W, grad)
        for j in range(SIZES[l]):
            assert same(eq34[j, 0], delta[l][j, 0])
            assert same(eq35[j, 0], delta[l][j, 0])


# -------------------------------------------------------------------------------------------------------- the exercises


def test_a_single_modified_neuron_changes_sigma_and_sigma_prime_of_that_neuron_alone():
    """The output of neuron 1 of layer 3 is f(z): f replaces sigma forwards, and f' replaces sigma' backwards."""
    z = {2: W[2] @ X + B[2]}
    a = {1: X, 2: apply(Sigma, z[2])}
    z[3] = W[3] @ a[2] + B[3]
    a[3] = apply(Sigma, z[3])
    a[3][1, 0] = F(z[3][1, 0])
    z[4] = W[4] @ a[3] + B[4]
    a[4] = apply(Sigma, z[4])
    slope = {l: apply(SigmaPrime, z[l]) for l in z}
    slope[3][1, 0] = FPrime(z[3][1, 0])
    delta = {L: chapter2.bp1(slope_of_cost(a[L]), slope[L])}
    for l in (3, 2):
        delta[l] = chapter2.bp2(W[l + 1], delta[l + 1], slope[l])
    C = cost_of(a)
    for l in z:
        for j in range(SIZES[l]):
            assert same(delta[l][j, 0], sympy.diff(C, B[l][j, 0]))


def test_with_linear_neurons_the_error_goes_back_through_the_weights_only():
    z, a = whole(sympy.Id)
    assert all(same(z[l][j, 0], a[l][j, 0]) for l in z for j in range(SIZES[l]))
    C = cost_of(a)
    delta = slope_of_cost(a[L])
    for l in range(L, 1, -1):
        for j in range(SIZES[l]):
            assert same(delta[j, 0], sympy.diff(C, B[l][j, 0]))
        delta = W[l].T @ delta


# ------------------------------------------------------------------------------------------------------ the big picture


def test_the_sum_over_all_paths_is_the_derivative():
    """Check eq. (53) for w^2_jk, with neurons m of layer 4, n of layer 3 and j of layer 2."""
    z, a = whole()
    C, grad = cost_of(a), slope_of_cost(a[L])

    def rate(l, i, j):
        at = dict(zip(A[l - 1][:, 0], a[l - 1][:, 0], strict=True))
        z_i = sum(W[l][i, h] * A[l - 1][h, 0] for h in range(SIZES[l - 1])) + B[l][i, 0]
        return sympy.diff(Sigma(z_i), A[l - 1][j, 0]).subs(at)

    for j in range(SIZES[2]):
        onward = [grad[m, 0] * rate(4, m, n) * rate(3, n, j) for m in range(SIZES[4]) for n in range(SIZES[3])]
        assert len(onward) == chapter2.count_paths(list(SIZES.values()), 2)
        for k in range(SIZES[1]):
            first = sympy.diff(a[2][j, 0], W[2][j, k])
            assert first == SigmaPrime(z[2][j, 0]) * X[k, 0]
            assert same(sum(path * first for path in onward), sympy.diff(C, W[2][j, k]))


# ------------------------------------------------------------------------------------------ what the book computes with


def test_the_books_own_functions():
    z, a, y = sympy.symbols("z a y")
    sigmoid = 1 / (1 + sympy.exp(-z))
    assert sympy.simplify(sympy.diff(sigmoid, z) - sigmoid * (1 - sigmoid)) == 0
    assert sympy.diff((y - a) ** 2 / 2, a).equals(a - y)  # grad_a C of (27), as in (30)
    cross_entropy = -(y * sympy.log(sigmoid) + (1 - y) * sympy.log(1 - sigmoid))
    assert sympy.simplify(sympy.diff(cross_entropy, z) - (sigmoid - y)) == 0
