"""The trainings that the ranks do together and one process does alone: their data and their settings."""

import math
from dataclasses import dataclass

import numpy as np

import mbbp

SIZES = [4, 6, 3]
COUNTS = {2: (37, 20), 4: (23, 5, 20, 9)}  # of the rows of each rank; with 8 steps, one of them has none in some
N, N_VALIDATION, BATCH_SIZE, EPOCHS = 57, 24, 8, 3


@dataclass(frozen=True)
class Signed(mbbp.Optimizer):
    """A custom optimizer."""

    momentum: float = 0.5
    name, n_states, default_learning_rate = "signed", 1, 0.01

    @staticmethod
    def update(gradient, mean, learning_rate, momentum):
        mean = momentum * mean + (1.0 - momentum) * gradient
        return -learning_rate * mean / (1.0 + math.fabs(mean)), mean


CASES = {
    "sgd": {"optimizer": "sgd"},
    "sgd float32": {"optimizer": "sgd", "dtype": "float32"},
    "sgd l2": {"optimizer": "sgd", "l2": 0.7},
    "momentum in order": {"optimizer": "momentum", "shuffle": False},
    "nesterov l2 clipped": {"optimizer": "nesterov", "l2": 0.3, "clip_norm": 0.05},
    "adam weighted": {"optimizer": "adam", "weighted": True},
    "adam float32": {"optimizer": "adam", "dtype": "float32", "l2": 0.1},
    "adamw balanced": {"optimizer": "adamw", "class_weights": "balanced"},
    "rmsprop standardized": {"optimizer": "rmsprop", "scaling": "standardize", "l2": 0.1},
    "adagrad weighted balanced": {"optimizer": "adagrad", "weighted": True, "class_weights": "balanced"},
    "custom decay": {"optimizer": Signed(), "weight_decay": 0.1},
}


def data():
    """Return inputs (4, 57), labels, weights, and validation data."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((4, N + N_VALIDATION)) * [[1.0], [3.0], [0.1], [0.0]] + [[0.0], [5.0], [0.0], [2.0]]
    y = (X[0] + 0.3 * X[1] > 1.5).astype(int) + (rng.random(N + N_VALIDATION) < 0.3)
    return X[:, :N], y[:N], rng.random(N) + 0.1, (X[:, N:], y[N:])


def part(rank, counts):
    """Return the rows of a rank."""
    return slice(sum(counts[:rank]), sum(counts[: rank + 1]))


def network(dtype="float64", scaling=None, seed=0, **more):
    return mbbp.Network(
        SIZES, cost="log_likelihood", activation=["tanh", "softmax"], dtype=dtype, scaling=scaling, rng=seed, **more
    )
