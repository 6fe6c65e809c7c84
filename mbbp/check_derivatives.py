"""The other derivatives of a network, compiled, against the same ones in NumPy: Jacobians, products, curvatures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp import reference
from mbbp.network import Network
from mbbp.parameters import Array

MOST_COLUMNS = 10
MOST_WORK = 10_000_000  # numbers that the oracle computes for one comparison: less than some seconds
MOST_NUMBERS = 25_000_000  # in a Jacobian: 200 MB
TOLERANCES = {"float64": 1e-12, "float32": 1e-4}
REACH = {"float64": 1e-9, "float32": 1e-4}  # how near to a kink the two may take different sides of it
JUMP = 1e-2
MARGIN = 50.0  # how much more than a single rounding of each activation many roundings may do

NO_SECOND, AT_A_KINK, TOO_LARGE = "no second_derivative is given", "every example is at a kink", "it is too large"


class Comparison(NamedTuple):
    """How the compiled methods compare with the oracle.

    Attributes
    ----------
    worst : dict of str to float
        For each method of the network, the largest difference from the oracle's result, divided by the largest absolute
        entry of that result; or by more, where rounding alone makes a larger difference than the tolerance.
    left_out : dict of str to str
        For each method that was not compared, the reason.
    """

    worst: dict[str, float]
    left_out: dict[str, str]


def compare_derivatives(net: Network, X: ArrayLike, Y: ArrayLike, rng: np.random.Generator) -> Comparison:
    """Compare each derivative of a network with the oracle's, on the first columns of a mini-batch.

    Parameters
    ----------
    net : Network
        The network.
    X, Y : array_like of shapes (n_in, m), (n_L, m) or (m,)
        A mini-batch that the network has accepted. At most the first 10 columns are used, and fewer where the oracle
        would take long.
    rng : Generator
        The source of the directions.

    Returns
    -------
    Comparison

    Notes
    -----
    Near a kink, such as 0 for relu, rounding decides which side of it is taken. Examples there are not compared.

    Where neurons are saturated, 1 - a has few digits left, and the derivatives are as inexact as that, in any program.
    How inexact is measured: the oracle computes its result again with activations that are off by a rounding.
    """
    inputs, targets = _first_columns(net, X), _first_columns(net, Y)
    kept = ~_at_a_kink(net, inputs, targets)
    inputs, targets = inputs[:, kept], targets[..., kept]
    missing = _without_second_derivative(net)
    worst: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for name, case in _cases(net).items():
        if case.needs & missing:
            left_out[name] = NO_SECOND
        elif not kept.any():
            left_out[name] = AT_A_KINK
        elif case.numbers > MOST_NUMBERS:
            left_out[name] = TOO_LARGE
        else:
            m = min(max(MOST_WORK // case.work, 1), inputs.shape[1])
            columns, wanted = np.ascontiguousarray(inputs[:, :m]), np.ascontiguousarray(targets[..., :m])
            worst[name] = _difference(net, name, case.arguments(columns, wanted, rng), rng)
    return Comparison(worst, left_out)


class _Case(NamedTuple):
    arguments: Callable[[Array, Array, np.random.Generator], tuple[Any, ...]]  # from the inputs and the targets
    work: int  # numbers that the oracle computes for a column
    numbers: int = 0  # numbers of the result for a column
    needs: frozenset[str] = frozenset()


def _cases(net: Network) -> dict[str, _Case]:
    """Return how each method is called, after the network for the oracle."""
    n_in, n_out, size = net.sizes[0], net.sizes[-1], net.theta.size

    def normal(rng: np.random.Generator, *shape: int) -> Array:
        return rng.standard_normal(shape).astype(net.dtype)

    def clipping(X: Array, Y: Array, rng: np.random.Generator) -> tuple[Any, ...]:
        # so that some gradients are clipped and some are not
        norm = float(np.median(reference.gradient_norms(net, X, Y)))
        return X, Y, norm if 0.0 < norm < math.inf else 1.0

    of_both = frozenset({"activation", "cost"})
    return {
        "backpropagate": _Case(lambda X, Y, rng: (X, normal(rng, n_out, X.shape[1])), size),
        "vjp": _Case(lambda X, Y, rng: (X, normal(rng, n_out, X.shape[1])), size),
        "jvp": _Case(lambda X, Y, rng: (X, normal(rng, size), normal(rng, *X.shape)), size),
        "jacobian": _Case(lambda X, Y, rng: (X,), n_out * size, n_out * size),
        "input_jacobian": _Case(lambda X, Y, rng: (X,), n_out * size),
        "directional_derivatives": _Case(
            lambda X, Y, rng: (X, normal(rng, n_in, 2)), 2 * size, needs=frozenset({"activation"})
        ),
        "laplacian": _Case(lambda X, Y, rng: (X,), n_in * size, needs=frozenset({"activation"})),
        "hessian_vector_product": _Case(lambda X, Y, rng: (X, Y, normal(rng, size)), size, needs=of_both),
        "gauss_newton_vector_product": _Case(
            lambda X, Y, rng: (X, Y, normal(rng, size)), size, needs=frozenset({"cost"})
        ),
        "per_example_gradients": _Case(lambda X, Y, rng: (X, Y), size),
        "gradient_norms": _Case(lambda X, Y, rng: (X, Y), size),
        "clipped_gradient_sum": _Case(clipping, size),
    }


def _first_columns(net: Network, value: ArrayLike) -> Array:
    """Return the first columns, real ones in the network's dtype, so that both sides get the same numbers."""
    array = np.asarray(value)[..., :MOST_COLUMNS]
    return array.astype(net.dtype) if array.dtype.kind == "f" else array


