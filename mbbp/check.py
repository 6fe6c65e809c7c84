"""The gradient check: the gradient of backpropagation against numeric derivatives, and the others against NumPy."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from mbbp import reference
from mbbp.chapter2.numbering import as_network
from mbbp.check_derivatives import TOLERANCES as DERIVATIVE_TOLERANCES
from mbbp.check_derivatives import Comparison, compare_derivatives
from mbbp.network import Network
from mbbp.parameters import Array, parameter_views
from mbbp.tables import html_table, text_table, wrapped
from mbbp.validation import as_count, as_flag, as_generator, as_number, refuse_unknown

DERIVATIVES = {"central": reference.central_difference, "complex": reference.complex_step}
HEADINGS = ("layer", "compared", "skipped", "worst", "where", "backprop", "numeric")
TOLERANCES = {
    ("central", "float64"): 1e-6,
    ("complex", "float64"): 1e-11,
    ("central", "float32"): 1e-4,
    ("complex", "float32"): 1e-4,
}


@dataclass(frozen=True)
class LayerCheck:
    """The comparison for the weights or for the biases of one layer.

    Attributes
    ----------
    layer : int
        The index of the layer in ``net.layers``.
    kind : {"W", "b"}
        Weights or biases.
    compared, skipped : int
        The number of parameters that were compared, and of those that were skipped. A parameter is skipped if the small
        change for the numeric derivative takes a weighted input across a kink of an activation, or an output across one
        of the cost.
    worst : float
        The largest difference, divided by the largest absolute derivative of the whole network.
    index : tuple of int or None
        The place of the largest difference: (neuron, input), or (neuron, 0) for a bias. None if all were skipped.
    backprop, numeric : float
        The two derivatives at this place.
    """

    layer: int
    kind: str
    compared: int
    skipped: int
    worst: float
    index: tuple[int, int] | None
    backprop: float
    numeric: float


@dataclass(frozen=True)
class GradientCheck:
    """The result of `check_gradients`. ``print`` and a notebook show it as a table, and its `repr` is one line.

    Attributes
    ----------
    method : {"central", "complex"}
        The kind of numeric derivative.
    layers : list of LayerCheck
        One for the weights and one for the biases of each layer.
    directions : list of float
        For each random direction, the difference between the derivative from backpropagation and the numeric one,
        divided by the norm of the gradient. Directions that cross a kink are left out.
    tolerance : float
        The largest relative difference that is allowed for the gradient.
    derivatives : dict of str to float
        For each other method of the network that differentiates it, such as `jvp` or `hessian_vector_product`, the
        largest difference from the same method of `mbbp.reference`, divided by the largest absolute entry of that
        one's result. It is divided by more where neurons are so saturated that rounding alone makes a larger difference
        than is allowed.
    left_out : dict of str to str
        For each such method that was not compared, the reason.
    derivative_tolerance : float
        The largest relative difference that is allowed in `derivatives`.
    worst : float
        The largest of all relative differences.
    passed : bool
        Whether all differences are within their tolerance.
    """

    method: str
    layers: list[LayerCheck]
    directions: list[float]
    tolerance: float
    derivatives: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    derivative_tolerance: float = DERIVATIVE_TOLERANCES["float64"]

    @property
    def worst(self) -> float:
        """The largest of all relative differences."""
        return max(self._worst_of_gradient, self._worst_of_derivatives)

    @property
    def passed(self) -> bool:
        """Whether all differences are within their tolerance."""
        return self._worst_of_gradient <= self.tolerance and not self._wrong

    @property
    def _worst_of_gradient(self) -> float:
        return max([one.worst for one in self.layers] + self.directions, default=0.0)

    @property
    def _worst_of_derivatives(self) -> float:
        return max(self.derivatives.values(), default=0.0)

    @property
    def _wrong(self) -> list[str]:
        return [name for name, worst in self.derivatives.items() if worst > self.derivative_tolerance]

    def __repr__(self) -> str:
        return f"GradientCheck({'; '.join([self._verdict(), *([self._of_derivatives()] if self._wrong else [])])})"

    def __str__(self) -> str:
        return "\n".join([*text_table(HEADINGS, self._rows()), *map(wrapped, self._notes()), wrapped(self._sentence())])

    def _repr_html_(self) -> str:
        return html_table(HEADINGS, self._rows(), self._sentence(), self._notes())

    def _verdict(self) -> str:
        verdict = "right" if self._worst_of_gradient <= self.tolerance else "WRONG"
        return (
            f"{verdict}: worst relative difference {self._worst_of_gradient:.1e}, {self.tolerance:.0e} allowed "
            f"(numeric derivative: {self.method})"
        )

    def _sentence(self) -> str:
        return f"the gradient is {self._verdict()}"

    def _notes(self) -> list[str]:
        notes = []
        if self.directions:
            notes.append(f"{len(self.directions)} random directions: worst {max(self.directions):.1e}")
        if self.derivatives:
            notes.append(self._of_derivatives())
        for reason in sorted(set(self.left_out.values())):
            names = [name for name, one in self.left_out.items() if one == reason]
            notes.append(f"not compared, since {reason}: {', '.join(names)}")
        return notes

    def _of_derivatives(self) -> str:
        name = max(self.derivatives, key=self.derivatives.__getitem__)
        verdict = f"{', '.join(self._wrong)} WRONG" if self._wrong else "right"
        return (
            f"{len(self.derivatives)} other derivatives: {verdict}: worst {self._worst_of_derivatives:.1e} ({name}), "
            f"{self.derivative_tolerance:.0e} allowed"
        )

    def _rows(self) -> list[list[str]]:
        return [
            [f"{one.layer}.{one.kind}", f"{one.compared:,}", f"{one.skipped:,}", f"{one.worst:.1e}"]
            + (["-"] * 3 if one.index is None else _place(one.kind, one.index, one.backprop, one.numeric))
            for one in self.layers
        ]


def _place(kind: str, index: tuple[int, int], backprop: float, numeric: float) -> list[str]:
    return [f"{kind}{list(index)}", f"{backprop:.8g}", f"{numeric:.8g}"]


def check_gradients(
    net: Network,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    method: str = "central",
    max_parameters: int = 1000,
    directions: int = 10,
    tolerance: float | None = None,
    derivatives: bool = False,
    raise_on_failure: bool = False,
    rng: int | np.random.Generator | None = 0,
) -> GradientCheck:
    """Compare the network's gradient with numeric derivatives, for single parameters and along random directions.

    With `derivatives`, the network's other derivatives are checked, too.

    Parameters
    ----------
    net : Network
        The network; it is not changed.
    X, Y : array_like of shapes (n_in, m), (n_L, m) or (m,)
        A mini-batch: inputs, and desired outputs or labels.
    method : {"central", "complex"}
        Central differences, with an error of about 1e-9, or the complex step, with an error of the order of rounding.
        The complex step needs activations and a cost that take complex numbers, as all the built-in ones do.
    max_parameters : int
        The largest number of weights, and of biases, to compare in each layer. If there are more, they are chosen at
        random.
    directions : int
        The number of random directions in the space of all parameters.
    tolerance : float, optional
        The largest relative difference that is allowed for the gradient. By default 1e-6 for central differences and
        1e-11 for the complex step in float64, and 1e-4 in float32. For the other derivatives it is always 1e-12 in
        float64 and 1e-4 in float32.
    derivatives : bool
        Whether to compare also the network's other derivatives, such as `jacobian` and `hessian_vector_product`, with
        those of `mbbp.reference`, on at most the first 10 examples. Their kernels are compiled first, which takes about
        half a minute, once.
    raise_on_failure : bool
        Whether to raise AssertionError if the gradient or another derivative is wrong.
    rng : int or Generator, optional
        The source of the random choices.

    Returns
    -------
    GradientCheck
        The differences, and whether they are within the tolerance. ``print`` shows it as a table.

    Raises
    ------
    ValueError
        If X or Y has the wrong shape or holds NaN or inf, the method is unknown, or a number is out of range.
    TypeError
        If an argument is of the wrong type, or a custom function does not take complex numbers with "complex".
    AssertionError
        If `raise_on_failure` is true and the gradient or another derivative is wrong.

    Notes
    -----
    The numeric derivative is computed from the cost in float64, in plain NumPy. Central differences compare the cost at
    two points. If a weighted input lies on different sides of a kink of its activation (0 for relu) at the two points,
    or an output on different sides of a kink of the cost (its target for the absolute cost), their difference is not
    the derivative: the parameter is skipped and counted.

    The other derivatives are left out where they need a `second_derivative` that a custom activation or cost does not
    have, and on examples at a kink.
    """
    as_network(net)
    if not isinstance(method, str) or method not in DERIVATIVES:
        refuse_unknown("method", method, DERIVATIVES)
    most, count = as_count("max_parameters", max_parameters), as_count("directions", directions, least=0)
    wants_all = as_flag("derivatives", derivatives)
    must_pass, generator = as_flag("raise_on_failure", raise_on_failure), as_generator("rng", rng)
    limit = TOLERANCES[method, net.dtype.name] if tolerance is None else as_number("tolerance", tolerance)
    backprop = np.asarray(net.gradient(X, Y).theta, np.float64)
    layers = _check_layers(net, X, Y, method, backprop, most, generator)
    slopes = _check_directions(net, X, Y, method, backprop, count, generator)
    others = compare_derivatives(net, X, Y, generator) if wants_all else Comparison({}, {})
    result = GradientCheck(
        method, layers, slopes, limit, others.worst, others.left_out, DERIVATIVE_TOLERANCES[net.dtype.name]
    )
    if must_pass and not result.passed:
        raise AssertionError(f"check_gradients:\n{result}")
    return result


def _check_layers(
    net: Network,
    X: ArrayLike,
    Y: ArrayLike,
    method: str,
    backprop: Array,
    max_parameters: int,
    rng: np.random.Generator,
) -> list[LayerCheck]:
    numbers = parameter_views(np.arange(backprop.size), net.sizes)
    largest = float(np.abs(backprop).max()) or 1.0
    direction = np.zeros(backprop.size)
    found = []
    for layer in range(len(net.layers)):
        for kind, positions in (("W", numbers[0][layer]), ("b", numbers[1][layer])):
            places = positions.T.ravel()
            if places.size > max_parameters:
                places = rng.choice(places, max_parameters, replace=False)
            worst, at, numeric_at, skipped = 0.0, -1, 0.0, 0
            for place in places:
                direction[place] = 1.0
                numeric = _derivative(net, X, Y, method, direction)
                direction[place] = 0.0
                if numeric is None:
                    skipped += 1
                    continue
                difference = _relative(numeric - float(backprop[place]), largest)
                if at < 0 or difference > worst:
                    worst, at, numeric_at = difference, int(place), numeric
            index = None if at < 0 else tuple(int(i) for i in np.argwhere(positions == at)[0])
            found.append(
                LayerCheck(
                    layer,
                    kind,
                    len(places) - skipped,
                    skipped,
                    worst,
                    index,  # type: ignore[arg-type]
                    float(backprop[at]) if at >= 0 else 0.0,
                    numeric_at,
                )
            )
    return found


def _check_directions(
    net: Network,
    X: ArrayLike,
    Y: ArrayLike,
    method: str,
    backprop: Array,
    count: int,
    rng: np.random.Generator,
) -> list[float]:
    scale = float(np.linalg.norm(backprop)) or 1.0
    differences = []
    for _ in range(count):
        direction = rng.standard_normal(backprop.size)
        direction /= np.linalg.norm(direction)
        numeric = _derivative(net, X, Y, method, direction)
        if numeric is not None:
            differences.append(_relative(numeric - float(backprop @ direction), scale))
    return differences


def _relative(difference: float, scale: float) -> float:
    """Return the absolute difference divided by the scale. NaN becomes inf, so that it is never within a tolerance."""
    share = abs(float(difference)) / scale
    return math.inf if math.isnan(share) else share


def _derivative(net: Network, X: ArrayLike, Y: ArrayLike, method: str, direction: Array) -> float | None:
    """Return the derivative of the cost along a direction, or None if central differences would cross a kink."""
    if method == "complex":
        try:
            with warnings.catch_warnings():
                # math.exp, for example, takes only the real part of a NumPy number: the derivative would be 0
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return reference.complex_step(net, X, Y, direction)
        except (TypeError, np.exceptions.ComplexWarning) as error:
            raise TypeError(
                f"method: expected 'central' for functions that do not take complex numbers, got 'complex' ({error})"
            ) from error
    has_kinks = net.cost_function.kinks or any(layer.activation.kinks for layer in net.layers)
    if has_kinks and _crosses_kink(net, X, Y, direction):
        return None
    return reference.central_difference(net, X, Y, direction)


def _crosses_kink(net: Network, X: ArrayLike, Y: ArrayLike, direction: Array, step: float = 1e-6) -> bool:
    theta = np.asarray(net.theta, np.float64)
    ahead, outputs_ahead = reference.feedforward(net, X, theta + step * direction)
    behind, outputs_behind = reference.feedforward(net, X, theta - step * direction)
    for kink in net.cost_function.kinks:
        where = reference.unit_vectors(Y, net.sizes[-1]) + kink
        if (np.sign(outputs_ahead[-1] - where) != np.sign(outputs_behind[-1] - where)).any():
            return True
    for layer, z_ahead, z_behind in zip(net.layers, ahead, behind, strict=True):
        for kink in layer.activation.kinks:
            if ((z_ahead > kink) != (z_behind > kink)).any():
                return True
    return False
