"""The solvers that are more than steps from a gradient: Levenberg-Marquardt, DP-SGD, and L-BFGS with settings."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from mbbp.history import Epoch, History
from mbbp.interrupts import Interrupts
from mbbp.kernels.examples import SparseRows
from mbbp.methods.method import Method
from mbbp.optimizer_state import OptimizerState
from mbbp.planning import Plan, check_solver
from mbbp.progress import Progress
from mbbp.schedules import Constant
from mbbp.sklearn.callbacks import FitTask
from mbbp.sklearn.training import Work, count_evaluation
from mbbp.sklearn.warning import warn_caller
from mbbp.solvers import DPSGD, SOLVERS, LevenbergMarquardt, Solver
from mbbp.training import METHODS

NAMES = ("levenberg_marquardt", "dp_sgd")


def solver_of(mlp: Any) -> Solver | None:
    """Return the solver of an estimator; None if it is another optimizer, or scikit-learn's lbfgs."""
    if isinstance(mlp.solver, Solver):
        return mlp.solver
    found = SOLVERS[mlp.solver] if mlp.solver in NAMES else None
    return found if isinstance(found, Solver) else None


class _Trained:
    """What a method changes besides the parameters: of a warm start, what the training before has left."""

    def __init__(self, mlp: Any, seed: Any) -> None:
        self.rng = np.random.default_rng(seed)
        before = getattr(mlp, "_method_state", None) if mlp.warm_start else None
        goes_on = before is not None and before.moments.shape[1] in (0, mlp._model.theta.size)
        self.history = History(list(mlp.history_)) if goes_on else History()
        self.optimizer_state: OptimizerState | None = before.copy() if goes_on and before is not None else None

    def _keep_state(self, state: OptimizerState | None) -> None:
        self.optimizer_state = state


def _plan(mlp: Any, work: Work, solver: Solver) -> Plan:
    """Return the plan of a training.

    Raises
    ------
    ValueError
        If the solver cannot do what it is asked for.
    """
    engine, n = mlp._model.engine, work.chosen.size
    if isinstance(work.examples.inputs, SparseRows) and not isinstance(solver, DPSGD):
        raise ValueError(f"X: expected an array for the solver {solver.name}, got a sparse matrix; use .toarray()")
    given = None if isinstance(mlp.batch_size, str) else int(mlp.batch_size)  # None for 'auto'
    # scikit-learn's gradient is that of the sum over the outputs, though its loss is a mean over them
    l2 = float(mlp.alpha)
    if isinstance(solver, LevenbergMarquardt):
        if engine.cost.name != "quadratic":
            raise ValueError(f"loss: expected 'squared_error' with the solver {solver.name}, got {mlp.loss!r}")
        if solver.system == "residuals" and l2 > 0:
            raise ValueError(f"alpha: expected 0 with system='residuals', got {mlp.alpha!r}")
        l2 = 0.0 if solver.bayesian else l2  # it learns the factor
    check_solver(solver, engine, None, None, l2, given, n)
    if given is None:
        given = n if solver.takes_all_examples else 200
    return Plan(
        examples=work.examples,
        chosen=work.chosen,
        validation=None,
        chosen_for_validation=None,
        scaling=None,
        epochs=mlp.max_iter,
        batch_size=min(given, n),
        schedule=Constant(float(mlp.learning_rate_init)) if solver.has_learning_rate else None,
        optimizer=solver,
        l2=l2 / n,
        clip_norm=math.inf,
        shuffle=bool(mlp.shuffle),
        early_stopping=None,
        checkpoint=None,
        notify=lambda row: None,
    )


class Prepared(NamedTuple):
    """A training that has been checked."""

    method: Method
    plan: Plan
    trained: _Trained


def prepare_method(mlp: Any, work: Work) -> Prepared | None:
    """Return the training by the solver of an estimator, if it has one; nothing has changed yet.

    Raises
    ------
    ValueError, MemoryError, ImportError
        If the solver cannot do what it is asked for.
    """
    solver = solver_of(mlp)
    if solver is None:
        return None
    plan, trained = _plan(mlp, work, solver), _Trained(mlp, work.random_state.randint(2**31))
    return Prepared(METHODS[type(solver)](mlp._model.engine, trained, plan), plan, trained)


def fit_method(mlp: Any, work: Work, task: FitTask, prepared: Prepared) -> None:
    """Train until nothing is left to gain, or `max_iter` is reached; the history is kept as `history_`."""
    model, (method, plan, trained) = mlp._model, prepared
    mlp.n_iter_ = 0
    if not len(trained.history):
        mlp.loss_curve_ = []
    mlp.history_ = trained.history
    given = plan.examples.weights
    # of all weights, as a share of the number of samples: the loss is a mean by weight, the cost one by number
    share = float(given.mean(dtype=np.float64)) if given.size else 1.0
    factor, weights = mlp._loss_factor / share, model.is_weight * (plan.l2 / share)

    def end_epoch(row: Epoch) -> bool:
        theta = model.theta.astype(np.float64)
        mlp.n_iter_ += 1
        mlp._method_state = trained.optimizer_state
        mlp.loss_ = float(row.training_cost * factor + 0.5 * (weights * theta) @ theta)
        mlp.loss_curve_.append(mlp.loss_)
        if mlp.verbose:
            print(f"Iteration {mlp.n_iter_}, loss = {mlp.loss_:.8f}")
        count_evaluation(mlp, work)
        bar.tell([f"loss {mlp.loss_:.4g}"])
        if task.end_epoch() or mlp.n_iter_ >= mlp.max_iter:
            return False
        task.begin_epoch()
        return True

    task.begin_epoch()
    try:
        with Progress(mlp.progress_bar, mlp.max_iter, plan.chosen.size) as bar:
            method.begin(bar, Interrupts())  # it handles nothing: Ctrl-C ends an epoch at any moment, as elsewhere
            method.run(end_epoch)
    except KeyboardInterrupt:
        warn_caller("Training interrupted by user.")
        return
    # the privacy that may be spent says when DP-SGD ends, not the loss
    if mlp.n_iter_ == mlp.max_iter and not method.is_over and not isinstance(plan.optimizer, DPSGD):
        name = plan.optimizer.name
        warn_caller(
            f"{name}: Maximum iterations ({mlp.max_iter}) reached and the optimization hasn't converged yet.",
            ConvergenceWarning,
        )
