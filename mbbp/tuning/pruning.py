"""A callback that lets Optuna end trainings early."""

from __future__ import annotations

from typing import Any

from mbbp.extras import load_extra
from mbbp.history import Epoch, History
from mbbp.network import Network
from mbbp.validation import as_name


class OptunaPruning:
    """A callback for `Network.fit` that reports each epoch to a trial of Optuna, and ends the training if it says so.

    Parameters
    ----------
    trial : optuna.Trial
        The trial. Its study knows whether a larger or a smaller value is better.
    monitor : str
        The column of the history that is reported.

    Raises
    ------
    ValueError
        If there is no such column.
    TypeError
        If `monitor` is no name, or the trial cannot take reports.
    ImportError
        If optuna is not installed.

    Notes
    -----
    The training ends with `optuna.TrialPruned`, which a study expects of its objective. The network then has the
    parameters and the history of its last epoch.

    Examples
    --------
    >>> import mbbp
    >>> data = mbbp.datasets.load_digits()
    >>> def objective(trial):
    ...     net = mbbp.Network([64, trial.suggest_int("n", 8, 64, log=True), 10], scaling=data.scaling, rng=0)
    ...     rate = trial.suggest_float("learning_rate", 0.1, 10.0, log=True)
    ...     history = net.fit(
    ...         data.x_train, data.y_train, epochs=5, learning_rate=rate, validation_split=0.2,
    ...         callbacks=mbbp.tuning.OptunaPruning(trial),
    ...     )
    ...     return history["validation_cost"][-1]
    >>> study = optuna.create_study()  # doctest: +SKIP
    >>> study.optimize(objective, n_trials=20)  # doctest: +SKIP
    """

    def __init__(self, trial: Any, monitor: str = "validation_cost") -> None:
        History.check_column("monitor", as_name("monitor", monitor))
        self._pruned = load_extra("OptunaPruning", "optuna").TrialPruned
        for name in ("report", "should_prune"):
            if not callable(getattr(trial, name, None)):
                raise TypeError(f"trial: expected an optuna.Trial, got {trial!r:.100}")
        self._trial, self._monitor = trial, monitor

    def __call__(self, net: Network, epoch: Epoch) -> None:
        """Report the epoch, and raise `optuna.TrialPruned` if the trial is to end.

        Raises
        ------
        ValueError
            If the column was not measured.
        optuna.TrialPruned
            If the trial is to end.
        """
        value = getattr(epoch, self._monitor)
        if value is None:
            raise ValueError(f"monitor: expected a column that this training measures, got {self._monitor!r}")
        self._trial.report(float(value), epoch.epoch)
        if self._trial.should_prune():
            raise self._pruned(f"epoch {epoch.epoch}: {self._monitor} {value:g}")
