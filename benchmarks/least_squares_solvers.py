"""The competitors of `benchmarks.least_squares`. Each starts from given parameters and gives errors against seconds.

The seconds are those of the training alone. Whatever is compiled has been compiled before, by a short training on the
same shapes, and errors that a competitor does not compute anyway are computed while the clock stands still.
"""

import contextlib
import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

import mbbp
from benchmarks.least_squares_problems import Problem
from mbbp.parameters import Array, parameter_views

WARM_UP = 4  # points of the curve of a training that nobody times


class EnoughError(Exception):
    """The time is over, or the last error is reached."""


@dataclass
class Curve:
    """The mean squared errors on all examples against the seconds of training.

    Attributes
    ----------
    most_seconds : float
        When the training ends.
    goal : float
        The error with which the training ends.
    most_points : int
        With how many points it ends.
    seconds, errors : list of float
        The points. The first one is that of the initial parameters.
    steps : int
        How many steps were taken: Jacobians, or steps of Adam.
    """

    most_seconds: float = math.inf
    goal: float = 0.0
    most_points: int = 10**9
    seconds: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    steps: int = 0

    def add(self, seconds: float, error: float) -> None:
        """Append a point.

        Raises
        ------
        EnoughError
            If it is the last one.
        """
        self.seconds.append(seconds)
        self.errors.append(error)
        if error <= self.goal or seconds >= self.most_seconds or len(self.errors) >= self.most_points:
            raise EnoughError

    def time_to(self, error: float) -> float:
        """Return the seconds until this error, inf if it is never reached."""
        return next((t for t, e in zip(self.seconds, self.errors, strict=True) if e <= error), math.inf)

    @property
    def best(self) -> float:
        """The least error."""
        return min(self.errors)

    def improvements(self) -> list[tuple[float, float]]:
        """Return the points whose errors are less than all before, at most one for each percent of time."""
        points: list[tuple[float, float]] = []
        for t, error in zip(self.seconds, self.errors, strict=True):
            if not points or (error < points[-1][1]):
                if len(points) > 1 and t < 1.01 * points[-1][0]:
                    points[-1] = (points[-1][0], error)
                else:
                    points.append((t, error))
        return points


Solve = Callable[[Problem, Array, Curve], None]


@dataclass(frozen=True)
class Competitor:
    """A way to train. `solve` adds points to a curve until that raises `EnoughError`, or until it converges."""

    name: str
    solve: Solve
    dtype: str = "float64"

    def run(self, problem: Problem, theta: Array, goal: float, seconds: float) -> Curve:
        """Train from these parameters, after a warm-up, and return the curve."""
        result = Curve(seconds, goal)
        for curve in (Curve(most_points=WARM_UP), result):
            with contextlib.suppress(EnoughError):
                self.solve(problem, theta.copy(), curve)
        return result


def network(problem: Problem, initializer: str = "default", seed: int | None = None) -> mbbp.Network:
    """Return a network for a problem."""
    kinds = ["tanh"] * (len(problem.sizes) - 2) + ["identity"]
    return mbbp.Network(problem.sizes, kinds, dtype="float64", initializer=initializer, rng=seed)


# -- mbbp --------------------------------------------------------------------------------------------------------------


class _Watch:
    """A callback of `fit` that adds points to a curve. Its own time is not counted."""

    def __init__(self, problem: Problem, curve: Curve, is_whole: bool) -> None:
        self.problem, self.curve, self.is_whole = problem, curve, is_whole
        self.spent, self.began = 0.0, time.perf_counter()

    def __call__(self, net: mbbp.Network, row: Any) -> None:
        entered = time.perf_counter()
        now = entered - self.began - self.spent
        try:
            # the cost in the history is that after a step on all examples, and before one on a mini-batch
            cost = row.training_cost if self.is_whole else net.cost(self.problem.X, self.problem.y)
            self.curve.add(now, 2.0 * cost)
        except EnoughError:
            raise mbbp.StopTraining from None
        finally:
            self.spent += time.perf_counter() - entered


def _by_mbbp(problem: Problem, theta: Array, curve: Curve, **settings: Any) -> None:
    m = settings.get("batch_size", problem.n)
    is_whole = m >= problem.n
    net = network(problem)
    net.theta[...] = theta
    curve.add(0.0, 2.0 * net.cost(problem.X, problem.y))
    watch = _Watch(problem, curve, is_whole)
    history = net.fit(problem.X, problem.y, epochs=10**7, progress=False, callbacks=watch, **settings)
    curve.steps = len(history) * math.ceil(problem.n / m)


def by_mbbp(**settings: Any) -> Solve:
    """Return the training by `Network.fit` with these settings."""
    return lambda problem, theta, curve: _by_mbbp(problem, theta, curve, **settings)


ADAM = [{"learning_rate": rate, "batch_size": m} for rate in (0.003, 0.01, 0.03) for m in (32, 256)]


