"""A good call of every public function of the searches, for `tests.public_calls`."""

import mbbp
from mbbp import tuning


class Trial:
    """What a callback for Optuna needs of a trial."""

    def report(self, value, step):
        pass

    def should_prune(self):
        return False


RESULT = tuning.SearchResult((), None, "validation_cost", (1,))
CALLS = {
    "mbbp.search": lambda g: (
        mbbp.search,
        {
            "space": {"hidden": tuning.integers(2, 3), "l2": tuning.uniform(0, 1)},
            "X": g.X,
            "y": g.Y,
            "n_candidates": 2,
            "method": "random",
            "epochs": 1,
            "eta": 2,
            "monitor": "training_cost",
            "make": None,
            "file": None,
            "rng": 0,
            "progress": False,
            "client": None,
        },
    ),
    "mbbp.tuning.uniform": lambda g: (tuning.uniform, {"low": 0.5, "high": 2.5}),
    "mbbp.tuning.log_uniform": lambda g: (tuning.log_uniform, {"low": 0.5, "high": 2.5}),
    "mbbp.tuning.integers": lambda g: (tuning.integers, {"low": 1, "high": 3}),
    "mbbp.tuning.log_integers": lambda g: (tuning.log_integers, {"low": 1, "high": 3}),
    "mbbp.tuning.built": lambda g: (tuning.built, {"kind": dict}),
    "mbbp.tuning.layers": lambda g: (tuning.layers, {"fewest": 1, "most": 2, "size": tuning.integers(2, 3)}),
    "mbbp.tuning.OptunaPruning": lambda g: (tuning.OptunaPruning, {"trial": Trial(), "monitor": "training_cost"}),
    **{f"{module}.SearchResult.table": lambda g: (RESULT.table, {"most": 1}) for module in ("mbbp", "mbbp.tuning")},
}
