"""Is the gradient right? Backpropagation against numeric derivatives."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mbbp import reference
from mbbp.network import Network
from mbbp.parameters import Array, parameter_views
from mbbp.validation import as_count, refuse_unknown

DERIVATIVES = {"central": reference.central_difference, "complex": reference.complex_step}
TOLERANCES = {
    ("central", "float64"): 1e-6,
    ("complex", "float64"): 1e-11,
    ("central", "float32"): 1e-4,
    ("complex", "float32"): 1e-4,
}


@dataclass(frozen=True)
class LayerCheck:
    """The comparison of one layer's weights or biases.

    Attributes
    ----------
    layer : int
        The index in ``net.layers``.
    kind : {"W", "b"}
        Which of its parameters.
    compared, skipped : int
        How many parameters were compared, and how many lie so near a kink of an activation that there is no derivative.
    worst : float
        The largest difference, relative to the largest derivative in the whole network.
    index : tuple of int or None
        Where it is, (neuron, input) or (neuron, 0).
    backprop, numeric : float
        The two derivatives there.
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
    """What `check_gradients` compared and found.

    Attributes
    ----------
    method : {"central", "complex"}
        The numeric derivative.
    layers : list of LayerCheck
        By layer, weights and biases apart.
    directions : list of float
        For random directions, the difference between the slope that the gradient gives and the numeric one, relative to
        the gradient's norm. Directions that cross a kink are left out.
    worst : float
        The largest difference of all.
    tolerance : float
        What was allowed.
    passed : bool
        Whether the worst is within the tolerance.
    """

    method: str
    layers: list[LayerCheck]
    directions: list[float]
    tolerance: float

    @property
    def worst(self) -> float:
        """The largest difference of all."""
        return max([one.worst for one in self.layers] + self.directions, default=0.0)

    @property
    def passed(self) -> bool:
        """Whether the worst difference is within the tolerance."""
        return self.worst <= self.tolerance

    def __str__(self) -> str:
        lines = [f"{'layer':>7} {'compared':>9} {'skipped':>8} {'worst':>9}   where, backprop, numeric"]
        for one in self.layers:
            where = "" if one.index is None else f"{one.kind}{list(one.index)}  {one.backprop:.9g}  {one.numeric:.9g}"
            name = f"{one.layer}.{one.kind}"
            lines.append(f"{name:>7} {one.compared:>9} {one.skipped:>8} {one.worst:>9.1e}   {where}")
        if self.directions:
            lines.append(f"{len(self.directions)} random directions: worst {max(self.directions):.1e}")
        verdict = "right" if self.passed else "WRONG"
        lines.append(
            f"the gradient is {verdict}: worst relative difference {self.worst:.1e}, "
            f"{self.tolerance:.0e} allowed ({self.method} differences)"
        )
        return "\n".join(lines)


def check_gradients(
    net: Network,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    method: str = "central",
    max_parameters: int = 1000,
    directions: int = 10,
    tolerance: float | None = None,
    raise_on_failure: bool = False,
    rng: int | np.random.Generator | None = 0,
) -> GradientCheck:
    """Compare the network's gradient with numeric derivatives, by parameter and along random directions.

    Parameters
    ----------
    net : Network
        The network; it is not changed.
    X, Y : array_like of shapes (n_in, m), (n_L, m) or (m,)
        A mini-batch.
    method : {"central", "complex"}
        Central differences, good to about 1e-9; or the complex step, good to rounding, for functions that take complex
        numbers (all the built-in ones do).
    max_parameters : int
        At most so many parameters of each layer's weights and biases are compared; where there are more, a random
        choice of them.
    directions : int
        How many random directions through the space of all parameters.
    tolerance : float, optional
        The relative difference allowed; by default 1e-6 for central differences and 1e-11 for the complex step in
        float64, 1e-4 in float32.
    raise_on_failure : bool
        Whether to raise AssertionError if the gradient is wrong.
    rng : int or Generator, optional
        For the random choices.

    Returns
    -------
    GradientCheck
        Printed, it is a table.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as it should be, or a function does not take the complex step.
    AssertionError
        If asked for, and the gradient is wrong.

    Notes
    -----
    The numeric derivative is that of the cost in float64, by plain NumPy. Where the two points lie on two sides of an
    activation's kink (relu at 0), there is no derivative to compare with: the parameter is skipped and counted.
    """
    if method not in DERIVATIVES:
        refuse_unknown("method", method, DERIVATIVES)
    as_count("max_parameters", max_parameters)
    as_count("directions", directions, least=0)
    generator = np.random.default_rng(rng)
    backprop = np.asarray(net.gradient(X, Y).theta, np.float64)
    limit = TOLERANCES[method, net.dtype.name] if tolerance is None else tolerance
    layers = _check_layers(net, X, Y, method, backprop, max_parameters, generator)
    slopes = _check_directions(net, X, Y, method, backprop, directions, generator)
    result = GradientCheck(method, layers, slopes, limit)
    if raise_on_failure and not result.passed:
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
    """Return a difference relative to a scale; where NaN or inf comes in, nothing agrees with it, so inf."""
    share = abs(float(difference)) / scale
    return math.inf if math.isnan(share) else share


def _derivative(net: Network, X: ArrayLike, Y: ArrayLike, method: str, direction: Array) -> float | None:
    """Return the slope of the cost along a direction, or None where the points used lie on two sides of a kink."""
    if method == "complex":
        try:
            with warnings.catch_warnings():
                # math.exp, say, takes the real part of a NumPy number, and would have the derivative be 0
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return reference.complex_step(net, X, Y, direction)
        except (TypeError, np.exceptions.ComplexWarning) as error:
            raise TypeError(f"method: an activation or the cost does not take complex numbers ({error})") from error
    if any(layer.activation.kinks for layer in net.layers) and _crosses_kink(net, X, direction):
        return None
    return reference.central_difference(net, X, Y, direction)


def _crosses_kink(net: Network, X: ArrayLike, direction: Array, step: float = 1e-6) -> bool:
    theta = np.asarray(net.theta, np.float64)
    ahead, _ = reference.feedforward(net, X, theta + step * direction)
    behind, _ = reference.feedforward(net, X, theta - step * direction)
    for layer, z_ahead, z_behind in zip(net.layers, ahead, behind, strict=True):
        for kink in layer.activation.kinks:
            if ((z_ahead > kink) != (z_behind > kink)).any():
                return True
    return False