def best_adam(problem: Problem, theta: Array, seconds: float) -> dict[str, Any]:
    """Return the settings of Adam that reach the least error in a few seconds, of a small search."""

    def error(settings: dict[str, Any]) -> float:
        return Competitor("", by_mbbp(optimizer="adam", **settings)).run(problem, theta, 0.0, seconds).best

    return min(ADAM, key=error)


# -- torch-levenberg-marquardt -----------------------------------------------------------------------------------------


@lru_cache
def _torch_module(sizes: tuple[int, ...], dtype: str, m: int, is_compiled: bool) -> Any:
    """Return a module of torch-levenberg-marquardt for these mini-batches, with the settings of its example."""
    import torch
    import torch_levenberg_marquardt as tlm

    logging.getLogger(tlm.training.__name__).setLevel(logging.ERROR)
    torch.set_num_threads(1)
    layers = [layer for pair in pairwise(sizes) for layer in (torch.nn.Linear(*pair), torch.nn.Tanh())]
    model = torch.nn.Sequential(*layers[:-1]).to(getattr(torch, dtype))
    module = tlm.training.LevenbergMarquardtModule(
        model=model, loss_fn=tlm.loss.MSELoss(), learning_rate=1.0, attempts_per_step=10, solve_method="solve"
    )
    if is_compiled:  # it has no such option, but most of its time goes there, and compiled it takes half of it
        module._compute_jacobian = torch.compile(module._compute_jacobian, dynamic=False)
    return module


def _by_torch(
    problem: Problem, theta: Array, curve: Curve, dtype: str, batch_size: int | None, is_compiled: bool
) -> None:
    import torch

    m = min(batch_size or problem.n, problem.n)
    module = _torch_module(problem.sizes, dtype, m, is_compiled)
    X, y = (torch.from_numpy(columns.T.copy()).to(getattr(torch, dtype)) for columns in (problem.X, problem.y))
    torch.manual_seed(0)
    with torch.no_grad():
        linear = [layer for layer in module.model if isinstance(layer, torch.nn.Linear)]
        for layer, W, b in zip(linear, *parameter_views(theta, problem.sizes), strict=True):
            layer.weight.copy_(torch.from_numpy(W.copy()))
            layer.bias.copy_(torch.from_numpy(b.ravel().copy()))
    module.backup_parameters()
    module.reset()

    def error() -> float:
        with torch.no_grad():
            return float((module.model(X).double() - y.double()).square().mean())

    curve.add(0.0, error())
    seconds, stopped = 0.0, False
    while not stopped:
        for batch in torch.randperm(problem.n).split(m):
            began = time.perf_counter()
            # the examples of its FastDataLoader are gathered in a similar way; DataLoader takes several times as long
            examples = (X, y) if m == problem.n else (X.index_select(0, batch), y.index_select(0, batch))
            _, _, stopped, _ = module.training_step(*examples)
            seconds += time.perf_counter() - began
            curve.steps += 1
            if m == problem.n or curve.steps % 5 == 0 or stopped:
                curve.add(seconds, error())
            if stopped:
                break


def by_torch(dtype: str, batch_size: int | None, is_compiled: bool = False) -> Solve:
    """Return the training by torch-levenberg-marquardt; with all examples if the mini-batch is None."""
    return lambda problem, theta, curve: _by_torch(problem, theta, curve, dtype, batch_size, is_compiled)


# -- scipy -------------------------------------------------------------------------------------------------------------


def _by_scipy(problem: Problem, theta: Array, curve: Curve, method: str, x_scale: Any) -> None:
    from scipy.optimize import least_squares

    net = network(problem)
    jacobian = np.empty((1, problem.n, theta.size))
    began = time.perf_counter()

    def residuals(theta: Array) -> Array:
        net.theta[...] = theta
        r = (net.feedforward(problem.X) - problem.y).ravel()
        curve.add(time.perf_counter() - began if curve.errors else 0.0, float(r @ r) / problem.n)
        return r

    def derivatives(theta: Array) -> Array:
        net.theta[...] = theta
        curve.steps += 1
        return net.jacobian(problem.X, out=jacobian)[0]

    least = 1e-15  # the least tolerance that all methods take
    options = {"method": method, "x_scale": x_scale, "ftol": least, "xtol": least, "gtol": least}
    least_squares(residuals, theta, derivatives, max_nfev=10**7, **options)


def by_scipy(method: str, x_scale: Any) -> Solve:
    """Return the training by `scipy.optimize.least_squares` with mbbp's outputs and Jacobians."""
    return lambda problem, theta, curve: _by_scipy(problem, theta, curve, method, x_scale)


# -- JAX ---------------------------------------------------------------------------------------------------------------


def _forward(sizes: tuple[int, ...]) -> Callable[[Any, Any], Any]:
    """Return the function of the flat parameters, in mbbp's order, and one example that gives the output."""
    import jax.numpy as jnp

    def forward(theta: Any, x: Any) -> Any:
        place, a = 0, x
        for i, (n_in, n_out) in enumerate(pairwise(sizes)):
            W = theta[place : place + n_in * n_out].reshape(n_in, n_out)
            place += n_in * n_out
            a = a @ W + theta[place : place + n_out]
            place += n_out
            a = a if i == len(sizes) - 2 else jnp.tanh(a)
        return a[..., 0]

    return forward


