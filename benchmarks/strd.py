"""Fits problems of nonlinear regression of NIST with networks that can express their models, by Levenberg-Marquardt.

    python benchmarks/strd.py [--epochs 2000] [--json FILE]

NIST certifies the least sum of squared residuals of each problem to eleven digits. A network can express the same
functions in other parameters, sometimes in more of them than the model has, so the least sum is the same. Each fit
begins with NIST's starting values, converted to weights and biases. The digits are -log10 of the relative error of the
sum, at most 11; scipy's ``least_squares(method="lm")`` gets the same networks and their Jacobians.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mbbp.parameters import Array

MOST_DIGITS = 11.0


def reciprocal(z):
    return 1.0 / z if z != 0.0 else math.nan


def reciprocal_prime(z):
    return -1.0 / (z * z) if z != 0.0 else math.nan


def logarithm(z):
    return math.log(z) if z > 0.0 else math.nan


def logarithm_prime(z):
    return 1.0 / z if z > 0.0 else math.nan


@dataclass(frozen=True)
class Model:
    """How a network expresses the model of a problem.

    Attributes
    ----------
    formula : str
        NIST's model.
    sizes, activations : tuple
        The network.
    inputs : callable
        Returns the inputs (n_in, n) for x.
    scale : float
        By which the targets are divided. A negative one makes them positive, as the outputs of exp are.
    parameters : callable
        Returns the weights and biases for NIST's parameters: for each layer the rows of W, then b.
    """

    formula: str
    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    inputs: Callable[[Array], Sequence[Array]]
    scale: float
    parameters: Callable[..., tuple[Any, ...]]


def _eckerle(b1: float, b2: float, b3: float) -> tuple[Any, ...]:
    shift = (450.0 - b3) / b2
    return [[-50.0 * shift / b2, -0.5 * (50.0 / b2) ** 2]], [math.log(b1 / b2) - 0.5 * shift**2]


# Inputs are scaled to about 1. This is a change of the parameters, too.
MODELS = {
    "Misra1d": Model(
        "b1 b2 x / (1 + b2 x)",
        (1, 1),
        ("reciprocal",),
        lambda x: [100.0 / x],
        50.0,
        lambda b1, b2: ([[0.5 / (b1 * b2)]], [50.0 / b1]),
    ),
    "DanWood": Model("b1 x^b2", (1, 1), ("exp",), lambda x: [np.log(x)], 1.0, lambda b1, b2: ([[b2]], [math.log(b1)])),
    "MGH17": Model(
        "b1 + b2 exp(-b4 x) + b3 exp(-b5 x)",
        (1, 2, 1),
        ("exp", "identity"),
        lambda x: [x / 100.0],
        1.0,
        lambda b1, b2, b3, b4, b5: ([[-100.0 * b4], [-100.0 * b5]], [0.0, 0.0], [[b2, b3]], [b1]),
    ),
    "Rat42": Model(
        "b1 / (1 + exp(b2 - b3 x))",
        (1, 1, 1),
        ("exp", "reciprocal"),
        lambda x: [x / 50.0],
        50.0,
        lambda b1, b2, b3: ([[-50.0 * b3]], [b2], [[50.0 / b1]], [50.0 / b1]),
    ),
    "MGH10": Model(
        "b1 exp(b2 / (x + b3))",
        (1, 1, 1),
        ("reciprocal", "exp"),
        lambda x: [x / 100.0],
        10_000.0,
        lambda b1, b2, b3: ([[1.0]], [b3 / 100.0], [[b2 / 100.0]], [math.log(b1 / 10_000.0)]),
    ),
    "Eckerle4": Model(
        "b1 / b2 exp(-1/2 ((x - b3) / b2)^2)",
        (2, 1),
        ("exp",),
        lambda x: [(x - 450.0) / 50.0, ((x - 450.0) / 50.0) ** 2],
        1.0,
        _eckerle,
    ),
    "Rat43": Model(
        "b1 / (1 + exp(b2 - b3 x))^(1 / b4)",
        (1, 1, 1),
        ("softplus", "exp"),
        lambda x: [x / 10.0],
        500.0,
        lambda b1, b2, b3, b4: ([[-10.0 * b3]], [b2], [[-1.0 / b4]], [math.log(b1 / 500.0)]),
    ),
    "Bennett5": Model(
        "b1 (b2 + x)^(-1 / b3)",
        (1, 1, 1),
        ("logarithm", "exp"),
        lambda x: [x / 50.0],
        -30.0,
        lambda b1, b2, b3: ([[1.0]], [b2 / 50.0], [[-1.0 / b3]], [math.log(-b1 / 30.0) - math.log(50.0) / b3]),
    ),
}


class Fit:
    """A network with the data of a problem, at one of NIST's starting values, or for None at its certified ones."""

    def __init__(self, name: str, start: int | None) -> None:
        import mbbp
        from benchmarks.strd_data import REFERENCES

        custom = {
            "reciprocal": mbbp.Activation("reciprocal", reciprocal, reciprocal_prime),
            "logarithm": mbbp.Activation("logarithm", logarithm, logarithm_prime),
        }
        self.reference, model = REFERENCES[name], MODELS[name]
        x, y = self.reference.xy
        self.scale = model.scale
        self.X, self.Y = np.array(model.inputs(x)), y[None] / model.scale
        kinds = [custom.get(kind, kind) for kind in model.activations]
        self.net = mbbp.Network(model.sizes, kinds, cost="quadratic", dtype="float64", rng=0)
        values = self.reference.certified if start is None else self.reference.starts[start]
        parameters = model.parameters(*values)
        for layer, W, b in zip(self.net.layers, parameters[::2], parameters[1::2], strict=True):
            layer.W[...] = W
            layer.b[:, 0] = b

    def sum_of_squares(self) -> float:
        """Return the sum of the squared residuals, in the units of the data."""
        return float(((self.scale * (self.net.feedforward(self.X) - self.Y)) ** 2).sum())

    def digits(self) -> float:
        """Return how many digits of the sum of squares are right."""
        certified = self.reference.residual_sum_of_squares
        error = abs(self.sum_of_squares() - certified) / certified
        return min(MOST_DIGITS, max(0.0, -math.log10(error))) if 0.0 < error < math.inf else MOST_DIGITS * (error == 0)

    def by_mbbp(self, epochs: int) -> int:
        """Train, and return the number of steps until the last one that made the cost less."""
        history = self.net.fit(self.X, self.Y, optimizer="levenberg_marquardt", epochs=epochs, progress=False)
        costs = np.array(history["training_cost"])
        return int(np.flatnonzero(costs <= costs.min() * (1.0 + 1e-9))[0])

    def by_scipy(self, epochs: int) -> int:
        """Fit by scipy's method, and return the number of its Jacobians."""
        from scipy.optimize import least_squares

        net = self.net

        def residuals(theta: Array) -> Array:
            net.theta[...] = theta
            r = (net.feedforward(self.X) - self.Y).ravel()
            return np.where(np.isfinite(r), r, 1e100)  # MINPACK goes on only with numbers

        def derivatives(theta: Array) -> Array:
            net.theta[...] = theta
            return net.jacobian(self.X)[0]

        least = 1e-15
        found = least_squares(
            residuals,
            net.theta.copy(),
            derivatives,
            method="lm",
            ftol=least,
            xtol=least,
            gtol=least,
            max_nfev=epochs,
        )
        net.theta[...] = found.x
        return int(found.njev or 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=2000, help="the most steps of a fit")
    parser.add_argument("--json", type=Path, help="write the digits to this file")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent.parent))
    import mbbp
    from benchmarks.strd_data import REFERENCES

    results = []
    for name, model in MODELS.items():
        row: dict[str, Any] = {"name": name, "formula": model.formula, "sizes": model.sizes}
        for who in ("mbbp", "scipy"):
            for start in (0, 1):
                fit = Fit(name, start)
                try:
                    steps = getattr(fit, f"by_{who}")(options.epochs)
                    row[f"{who}, start {start + 1}"] = {"digits": fit.digits(), "steps": steps}
                except (ArithmeticError, AttributeError, ImportError, ValueError, mbbp.DivergedError) as error:
                    row[f"{who}, start {start + 1}"] = {"error": f"{type(error).__name__}: {error}"[:120]}
        results.append(row)
    columns = [key for key in results[0] if "start" in key]
    print("| problem | | network | certified sum | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 4) + "|")
    for row in results:
        reference = REFERENCES[row["name"]]
        network = f"{list(row['sizes'])}, {', '.join(MODELS[row['name']].activations)}"
        cells = [
            f"{row[key]['digits']:.1f} ({row[key]['steps']})" if "digits" in row[key] else row[key]["error"]
            for key in columns
        ]
        print(
            f"| {row['name']}, {reference.difficulty} | {row['formula']} | {network} | "
            f"{reference.residual_sum_of_squares:.10E} | {' | '.join(cells)} |"
        )
    print("\nCorrect digits of the sum of squared residuals (steps)")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
