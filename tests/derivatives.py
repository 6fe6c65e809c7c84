"""Problems for the compiled derivatives of a network, and a call of every method, for several test files."""

import numpy as np

import mbbp
from mbbp import reference

METHODS = [
    "backpropagate",
    "vjp",
    "jvp",
    "jacobian",
    "input_jacobian",
    "directional_derivatives",
    "laplacian",
    "hessian_vector_product",
    "gauss_newton_vector_product",
    "per_example_gradients",
    "gradient_norms",
    "clipped_gradient_sum",
]


def mild(rng, n_in, n_out):
    """Draw parameters for which no output saturates."""
    return 0.8 * rng.standard_normal((n_out, n_in)) / np.sqrt(n_in), 0.3 * rng.standard_normal((n_out, 1))


def scaling(kind, rng, n_in):
    """Return no scaling, a factor, or one with a mean and a factor for each input."""
    if kind == "standardized":
        return mbbp.Scaling(rng.standard_normal(n_in), rng.uniform(0.2, 2.0, n_in))
    return 0.3 if kind == "factor" else None


def problem(sizes, activation, cost, dtype="float64", m=4, seed=0, scaled="no", order="C"):
    """Return a network with inputs and targets that fit, and a generator for directions."""
    rng = np.random.default_rng(seed)
    net = mbbp.Network(sizes, activation, cost, dtype, mild, rng=seed, scaling=scaling(scaled, rng, sizes[0]))
    X, Y = rng.standard_normal((sizes[0], m)), rng.dirichlet(np.ones(sizes[-1]), m).T
    if net.cost_function.is_of_classes:
        Y = np.eye(sizes[-1])[Y.argmax(axis=0)].T
    return net, np.asarray(X, dtype, order=order), np.asarray(Y, dtype), rng


def calls(net, X, Y, rng):
    """Return calls of all methods: the name and the arguments by position."""

    def normal(*shape):
        return rng.standard_normal(shape).astype(net.dtype)

    outputs, size = (net.sizes[-1], X.shape[1]), net.theta.size
    norm = float(np.median(reference.gradient_norms(net, X, Y))) or 1.0
    return [
        ("backpropagate", (X, normal(*outputs))),
        ("vjp", (X, normal(*outputs))),
        ("jvp", (X, normal(size))),
        ("jvp", (X, None, normal(*X.shape))),
        ("jvp", (X, normal(size), normal(*X.shape))),
        ("jacobian", (X,)),
        ("input_jacobian", (X,)),
        ("directional_derivatives", (X, normal(len(X), 3))),
        ("laplacian", (X,)),
        ("hessian_vector_product", (X, Y, normal(size))),
        ("gauss_newton_vector_product", (X, Y, normal(size))),
        ("per_example_gradients", (X, Y)),
        ("gradient_norms", (X, Y)),
        ("clipped_gradient_sum", (X, Y, norm)),
    ]


def parts(result):
    """Return the arrays of a result."""
    if isinstance(result, mbbp.Gradient):
        assert np.isnan(result.cost)
        return [result.theta, result.inputs, *result.weights, *result.biases]
    return list(result) if isinstance(result, tuple) else [result]


def keywords(net, X, Y):
    """Return a good call of every method, by keyword."""
    rng = np.random.default_rng(3)
    U, v = rng.standard_normal((net.sizes[-1], X.shape[1])), rng.standard_normal(net.theta.size)
    both = {"X": X, "Y": Y}
    return {
        "backpropagate": {"X": X, "output_gradient": U},
        "vjp": {"X": X, "vectors": U},
        "jvp": {"X": X, "theta_direction": v, "input_direction": rng.standard_normal(X.shape)},
        "jacobian": {"X": X},
        "input_jacobian": {"X": X},
        "directional_derivatives": {"X": X, "directions": rng.standard_normal((len(X), 2))},
        "laplacian": {"X": X},
        "hessian_vector_product": both | {"direction": v},
        "gauss_newton_vector_product": both | {"direction": v},
        "per_example_gradients": both,
        "gradient_norms": both,
        "clipped_gradient_sum": both | {"clip_norm": 1.0},
    }
