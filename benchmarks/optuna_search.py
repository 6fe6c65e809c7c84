"""An example: Optuna chooses the settings of networks for handwritten digits, and ends those that learn badly.

    python benchmarks/optuna_search.py [--trials 30] [--epochs 20]

The callback `mbbp.tuning.OptunaPruning` reports the validation cost after each epoch. The median pruner ends a training
whose cost is above the median of the trials before.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import mbbp


def main(words: Sequence[str] | None = None) -> None:
    import optuna

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30, help="how many settings are tried")
    parser.add_argument("--epochs", type=int, default=20, help="of a training that is not ended before")
    options = parser.parse_args(words)
    data = mbbp.datasets.load_digits()
    nets: dict[int, mbbp.Network] = {}

    def objective(trial: Any) -> float:
        hidden = trial.suggest_int("hidden", 8, 64, log=True)
        activation = trial.suggest_categorical("activation", ["sigmoid", "tanh", "relu"])
        rate = trial.suggest_float("learning_rate", 0.003, 3.0, log=True)
        net = mbbp.Network([64, hidden, 10], activation, "log_likelihood", scaling=data.scaling, rng=trial.number)
        nets[trial.number] = net
        history = net.fit(
            data.x_train,
            data.y_train,
            epochs=options.epochs,
            learning_rate=rate,
            validation_split=0.2,
            callbacks=mbbp.tuning.OptunaPruning(trial),
            progress=False,
        )
        return float(history["validation_cost"][-1])

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner)
    began = time.perf_counter()
    study.optimize(objective, n_trials=options.trials, catch=mbbp.DivergedError)
    seconds = time.perf_counter() - began
    pruned = sum(trial.state.name == "PRUNED" for trial in study.trials)
    print(f"{len(study.trials)} trials in {seconds:.1f} s, of which {pruned} were ended early")
    print(f"the best validation cost is {study.best_value:.4g}, with {study.best_params}")
    accuracy = nets[study.best_trial.number].accuracy(data.x_test, data.y_test)
    print(f"its accuracy on the test data is {accuracy:.2%}")


if __name__ == "__main__":
    main()
