"""scikit-learn's multi-layer perceptrons, trained by the engine of mbbp: change the import, and it runs faster.

``from mbbp.sklearn import MLPClassifier, MLPRegressor`` takes the place of ``from sklearn.neural_network import ...``.
Names, defaults, meanings, errors and random numbers are those of scikit-learn 1.9, with scikit-learn 1.6 or newer
installed. What is new comes after their parameters, and changes nothing unless it is used.

This package is translation. The files here turn samples, labels and parameters into what the engine takes.
"""

from mbbp.extras import load_extra

load_extra("mbbp.sklearn", "sklearn")

from mbbp.sklearn.classifier import MLPClassifier  # noqa: E402 -- a missing scikit-learn is to be told first
from mbbp.sklearn.regressor import MLPRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor"]
