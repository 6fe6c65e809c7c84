"""Finding good settings: what they are drawn from, and the searches.

`mbbp.search` trains the candidates. `OptunaPruning` is for those who search with Optuna.
"""

from mbbp.tuning.distributions import Distribution, built, choice, integers, layers, log_integers, log_uniform, uniform
from mbbp.tuning.pruning import OptunaPruning
from mbbp.tuning.results import CandidateResult, SearchResult

__all__ = [
    "CandidateResult",
    "Distribution",
    "OptunaPruning",
    "SearchResult",
    "built",
    "choice",
    "integers",
    "layers",
    "log_integers",
    "log_uniform",
    "uniform",
]
