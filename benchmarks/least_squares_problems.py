"""The regressions of `benchmarks.least_squares`: their data, their networks and the errors that are asked for."""

from dataclasses import dataclass

import numpy as np

from mbbp.parameters import Array


@dataclass(frozen=True)
class Problem:
    """A regression with one output.

    Attributes
    ----------
    name : str
        The name in tables.
    sizes : tuple of int
        The layers. The hidden ones are tanh, the output layer is the identity.
    X, y : ndarray of shapes (n_in, n), (1, n)
        The examples, in float64.
    levels : tuple of float
        The mean squared errors whose times are reported, the largest one first.
    seconds : float
        How long a competitor may train.
    """

    name: str
    sizes: tuple[int, ...]
    X: Array
    y: Array
    levels: tuple[float, ...]
    seconds: float

    @property
    def n(self) -> int:
        """The number of examples."""
        return self.X.shape[1]


def sinc(n: int = 20_000) -> Problem:
    """Return the example of torch-levenberg-marquardt: ``torch.sinc(10 x)`` on [-1, 1], and 61 parameters.

    Its README, "Results, Curve fitting", shows a ``loss_epoch`` of 3.31e-7 after 50 epochs of 20 mini-batches with
    1,000 examples each, in 16.6 s. Its ``examples/sinc_curve_fitting.py`` has the data, the network and the settings.
    """
    x = np.linspace(-1.0, 1.0, n)
    return Problem("sinc(10 x)", (1, 20, 1), x[None], np.sinc(10.0 * x)[None], (1e-4, 1e-5, 3.3e-7), 6.0)


def mackey_glass(n: int = 1_000) -> Problem:
    """Return the forecast of the Mackey-Glass series 6 steps ahead from four earlier values.

    The series is that of Jang's ANFIS (1993): x' = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x with x(0) = 1.2 and
    x(t) = 0 for t < 0, by the fourth-order Runge-Kutta method with a step of 0.1. The examples begin at t = 118. All
    values are mapped to [-1, 1].
    """
    first, per_unit, delay = 118, 10, 170
    h = 1.0 / per_unit
    steps = (first + n + 6) * per_unit
    x = np.zeros(delay + steps + 1)  # x[delay + i] is x(i h)
    slope = np.zeros_like(x)
    x[delay] = 1.2

    def derivative(now: float, before: float) -> float:
        return 0.2 * before / (1.0 + before**10) - 0.1 * now

    for i in range(delay, delay + steps):
        start, end = x[i - delay], x[i - delay + 1]
        # between two steps, the delayed value is that of the cubic through both with their slopes
        middle = 0.5 * (start + end) + h / 8.0 * (slope[i - delay] - slope[i - delay + 1])
        slope[i] = k1 = derivative(x[i], start)
        k2 = derivative(x[i] + 0.5 * h * k1, middle)
        k3 = derivative(x[i] + 0.5 * h * k2, middle)
        k4 = derivative(x[i] + h * k3, end)
        x[i + 1] = x[i] + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    t = np.arange(first, first + n)
    rows = [x[delay + per_unit * (t + offset)] for offset in (-18, -12, -6, 0, 6)]
    low, high = min(map(np.min, rows)), max(map(np.max, rows))
    scaled = 2.0 * (np.stack(rows) - low) / (high - low) - 1.0
    return Problem("Mackey-Glass", (4, 10, 1), scaled[:4].copy(), scaled[4:].copy(), (1e-4, 5e-5, 3.5e-5), 1.5)


def smooth(n: int = 20_000) -> Problem:
    """Return a regression without noise: Friedman's first function with three more inputs; inputs in [-1, 1]."""
    x = np.random.default_rng(0).uniform(size=(8, n))
    y = 10.0 * np.sin(np.pi * x[0] * x[1]) + 20.0 * (x[2] - 0.5) ** 2 + 10.0 * x[3] + 5.0 * x[4]
    y += 5.0 * x[5] * x[6] + 5.0 * np.exp(-3.0 * x[7])
    y = (y - y.mean()) / y.std()
    return Problem("20,000 x 8", (8, 10, 1), 2.0 * x - 1.0, y[None], (1e-2, 1e-3, 3e-4), 3.0)


def problems(is_quick: bool = False) -> list[Problem]:
    """Return all problems, the quick ones with fewer examples."""
    return [sinc(2_000), mackey_glass(), smooth(2_000)] if is_quick else [sinc(), mackey_glass(), smooth()]
