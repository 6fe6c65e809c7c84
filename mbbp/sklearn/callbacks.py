"""scikit-learn's protocol of callbacks (SLEP 23), where the installed version has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["CallbackSupportMixin", "FitTask", "Stops", "with_callbacks"]

Stops = Callable[[], bool]

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """No support for callbacks, as there is none in the installed scikit-learn."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method as it is."""
        return method


class FitTask:
    """The task "fit" of an estimator with a task for each epoch, as the callbacks of scikit-learn see them.

    Parameters
    ----------
    mlp : estimator
        What is fitted.
    X, y : array_like
        The training data.
    metadata : dict
        Such as the sample weights.
    stops : callable
        Returns whether the training is to end after an epoch, because several members are trained at the same time.
    """

    def __init__(self, mlp: Any, X: Any, y: Any, metadata: dict[str, Any], stops: Stops | None = None) -> None:
        self._mlp, self._stops = mlp, stops
        self._given = {"X": X, "y": y, "metadata": metadata}
        self._context: Any = None
        self._epoch: Any = None
        if hasattr(mlp, "_init_callback_context"):
            self._context = mlp._init_callback_context(max_subtasks=mlp.max_iter)
            self._context.call_on_fit_task_begin(estimator=mlp, **self._given)
        self._has_callbacks = bool(getattr(mlp, "_skl_callbacks", ()))

    @property
    def watches(self) -> bool:
        """Whether any callback is to be called."""
        return self._has_callbacks or bool(_plain_callbacks(self._mlp)) or self._stops is not None

    def begin_epoch(self) -> None:
        """Tell the callbacks that an epoch begins."""
        if self._context is not None and self._has_callbacks:
            self._epoch = self._context.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(
                estimator=self._mlp, reconstruction_attributes=self._fitted, **self._given
            )

    def end_epoch(self) -> bool:
        """Tell the callbacks that the epoch has ended, and return whether one of them stops the training."""
        stops = False
        if self._epoch is not None:
            stops = self._epoch.call_on_fit_task_end(
                estimator=self._mlp, reconstruction_attributes=self._fitted, **self._given
            )
        for callback in _plain_callbacks(self._mlp):
            stops = bool(callback(self._mlp)) or stops
        return stops or (self._stops is not None and self._stops())

    def end(self) -> None:
        """Tell the callbacks that the training has ended."""
        if self._context is not None:
            self._context.call_on_fit_task_end(
                estimator=self._mlp, reconstruction_attributes=self._fitted, **self._given
            )

    def _fitted(self) -> dict[str, Any]:
        """Return the attributes of an estimator that had stopped now."""
        mlp = self._mlp
        return {
            "coefs_": [coef.copy() for coef in mlp.coefs_],
            "intercepts_": [intercept.copy() for intercept in mlp.intercepts_],
        }


def _plain_callbacks(mlp: Any) -> list[Callable[[Any], Any]]:
    given = mlp.callbacks
    if given is None:
        return []
    return [given] if callable(given) else list(given)
