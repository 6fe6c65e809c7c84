"""scikit-learn's `MLPRegressor`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, Real, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from mbbp import costs
from mbbp.costs import Cost
from mbbp.parameters import Array
from mbbp.sklearn.base import FLOATS, BaseMLP
from mbbp.sklearn.callbacks import with_callbacks


class MLPRegressor(RegressorMixin, BaseMLP):
    """PLACEHOLDER."""

    _parameter_constraints: ClassVar[dict[str, Any]] = BaseMLP._parameter_constraints | {
        "loss": [
            StrOptions({"squared_error", "poisson", "absolute_error", "huber", "quantile"}),
            Cost,
        ],
        "delta": [Interval(Real, 0, None, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        delta=1.0,
        quantile=0.5,
        out_activation=None,
        dropout=0.0,
        clip_norm=None,
        scoring=None,
        callbacks=None,
        progress_bar=False,
        n_threads=None,
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.delta = delta
        self.quantile = quantile
        self.out_activation = out_activation
        self.dropout = dropout
        self.clip_norm = clip_norm
        self.scoring = scoring
        self.callbacks = callbacks
        self.progress_bar = progress_bar
        self.n_threads = n_threads

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, eval_set: Any = None) -> MLPRegressor:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The numbers to predict.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample.
        eval_set : pair (X, y), optional
            Your own validation set. Its loss after each epoch goes to `eval_loss_curve_`, and early stopping looks at
            its score instead of holding out a part of X.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, eval_set=eval_set)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Go through the samples once, as one epoch of a training that goes on.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The numbers to predict.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=True)

    # -------------------------------------------------------------------------------------------------------- targets

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=True, dtype=FLOATS, reset=reset
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _validate_more(self, X: Any, y: Any) -> tuple[Any, Any]:
        return self._validate_input(X, y, incremental=True, reset=False)

    def _count_outputs(self, y: Any) -> int:
        return 1 if y.ndim == 1 else int(y.shape[1])

    def _default_output(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    @property
    def _costs(self) -> dict[str, str | Cost]:  # type: ignore[override]
        return {
            "squared_error": "quadratic",
            "poisson": "poisson",
            "absolute_error": "absolute",
            "huber": costs.huber(self.delta),
            "quantile": costs.quantile(self.quantile),
        }

    def _encode(self, y: Any, dtype: Any) -> tuple[Array, Array]:
        targets = np.ascontiguousarray(y, dtype).reshape(len(y), -1)
        self._model.engine.cost.check_targets("y", targets.T)
        return targets, np.empty(0, np.uint8)

    def _strata(self, y: Any) -> Any:
        return None

    def _weights(self, y: Any, sample_weight: Any) -> Any:
        return sample_weight

    # ---------------------------------------------------------------------------------------------------- predictions

    def _decode(self, outputs: Array) -> Array:
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _score_of(self, y: Any, predicted: Any, sample_weight: Any) -> float:
        return r2_score(y, predicted, sample_weight=sample_weight)

    def predict(self, X: Any) -> Array:
        """Return the predicted numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        check_is_fitted(self, "coefs_")
        return self._decode(self._outputs(X))
