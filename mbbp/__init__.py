"""Mini-batch backpropagation, fully vectorised and compiled: fast training of small networks on the CPU.

A mini-batch is a matrix with one example per column. One forward and one backward pass give the gradient of the whole
mini-batch.

>>> import mbbp
>>> data = mbbp.datasets.load_digits()
>>> net = mbbp.Network([64, 30, 10], scaling=data.scaling, rng=0)
>>> history = net.fit(data.x_train, data.y_train, epochs=5, learning_rate=3.0)
>>> net.accuracy(data.x_test, data.y_test) > 0.9
True
"""

import time
from typing import TYPE_CHECKING, Any

BEGAN = time.perf_counter()  # so that a program can say how long it took with its imports

# ruff: noqa: E402
from mbbp import chapter2, costs, datasets, kernels, nielsen, reference, schedules
from mbbp.activations import Activation
from mbbp.bayesian.approximation import Laplace, PredictiveDistribution, laplace
from mbbp.chapter2 import diagnose
from mbbp.check import GradientCheck, check_gradients
from mbbp.chunking.chunks import Chunks, chunks
from mbbp.costs import Cost
from mbbp.exchange.book import from_json, to_json
from mbbp.exchange.c.header import to_c
from mbbp.exchange.jax import to_jax
from mbbp.exchange.keras import from_keras
from mbbp.exchange.onnx_read import from_onnx
from mbbp.exchange.onnx_write import to_onnx
from mbbp.exchange.safetensors import from_safetensors, to_safetensors
from mbbp.exchange.sklearn import from_sklearn
from mbbp.exchange.torch import from_torch, to_torch
from mbbp.history import Epoch, History
from mbbp.many.ensemble import Ensemble, EnsembleOutputs
from mbbp.many.fits import ManyFits, fit_many
from mbbp.methods.method import DivergedError, StopTraining
from mbbp.network import Network
from mbbp.optimizers import SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSprop
from mbbp.parameters import DirectionalDerivatives, Gradient
from mbbp.predictions import Predictions, predict
from mbbp.presets import classifier, regressor
from mbbp.ranks import RankError
from mbbp.saving import load, save
from mbbp.scaling import Scaling
from mbbp.schema import Column, Schema
from mbbp.solvers import DPSGD, LBFGS, LevenbergMarquardt
from mbbp.stopping import EarlyStopping
from mbbp.threads import get_threads, set_threads
from mbbp.trainer import Trainer
from mbbp.version import VERSION

if TYPE_CHECKING:
    from mbbp import tuning
    from mbbp.tuning.results import CandidateResult, SearchResult
    from mbbp.tuning.searches import search

__version__ = VERSION

__all__ = [
    "DPSGD",
    "LBFGS",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "CandidateResult",
    "Chunks",
    "Column",
    "Cost",
    "DirectionalDerivatives",
    "DivergedError",
    "EarlyStopping",
    "Ensemble",
    "EnsembleOutputs",
    "Epoch",
    "Gradient",
    "GradientCheck",
    "History",
    "Laplace",
    "LevenbergMarquardt",
    "ManyFits",
    "Momentum",
    "Nesterov",
    "Network",
    "Optimizer",
    "Predictions",
    "PredictiveDistribution",
    "RMSprop",
    "RankError",
    "Scaling",
    "Schema",
    "SearchResult",
    "StopTraining",
    "Trainer",
    "chapter2",
    "check_gradients",
    "chunks",
    "classifier",
    "costs",
    "datasets",
    "diagnose",
    "fit_many",
    "from_json",
    "from_keras",
    "from_onnx",
    "from_safetensors",
    "from_sklearn",
    "from_torch",
    "get_threads",
    "kernels",
    "laplace",
    "load",
    "nielsen",
    "predict",
    "reference",
    "regressor",
    "save",
    "schedules",
    "search",
    "set_threads",
    "to_c",
    "to_jax",
    "to_json",
    "to_onnx",
    "to_safetensors",
    "to_torch",
    "tuning",
]

# what few programs use is imported when it is used first
LATER = {
    "CandidateResult": "mbbp.tuning.results",
    "SearchResult": "mbbp.tuning.results",
    "search": "mbbp.tuning.searches",
    "tuning": "mbbp.tuning",
}


if not TYPE_CHECKING:  # so that a checker of types refuses names that do not exist

    def __getattr__(name: str) -> Any:
        if name not in LATER:
            raise AttributeError(f"module 'mbbp' has no attribute {name!r}")
        import importlib

        module = importlib.import_module(LATER[name])
        found = module if LATER[name] == f"mbbp.{name}" else getattr(module, name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *LATER})
