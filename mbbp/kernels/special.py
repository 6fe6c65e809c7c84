"""The normal distribution and the softplus, as arithmetic that runs in vector lanes, as the exponential is.

The C library's erf and log1p are called for one number at a time. Here both are polynomials and one division each.

The normal distribution Phi(z) = (1 + erf(z / sqrt 2)) / 2 is computed from its smaller tail, so that Phi(z) keeps its
digits where it is small, and 1 + erf would lose them:

    Phi(-x) = exp(-x^2 / 2) t P(q),   x >= 0,   t = k / (x + k),   q = 1 - 2 t

t falls as the tail's second factor does, like 1/x. So P(q) changes little, and q is from -1 to 1 (M. M. Shepherd and
J. G. Laframboise, *Chebyshev approximation of (1 + 2x) exp(x^2) erfc x*, Mathematics of Computation 36, 1981).

For the softplus ln(1 + exp(z)) only ln(1 + u) with 0 <= u <= 1 is needed:

    ln(1 + u) = 2 artanh(s) = 2 s (1 + w Q(w)),   s = u / (2 + u) <= 1/3,   w = s^2

P and Q interpolate at Chebyshev's points, and miss by less than half a unit in the last place. They are taken in pairs
of terms, as in the exponential.
"""

import numpy as np

from mbbp.kernels.exponential import exp_nonpositive
from mbbp.kernels.lowlevel.compiling import compiled_contracting, inlined, overload_of
from mbbp.kernels.lowlevel.later import types

DENSITY_AT_0 = 0.3989422804014327  # 1 / sqrt(2 pi)
K = 5.0
FAR = 14.0  # P is made for the x below it; above it Phi(-x) is under 1e-44, and only said to be about as small
P_SINGLE = (
    0.153838608,
    -0.133076486,
    0.0990612946,
    -0.0627071053,
    0.0330010012,
    -0.0138208198,
    0.00417870844,
    -0.000596637235,
    -0.000204083394,
    7.65803637e-5,
)
P_DOUBLE = (
    0.15383860995001258,
    -0.13307650057801146,
    0.09906112319399443,
    -0.06270663133424528,
    0.0330040732341417,
    -0.01382372774184435,
    0.004159013357898079,
    -0.0005986753449632949,
    -0.0001595738451672907,
    0.00010897974863177628,
    -1.1875461693109815e-05,
    -9.952440859362836e-06,
    3.3378160695025364e-06,
    7.970708510334406e-07,
    -5.57592126477868e-07,
    -7.251054483824589e-08,
    8.852987158279139e-08,
    1.6581603807148778e-08,
    -8.177853596339354e-09,
    -2.445470621336943e-09,
)
Q_SINGLE = (
    0.333333337,
    0.199998532,
    0.14296179,
    0.108532879,
    0.116121646,
)
Q_DOUBLE = (
    0.3333333333333333,
    0.19999999999999762,
    0.1428571428580005,
    0.11111111099118386,
    0.09090909948981357,
    0.07692271982430275,
    0.06667589315724629,
    0.05867139530651599,
    0.05422589197440007,
    0.03746071897775383,
    0.07815288900461426,
)


@inlined
def _of_degree_7(x, x2, x4, c0, c1, c2, c3, c4, c5, c6, c7):
    return ((c0 + x * c1) + x2 * (c2 + x * c3)) + x4 * ((c4 + x * c5) + x2 * (c6 + x * c7))


@compiled_contracting
def _tail_polynomial_single(q):
    f = np.float32
    q2 = q * q
    q4 = q2 * q2
    c = P_SINGLE
    low = _of_degree_7(q, q2, q4, f(c[0]), f(c[1]), f(c[2]), f(c[3]), f(c[4]), f(c[5]), f(c[6]), f(c[7]))
    return low + q4 * q4 * (f(c[8]) + q * f(c[9]))


@compiled_contracting
def _tail_polynomial_double(q):
    q2 = q * q
    q4 = q2 * q2
    q8 = q4 * q4
    c = P_DOUBLE
    low = _of_degree_7(q, q2, q4, c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7])
    middle = _of_degree_7(q, q2, q4, c[8], c[9], c[10], c[11], c[12], c[13], c[14], c[15])
    return low + q8 * (middle + q8 * ((c[16] + q * c[17]) + q2 * (c[18] + q * c[19])))


def tail_polynomial(q):
    """Return P(q) in the type of q."""
    return _tail_polynomial_single(q) if isinstance(q, np.float32) else _tail_polynomial_double(q)


@overload_of(tail_polynomial)
def _compiled_tail_polynomial(q):
    polynomial = _tail_polynomial_single if q == types.float32 else _tail_polynomial_double
    return lambda q: polynomial(q)


@inlined
def normal(z):
    """Return Phi(z) and Phi'(z), the normal distribution and its density, of any number z; NaN stays NaN.

    It is put into its callers, because LLVM finds it too long to do that, and a loop with a call is no vector loop.
    """
    number = type(z)
    one, k, far = number(1), number(K), number(FAR)
    x = abs(z)
    t = k / ((far if x > far else x) + k)
    e = exp_nonpositive(-(x * x) * number(0.5))
    tail = e * (t * tail_polynomial(one - (t + t)))
    return (one - tail if z > 0 else tail), e * number(DENSITY_AT_0)


@compiled_contracting
def _log1p_single(u):
    f = np.float32
    s = u / (f(2) + u)
    w = s * s
    c = Q_SINGLE
    q = (f(c[0]) + w * f(c[1])) + (w * w) * ((f(c[2]) + w * f(c[3])) + (w * w) * f(c[4]))
    return f(2) * (s + s * w * q)


@compiled_contracting
def _log1p_double(u):
    s = u / (2.0 + u)
    w = s * s
    w2 = w * w
    w4 = w2 * w2
    c = Q_DOUBLE
    low = _of_degree_7(w, w2, w4, c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7])
    return 2.0 * (s + s * w * (low + w4 * w4 * ((c[8] + w * c[9]) + w2 * c[10])))


def log1p(u):
    """Return ln(1 + u) for a number from 0 to 1; NaN stays NaN."""
    return _log1p_single(u) if isinstance(u, np.float32) else _log1p_double(u)


@overload_of(log1p)
def _compiled_log1p(u):
    logarithm = _log1p_single if u == types.float32 else _log1p_double
    return lambda u: logarithm(u)


@compiled_contracting
def softplus(z):
    """Return ln(1 + exp(z)) of any number z; NaN stays NaN."""
    return (z if z > 0 else type(z)(0)) + log1p(exp_nonpositive(-abs(z)))
