"""The activations in C, each so that no exponential overflows.

``R`` stands for float or double, and ``NAME`` for the name of the model. After it comes ``f``, so that no name of a
header is that of another one: leaky_relu of the model ``m`` would be relu of the model ``m_leaky``. A number ``N(0.5)``
becomes a constant of the type, and ``F(exp)`` the function of libm for it, such as expf.
"""

from __future__ import annotations

import re

import numpy as np

from mbbp.exchange.c.text import number

ELEMENTWISE = {
    "sigmoid": """
static inline R NAME_f_sigmoid(R z)
{
    const R e = F(exp)(-F(fabs)(z));
    return (z < N(0.0) ? e : N(1.0)) / (N(1.0) + e);
}
""",
    "tanh": """
static inline R NAME_f_tanh(R z)
{
    return F(tanh)(z);
}
""",
    "relu": """
static inline R NAME_f_relu(R z)
{
    return z < N(0.0) ? N(0.0) : z;
}
""",
    "leaky_relu": """
static inline R NAME_f_leaky_relu(R z)
{
    return z > N(0.0) ? z : N(0.01) * z;
}
""",
    "gelu": """
/* 1 + erf(u) = erfc(-u), which keeps its digits where the sum would cancel. */
static inline R NAME_f_gelu(R z)
{
    return N(0.5) * z * F(erfc)(N(-0.7071067811865476) * z);
}
""",
    "silu": """
static inline R NAME_f_silu(R z)
{
    const R e = F(exp)(-F(fabs)(z));
    return z * ((z < N(0.0) ? e : N(1.0)) / (N(1.0) + e));
}
""",
    "elu": """
static inline R NAME_f_elu(R z)
{
    return z > N(0.0) ? z : F(expm1)(z);
}
""",
    "softplus": """
static inline R NAME_f_softplus(R z)
{
    return (z < N(0.0) ? N(0.0) : z) + F(log1p)(F(exp)(-F(fabs)(z)));
}
""",
    "exp": """
static inline R NAME_f_exp(R z)
{
    return F(exp)(z);
}
""",
    "identity": "",
}

SOFTMAX = """
static inline void NAME_f_softmax(R *a, int n)
{
    R largest = a[0], sum = N(0.0);
    int j;
    for (j = 1; j < n; ++j)
        largest = a[j] > largest ? a[j] : largest;
    for (j = 0; j < n; ++j) {
        a[j] = F(exp)(a[j] - largest);
        sum += a[j];
    }
    for (j = 0; j < n; ++j)
        a[j] /= sum;
}
"""

FUNCTIONS = ELEMENTWISE | {"softmax": SOFTMAX}
WITHOUT_LIBM = frozenset({"relu", "leaky_relu", "identity"})


def c_type(dtype: np.dtype[np.floating]) -> str:
    """Return the name of a dtype in C."""
    return "float" if dtype == np.float32 else "double"


def written_for(code: str, name: str, dtype: np.dtype[np.floating]) -> str:
    """Return code for a model of this name and dtype, from the notation of this file."""
    end = "f" if dtype == np.float32 else ""
    code = re.sub(r"\bR\b", c_type(dtype), code)
    code = re.sub(r"\bN\(([-.\d]+)\)", lambda found: number(float(found[1]), dtype), code)
    code = re.sub(r"\bF\((\w+)\)", rf"\1{end}", code)
    return re.sub(r"\bNAME_", f"{name}_", code)