@lru_cache
def _jaxopt(sizes: tuple[int, ...]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the compiled beginning and the compiled step of jaxopt's method."""
    import jax

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # jaxopt is no longer developed
        import jaxopt
    forward = _forward(sizes)
    solver = jaxopt.LevenbergMarquardt(
        lambda theta, X, y: forward(theta, X) - y,
        materialize_jac=True,
        solver="cholesky",
        tol=0.0,
        implicit_diff=False,
    )
    # Of one output, this takes a tenth of the time of the default, forward mode. The constructor forgets the argument
    # jac_fun if the Jacobian is materialized (0.8.5), so the attribute is set.
    solver._jac_fun = lambda theta, X, y: jax.vmap(jax.grad(forward), (None, 0))(theta, X)
    return jax.jit(solver.init_state), jax.jit(solver.update)


def _by_jaxopt(problem: Problem, theta: Array, curve: Curve) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    X, y = jax.device_put(problem.X.T.copy()), jax.device_put(problem.y[0])
    start, update = _jaxopt(problem.sizes)
    parameters = jax.device_put(theta)
    began = time.perf_counter()
    state = start(parameters, X, y)
    curve.add(0.0, 2.0 * float(state.value) / problem.n)
    while True:
        parameters, state = update(parameters, state, X, y)
        curve.steps += 1
        curve.add(time.perf_counter() - began, 2.0 * float(state.value) / problem.n)


@lru_cache
def _optimistix(sizes: tuple[int, ...]) -> tuple[Callable[..., Any], Callable[..., Any], Any]:
    """Return the residuals, the compiled step of optimistix's method, and its solver."""
    import equinox
    import jax
    import lineax
    import optimistix

    forward = _forward(sizes)

    @jax.custom_jvp
    def differences(theta: Any, X: Any, y: Any) -> Any:
        return forward(theta, X) - y

    # Of one output, the Jacobian by reverse mode for each example takes a tenth of the time of the forward mode that
    # optimistix uses, and its own reverse mode does not see that an output depends on one example only.
    @differences.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        theta, X, y = primals
        jacobian = jax.vmap(jax.grad(forward), (None, 0))(theta, X)
        return forward(theta, X) - y, jacobian @ tangents[0]

    def residuals(theta: Any, data: Any) -> Any:
        return differences(theta, *data), None

    # the normal equations take less time than the default, QR
    solver = optimistix.LevenbergMarquardt(rtol=0.0, atol=0.0, linear_solver=lineax.Normal(lineax.Cholesky()))
    return residuals, equinox.filter_jit(equinox.Partial(solver.step, fn=residuals)), solver


_beginnings: dict[str, Any] = {}  # the state has code in it, which would be compiled again for another state


def _by_optimistix(problem: Problem, theta: Array, curve: Curve) -> None:
    import equinox
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    residuals, step, solver = _optimistix(problem.sizes)
    parameters = jax.device_put(theta)
    arguments = {
        "args": (jax.device_put(problem.X.T.copy()), jax.device_put(problem.y[0])),
        "options": {},
        "tags": frozenset(),
    }
    first = residuals(parameters, arguments["args"])[0]
    if problem.name not in _beginnings:
        shape = jax.eval_shape(lambda: first)
        _beginnings[problem.name] = solver.init(residuals, parameters, f_struct=shape, aux_struct=None, **arguments)
    state = equinox.tree_at(lambda state: state.y_eval, _beginnings[problem.name], parameters)
    curve.add(0.0, float(jnp.mean(first**2)))
    began = time.perf_counter()
    while True:
        parameters, state, _ = step(y=parameters, state=state, **arguments)
        curve.steps += 1
        # the accepted residuals are those of the parameters
        curve.add(time.perf_counter() - began, float(jnp.mean(state.f_info.residual**2)))


def competitors(problem: Problem, adam: dict[str, Any]) -> Iterator[Competitor]:
    """Yield all competitors for a problem, mbbp first."""
    method = {"optimizer": "levenberg_marquardt"}
    m = 1_000  # of the example of torch-levenberg-marquardt
    yield Competitor("mbbp", by_mbbp(**method))
    has_parts = problem.n > m
    if has_parts:
        yield Competitor("mbbp, m = 1,000", by_mbbp(**method, batch_size=m))
        yield Competitor("torch LM, m = 1,000", by_torch("float64", m))
    yield Competitor("torch LM", by_torch("float64", None))
    yield Competitor("torch LM, m = 1,000, float32", by_torch("float32", m), "float32")
    yield Competitor("torch LM, m = 1,000, compiled", by_torch("float64", m, is_compiled=True))
    yield Competitor("scipy lm", by_scipy("lm", "jac"))
    yield Competitor("scipy trf", by_scipy("trf", 1.0))
    yield Competitor("jaxopt LM", _by_jaxopt)
    yield Competitor("optimistix LM", _by_optimistix)
    yield Competitor("mbbp Adam", by_mbbp(optimizer="adam", **adam))
