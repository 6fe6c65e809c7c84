"""The epochs of a stochastic solver, and L-BFGS: losses, scores, stopping and messages as in scikit-learn."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
import scipy
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from mbbp.kernels.examples import Examples
from mbbp.loop import Loop, Objective
from mbbp.parameters import Array
from mbbp.progress import Progress
from mbbp.sklearn.callbacks import FitTask
from mbbp.sklearn.solver import Curves, StochasticSolver
from mbbp.sklearn.warning import warn_caller

SECONDS_BETWEEN_LOOKS = 0.1  # the time in compiled code before Ctrl-C is handled


class HeldOut(NamedTuple):
    """Samples that are not trained on."""

    X: Any  # as the user gave them, for a scorer
    rows: Array  # the same as the engine reads them
    y: Any
    weights: Array | None


class Work(NamedTuple):
    """What is to be done in a `fit` or a `partial_fit`."""

    examples: Examples
    chosen: Array  # the numbers of the examples to train on
    held_out: HeldOut | None  # for early stopping
    evaluated: Examples | None  # the caller's validation set
    is_single_epoch: bool
    random_state: Any


def fit_stochastic(mlp: Any, work: Work, task: FitTask) -> None:
    """Train for epochs until the training does not improve any more, or `max_iter` is reached."""
    model, n = mlp._model, work.chosen.size
    if not (work.is_single_epoch and hasattr(mlp, "_optimizer") and mlp._optimizer.fits(model.theta)):
        mlp._optimizer = StochasticSolver(mlp, model.theta)
    objective = Objective(
        l2=0.0 if mlp.solver == "adamw" else float(mlp.alpha),
        divides_by_weights=work.examples.weights.size > 0,
        goes_on=True,
    )
    loop = Loop(model.engine, work.examples, _batch_size(mlp, n), objective)
    order, run = work.chosen, _Runner(loop)
    try:
        mlp.n_iter_ = 0
        with Progress(mlp.progress_bar and not work.is_single_epoch, mlp.max_iter, 1) as bar:
            for _ in range(mlp.max_iter):
                task.begin_epoch()
                mlp._optimizer.begin_epoch(len(mlp.loss_curve_) + 1, Curves(mlp))
                if mlp.shuffle:
                    order = order[_permutation(n, work.random_state)]
                loss = run.epoch(order, mlp._optimizer.step(model.theta, loop.gradient), mlp._loss_factor)
                is_over = _count(mlp, work, loss)
                bar.advance(1)
                bar.tell(_figures(mlp))
                if task.end_epoch() or is_over or work.is_single_epoch:
                    break
                # the last epoch of a schedule is where training was meant to end
                if mlp.n_iter_ == mlp.max_iter and not callable(mlp.learning_rate):
                    warn_caller(
                        f"Stochastic Optimizer: Maximum iterations ({mlp.max_iter}) reached and the optimization "
                        "hasn't converged yet.",
                        ConvergenceWarning,
                    )
    except KeyboardInterrupt:
        warn_caller("Training interrupted by user.")
    if work.held_out is not None and mlp._best_theta is not None:
        model.theta[...] = mlp._best_theta


def _figures(mlp: Any) -> list[str]:
    scores = getattr(mlp, "validation_scores_", None)
    return [f"loss {mlp.loss_:.4g}", *([f"score {scores[-1]:.4g}"] if scores else [])]


def _permutation(n: int, random_state: Any) -> Array:
    indices = np.arange(n)
    random_state.shuffle(indices)
    return indices


def _batch_size(mlp: Any, n: int) -> int:
    if isinstance(mlp.batch_size, str):
        return min(200, n)
    if mlp.batch_size > n:
        warn_caller("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
    return min(int(mlp.batch_size), n)


class _Runner:
    """Runs the compiled loop, over so many mini-batches at a time that Ctrl-C is handled soon."""

    def __init__(self, loop: Loop) -> None:
        self._loop, self._batch_size = loop, loop.batch_size
        self._at_once = 16 * self._batch_size  # examples

    def epoch(self, order: Array, step: Any, loss_factor: float) -> float:
        """Take a step for every mini-batch, and return the mean loss of the samples, with L2."""
        loop = self._loop
        loop.reset()
        start = 0
        while start < order.size:
            began = time.perf_counter()
            stop = start + self._at_once
            loop.run(order[start:stop], step)
            pace = SECONDS_BETWEEN_LOOKS / max(time.perf_counter() - began, 1e-9)
            batches = int(self._at_once // self._batch_size * min(pace, 16.0))
            self._at_once = self._batch_size * max(1, min(batches, order.size))
            start = stop
        return float((loop.totals.cost * loss_factor + loop.totals.penalty) / order.size)


def _count(mlp: Any, work: Work, loss: float) -> bool:
    """Count an epoch, and return whether the training is over."""
    mlp.n_iter_ += 1
    mlp.t_ += work.chosen.size
    mlp.loss_ = loss
    mlp.loss_curve_.append(loss)
    if mlp.verbose:
        print(f"Iteration {mlp.n_iter_}, loss = {loss:.8f}")
    count_evaluation(mlp, work)
    if work.held_out is not None:
        _count_score(mlp, work.held_out)
    else:
        _count_loss(mlp, loss)
    mlp._optimizer.end_epoch(mlp.t_)
    if mlp._no_improvement_count <= mlp.n_iter_no_change:
        return False
    what = "Training loss" if work.held_out is None else "Validation score"
    message = f"{what} did not improve more than tol={mlp.tol:f} for {mlp.n_iter_no_change} consecutive epochs."
    if mlp._optimizer.stops(message, bool(mlp.verbose)):
        return True
    mlp._no_improvement_count = 0
    return False


def count_evaluation(mlp: Any, work: Work) -> None:
    """Append the loss of the caller's validation set to its curve."""
    if work.evaluated is not None:
        mlp.eval_loss_curve_.append(mlp._model.engine.score(work.evaluated).cost * mlp._loss_factor)