def _without_second_derivative(net: Network) -> set[str]:
    """Return which of "activation" and "cost" the oracle knows no second derivative of."""
    cost, missing = net.cost_function, set()
    if any(one.second_derivative is None and one.second_product is None for one in _activations(net)):
        missing.add("activation")
    if cost.second_derivative is None and cost.fused_tangent is None:
        missing.add("cost")
    return missing


def _activations(net: Network) -> list[Any]:
    return [layer.activation for layer in net.layers]


def _at_a_kink(net: Network, X: Array, Y: Array) -> Array:
    """Return for each column whether a derivative jumps near its weighted inputs or its outputs, (m,)."""
    zs, outputs = reference.feedforward(net, X)
    reach = REACH[net.dtype.name]
    found = np.zeros(X.shape[1], bool)
    for activation, z in zip(_activations(net), zs, strict=True):
        if activation.second_product is None:  # softmax has no kink
            found |= _jumps([activation.derivative, activation.second_derivative], z, reach)
    cost = net.cost_function
    if cost.fused_error is None:
        y = reference.unit_vectors(Y, net.sizes[-1])
        derivatives = [
            None if one is None else (lambda a, one=one: one(a, y)) for one in (cost.gradient, cost.second_derivative)
        ]
        found |= _jumps(derivatives, outputs[-1], reach)
    return found


def _jumps(derivatives: Sequence[Callable[[Array], Array] | None], at: Array, reach: float) -> Array:
    """Return for each column whether one of these functions has different values on the two sides of a number of it."""
    step = reach * (1.0 + np.abs(at))
    found = np.zeros(at.shape[1], bool)
    for derivative in derivatives:
        if derivative is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                ahead, behind = derivative(at + step), derivative(at - step)
                found |= (np.abs(ahead - behind) > JUMP * np.maximum(1.0, np.abs(ahead))).any(axis=0)
    return found


def _difference(net: Network, name: str, arguments: tuple[Any, ...], rng: np.random.Generator) -> float:
    """Return the largest relative difference of all parts of a result."""
    in_numpy = getattr(reference, name)
    with np.errstate(over="ignore", invalid="ignore"):
        found, exact = _parts(getattr(net, name)(*arguments)), _parts(in_numpy(net, *arguments))
        rounded = _parts(in_numpy(_rounded(net, rng), *arguments))
        margin = MARGIN / TOLERANCES[net.dtype.name]
        return max(_relative(*three, margin) for three in zip(found, exact, rounded, strict=True))


def _parts(result: Any) -> list[Array]:
    """Return the arrays of a result; those of a Gradient are its `theta` and its `inputs`."""
    if hasattr(result, "theta"):
        return [result.theta, result.inputs]
    return list(result) if isinstance(result, tuple) else [result]


def _relative(found: Array, exact: Array, rounded: Array, margin: float) -> float:
    """Return the largest difference divided by the largest number; inf if it is NaN or the shapes differ."""
    if found.shape != exact.shape:
        return math.inf
    scale = max(float(np.abs(exact).max(initial=0.0)), margin * float(np.abs(rounded - exact).max(initial=0.0))) or 1.0
    difference = float(np.abs(found - exact).max(initial=0.0)) / scale
    return difference if math.isfinite(scale) and not math.isnan(difference) else math.inf


def _rounded(net: Network, rng: np.random.Generator) -> Any:
    """Return what the oracle reads of a network, with activations that are off by a rounding to its dtype."""
    off = _Off(float(np.finfo(net.dtype).eps), rng)
    return SimpleNamespace(
        sizes=net.sizes,
        theta=net.theta,
        layers=[SimpleNamespace(activation=_RoundedActivation(one, off)) for one in _activations(net)],
        cost_function=net.cost_function,
        scaling=net.scaling,
    )


class _Off(NamedTuple):
    epsilon: float
    rng: np.random.Generator

    def __call__(self, values: Array, least: float = 0.0) -> Array:
        """Return numbers off by epsilon up or down, relative to each of them or, if that is more, to `least`."""
        signs = self.rng.choice((-1.0, 1.0), np.shape(values))
        off: Array = values + self.epsilon * signs * np.maximum(np.abs(values), least)
        return off


class _RoundedActivation:
    """An activation off by a rounding: in z, in a, and in the derivatives, which may be computed from 1 - a."""

    def __init__(self, activation: Any, off: _Off) -> None:
        self._activation, self._off = activation, off

    def function(self, z: Array) -> Array:
        """Return sigma(z)."""
        return self._off(self._activation.function(self._off(z)))

    def derivative(self, z: Array) -> Array:
        """Return sigma'(z)."""
        return self._off(self._activation.derivative(self._off(z)), 1.0)

    def multiply_by_derivative(self, z: Array, a: Array, delta: Array) -> Array:
        """Return delta * sigma'(z), or the product with the Jacobian of softmax."""
        if self._activation.second_product is not None:
            product: Array = self._activation.jacobian_product(a, delta)
            return product
        return delta * self.derivative(z)

    def multiply_by_second_derivative(self, z: Array, a: Array, e: Array, tangent_z: Array) -> Array:
        """Return e * sigma''(z) * tangent_z, or R{J e} of softmax."""
        if self._activation.second_product is not None:
            product: Array = self._activation.second_product(a, e, tangent_z)
            return product
        return e * self._off(self._activation.second_derivative(self._off(z)), 1.0) * tangent_z
