"""How far a training is, as JSON and arrays, and back. Nothing that was read is believed before it is checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from mbbp import optimizers, solvers
from mbbp.fileformat.contents import Custom, Progress
from mbbp.fileformat.generators import generator_from_file, generator_to_file
from mbbp.history import Epoch, History
from mbbp.optimizer_state import OptimizerState
from mbbp.optimizers import Optimizer
from mbbp.parameters import Array
from mbbp.stopping import Best, EarlyStopping
from mbbp.validation import as_count, as_flag

BUILT_IN = {
    kind.__name__: kind
    for kind in (vars(optimizers) | vars(solvers)).values()
    if isinstance(kind, type) and issubclass(kind, Optimizer) and kind not in (Optimizer, solvers.Solver)
}
OF_SOME_METHODS = tuple(Epoch._field_defaults)  # columns that a file has only if they were measured
MAY_BE_MISSING = ("training_accuracy", "validation_cost", "validation_accuracy", "learning_rate", *OF_SOME_METHODS)


def progress_to_file(progress: Progress) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the facts for the description, and the arrays by name.

    Raises
    ------
    ValueError
        If a file cannot hold the generator.
    """
    state, best = progress.optimizer_state, progress.best
    facts: dict[str, Any] = {
        "generator": generator_to_file(progress.rng),
        "was_interrupted": progress.history.was_interrupted,
        "has_ended": progress.history.has_ended,
    }
    arrays: dict[str, Array] = {}
    if len(progress.history):
        table = np.array([[math.nan if value is None else value for value in row] for row in progress.history])
        more = len(Epoch._fields) - len(OF_SOME_METHODS)
        arrays["history"] = table[:, :more] if np.isnan(table[:, more:]).all() else table
    if state is not None:
        facts["optimizer"] = _optimizer_facts(state.optimizer)
        arrays |= {"moments": state.moments, "steps": state.steps}
    if best is not None:
        facts["early_stopping"] = {field.name: getattr(best.spec, field.name) for field in fields(best.spec)} | {
            "gain": None if best.gain == -math.inf else best.gain,
            "waited": best.waited,
        }
        if best.theta is not None:
            arrays["best_theta"] = best.theta
    return facts, arrays


def progress_from_file(facts: Mapping[str, Any], arrays: Mapping[str, Array], theta: Array, custom: Custom) -> Progress:
    """Return how far a training is.

    Raises
    ------
    ValueError, TypeError, KeyError
        If a part is missing or wrong.
    """
    history = _history(arrays.get("history"))
    history.was_interrupted = as_flag("was_interrupted", facts["was_interrupted"])
    history.has_ended = as_flag("has_ended", facts["has_ended"])
    state = None
    if facts.get("optimizer") is not None:
        state = OptimizerState(_optimizer(facts["optimizer"], custom), arrays["moments"], arrays["steps"])
        state.check_fits(theta)
        if state.steps[0] < 0:
            raise ValueError(f"steps: expected 0 or more, got {state.steps[0]}")
    return Progress(history, state, generator_from_file(facts["generator"]), _best(facts, arrays, theta))


def _optimizer_facts(optimizer: Optimizer) -> dict[str, Any]:
    kind: Any = type(optimizer)
    settings = {name: _setting(getattr(optimizer, name)) for name in _settings(kind)}
    known = BUILT_IN.get(kind.__name__) is kind
    return {"built_in" if known else "custom": kind.__name__ if known else optimizer.name, "settings": settings}


def _setting(value: Any) -> float | str:
    return value if isinstance(value, int | str) else float(value)


def _optimizer(facts: Any, custom: Custom) -> Optimizer:
    if not isinstance(facts, dict):
        raise ValueError(f"optimizer: expected a JSON object, got {facts!r:.100}")
    if "custom" in facts:
        kind = custom.find(Optimizer, facts["custom"])
    elif facts.get("built_in") in BUILT_IN:
        kind = BUILT_IN[facts["built_in"]]
    else:
        raise ValueError(f"optimizer: expected one of {', '.join(BUILT_IN)}, got {facts.get('built_in')!r:.100}")
    settings, names = facts["settings"], _settings(kind)
    if not isinstance(settings, dict) or settings.keys() != names:
        raise ValueError(f"optimizer: expected the settings {', '.join(sorted(names))}, got {settings!r:.100}")
    made: Optimizer = kind(**settings)
    return made


def _settings(kind: Any) -> set[str]:
    return {field.name for field in fields(kind) if field.init}


def _history(array: Array | None) -> History:
    if array is None:
        return History()
    most, least = len(Epoch._fields), len(Epoch._fields) - len(OF_SOME_METHODS)
    if array.dtype != np.float64 or array.ndim != 2 or array.shape[1] not in (least, most):
        expected = f"float64 of shape (epochs, {least}) or (epochs, {most})"
        raise ValueError(f"history: expected {expected}, got {array.dtype} {array.shape}")
    if not np.array_equal(array[:, 0], np.arange(1.0, len(array) + 1)):
        raise ValueError("history: expected epochs that are numbered from 1 on, got others")
    required = [name not in MAY_BE_MISSING for name in Epoch._fields[: array.shape[1]]]
    if np.isnan(array[:, required]).any():
        raise ValueError("history: expected a number, got NaN")
    return History([_epoch(row) for row in array.tolist()])


def _epoch(row: list[float]) -> Epoch:
    number, *values = row
    kept: list[Any] = [None if math.isnan(value) else value for value in values]
    return Epoch(int(number), *kept)


def _best(facts: Mapping[str, Any], arrays: Mapping[str, Array], theta: Array) -> Best | None:
    given = facts.get("early_stopping")
    if given is None:
        return None
    spec = EarlyStopping(**{field.name: given[field.name] for field in fields(EarlyStopping)})
    gain = -math.inf if given["gain"] is None else float(given["gain"])
    best = arrays.get("best_theta")
    if best is not None and (best.shape != theta.shape or best.dtype != theta.dtype or not np.isfinite(best).all()):
        raise ValueError(f"best_theta: expected finite {theta.dtype} {theta.shape}, got {best.dtype} {best.shape}")
    if math.isnan(gain):
        raise ValueError("early_stopping: expected a gain, got NaN")
    return Best(spec, gain, as_count("waited", given["waited"], least=0), best)