def _count_score(mlp: Any, held_out: HeldOut) -> None:
    score = mlp._validation_score(held_out)
    mlp.validation_scores_.append(score)
    if mlp.verbose:
        print(f"Validation score: {score:f}")
    is_worse = score < mlp.best_validation_score_ + mlp.tol
    mlp._no_improvement_count = mlp._no_improvement_count + 1 if is_worse else 0
    if score > mlp.best_validation_score_:
        mlp.best_validation_score_ = score
        mlp._best_theta = mlp._model.theta.copy()


def _count_loss(mlp: Any, loss: float) -> None:
    is_worse = loss > mlp.best_loss_ - mlp.tol
    mlp._no_improvement_count = mlp._no_improvement_count + 1 if is_worse else 0
    mlp.best_loss_ = min(loss, mlp.best_loss_) if loss == loss else mlp.best_loss_


def _printing(verbose: Any) -> dict[str, int]:
    """Return the option that makes older versions of SciPy print; newer ones print nothing."""
    is_old = tuple(int(part) for part in scipy.__version__.split(".")[:2]) < (1, 15)
    return {"iprint": 1 if verbose else -1} if is_old else {}


def fit_lbfgs(mlp: Any, work: Work, task: FitTask) -> None:
    """Train with SciPy's L-BFGS-B over the flat vector of all parameters."""
    model, examples = mlp._model, work.examples
    compute = model.engine.summed_gradient(examples)
    divisor = float(examples.weights.sum(dtype=np.float64)) if examples.weights.size else float(examples.n)
    weights = model.is_weight * (mlp.alpha / divisor)

    def loss_and_gradient(theta: Array) -> tuple[float, Array]:
        model.theta[...] = theta
        loss = compute() * mlp._loss_factor / divisor
        decay = weights * theta
        return loss + 0.5 * float(decay @ theta), compute.gradient / divisor + decay

    stopped: list[bool] = []

    def after_iteration(intermediate_result: Any) -> None:
        model.theta[...] = intermediate_result.x
        mlp.n_iter_ += 1
        mlp.loss_ = float(intermediate_result.fun)
        count_evaluation(mlp, work)
        if task.end_epoch():
            stopped.append(True)
            raise StopIteration
        task.begin_epoch()

    mlp.n_iter_ = 0
    task.begin_epoch()
    found = scipy.optimize.minimize(
        loss_and_gradient,
        model.theta.copy(),
        method="L-BFGS-B",
        jac=True,
        callback=after_iteration if task.watches or work.evaluated is not None else None,
        options={"maxfun": mlp.max_fun, "maxiter": mlp.max_iter, "gtol": mlp.tol} | _printing(mlp.verbose),
    )
    mlp.n_iter_ = min(found.nit, mlp.max_iter)
    if not found.success and not stopped:
        warn_caller(
            f"lbfgs failed to converge after {mlp.n_iter_} iteration(s) (status={found.status}):\n{found.message}\n\n"
            f"You might also want to scale the data or to increase the number of iterations (max_iter={mlp.max_iter}).",
            ConvergenceWarning,
        )
    mlp.loss_ = found.fun
    model.theta[...] = found.x
