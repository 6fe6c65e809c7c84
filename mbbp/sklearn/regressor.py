"""scikit-learn's `MLPRegressor`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, Real, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from mbbp import costs
from mbbp.costs import Cost
from mbbp.parameters import Array
from mbbp.sklearn.base import FLOATS, BaseMLP
from mbbp.sklearn.callbacks import with_callbacks
from mbbp.sklearn.solver import check_stochastic


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multi-layer perceptron that predicts numbers, in the place of scikit-learn's.

    Names, defaults, meanings, errors and random numbers are those of scikit-learn 1.9; the parameters from `delta` on
    are new, and change nothing by default. Samples are rows. float32 samples are computed with in float32, others in
    float64; C-ordered arrays are not copied.

    Parameters
    ----------
    loss : {'squared_error', 'poisson', 'huber', 'absolute_error', 'quantile'} or mbbp.Cost
        What is reduced. huber, absolute_error and quantile are new. poisson needs targets from 0, and has exp outputs.
    hidden_layer_sizes : array-like of int
        The number of neurons in each hidden layer; may be empty.
    activation : str, mbbp.Activation, or a list with one for each hidden layer
        identity, logistic, tanh, relu, and new: leaky_relu, elu, gelu, silu, softplus, and your own.
    solver : {'sgd', 'adam', 'lbfgs', 'adamw', 'rmsprop', 'levenberg_marquardt', 'dp_sgd'} or mbbp.Optimizer
        How the parameters are changed. lbfgs is SciPy's, over all samples at once, in float64. New: adamw, for which
        `alpha` is a decoupled weight decay and no part of the loss; rmsprop, whose decay rate is `beta_2`; and any
        optimizer of mbbp, also your own, with its own settings.
        levenberg_marquardt is for the squared error, in float64, and by default over all samples at once: the fastest
        way to fit a small network closely. dp_sgd is private (see `mbbp.DPSGD`). `history_` is the history of these
        two, with the damping, or the privacy that is spent; `tol`, `early_stopping` and the names of `learning_rate`
        are not for them, and `alpha` is not for ``mbbp.LevenbergMarquardt(bayesian=True)``.
    alpha : float
        The factor of the L2 term: alpha / (2 d) ||W||^2 is added to the loss of a mini-batch, where d is the number of
        its samples, or the sum of their weights.
    batch_size : int or 'auto'
        The size of a mini-batch; 'auto' is min(200, n_samples).
    learning_rate : {'constant', 'invscaling', 'adaptive'}, a schedule of `mbbp.schedules`, or a function of the epoch
        The names are for sgd only, as in scikit-learn. A schedule or a function is for every solver but lbfgs; its
        first epoch is 1, and epochs count on with `warm_start` and `partial_fit`. For a schedule to its end, set
        `n_iter_no_change` to inf. ReduceWhenStuck may watch training_cost, which is the loss here, or, with
        `early_stopping`, validation_accuracy, which is the score.
    learning_rate_init : float
        The learning rate of the first epoch. A schedule has its own.
    power_t : float
        The exponent of invscaling.
    max_iter : int
        The most epochs, or iterations of lbfgs.
    shuffle : bool
        Whether the samples are shuffled before each epoch.
    random_state : int, RandomState or None
        The source of the initial parameters, the shuffles and the split for early stopping: the same numbers as
        scikit-learn's.
    tol : float
        Training stops when the loss, or with `early_stopping` the score, has not improved by `tol` for more than
        `n_iter_no_change` epochs. For lbfgs, the limit of the gradient.
    verbose : bool
        Whether to print the loss of each epoch.
    warm_start : bool
        Whether `fit` goes on from the parameters that are there.
    momentum, nesterovs_momentum : float, bool
        The momentum of sgd.
    early_stopping : bool
        Whether to hold out a part of the samples, to stop when the score on it does not improve, and to keep the best
        parameters.
    validation_fraction : float
        The part that is held out.
    beta_1, beta_2, epsilon : float
        The settings of adam.
    n_iter_no_change : int or inf
        See `tol`.
    max_fun : int
        The most calls of the loss in lbfgs.
    delta : float
        The error from which on the loss huber is linear.
    quantile : float
        The quantile that the loss quantile predicts, between 0 and 1. Its loss falls slowly: a smaller `tol` and a
        falling learning rate bring the prediction closer to the quantile.
    out_activation : str or mbbp.Activation, optional
        The activation of the output layer. By default the one that fits the loss.
    dropout : float or list of float
        The part of the hidden neurons that is left out in each step, from 0 and below 1. A list has one number for the
        inputs, then one for each hidden layer.
    clip_norm : float, optional
        The largest norm of a gradient, without its L2 term.
    scoring : str or callable, optional
        The scorer of scikit-learn by which early stopping decides, without weights, such as
        'neg_median_absolute_error'. By default R².
    callbacks : callable or list of callable, optional
        Functions that get the estimator after each epoch, or each iteration of lbfgs. If one returns True, training
        stops. For callbacks of scikit-learn's own protocol, use `set_callbacks` (scikit-learn 1.9).
    progress_bar : bool
        Whether to show a progress bar.
    n_threads : int, optional
        The most threads of a training or a prediction. The results do not depend on their number.
    n_members : int
        The number of networks. With more than one, each is trained with a seed of its own, as many at the same time as
        there are cores, and predictions use the mean of their outputs. All attributes but `members_` are those of the
        first network, which is the same as without the others; callbacks see it alone.

    Attributes
    ----------
    members_ : list of estimators
        The further networks, with more than one.
    coefs_, intercepts_ : list of ndarray
        The weights (n_in, n_out) and the biases (n_out,) of each layer. If you change them, the network changes.
    loss_, best_loss_ : float
        The last and the least loss, with its L2 term. `best_loss_` is None with early stopping. Of several
        outputs, a loss with a name is the mean, but poisson the sum, and so is a Cost.
    loss_curve_, eval_loss_curve_ : list of float
        The loss of each epoch, and the loss on `eval_set` after it, which has no L2 term.
    validation_scores_, best_validation_score_ : list of float, float
        The scores of early stopping; None without it.
    n_iter_, t_ : int
        The epochs of the last `fit`, and the samples seen so far.
    n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn. With lbfgs there are no curves.

    Examples
    --------
    >>> from mbbp.sklearn import MLPRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.pipeline import make_pipeline
    >>> X, y = load_diabetes(return_X_y=True)
    >>> mlp = MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", alpha=300.0, max_iter=5000, random_state=0)
    >>> make_pipeline(StandardScaler(), mlp).fit(X, y).score(X, y) > 0.5
    True
    """

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
        n_members=1,
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
        self.n_members = n_members

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
            Your own validation set. Its loss after each epoch, or each iteration of lbfgs, goes to `eval_loss_curve_`,
            and early stopping looks at its score, without weights, instead of holding out a part of X.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter, X, y, `sample_weight` or `eval_set` is not as it must be, or a parameter becomes NaN or inf.
            Before the training begins, such an error leaves the estimator as it was.
        TypeError
            If something is of the wrong type.
        RuntimeError
            If the estimator is being trained already, by another thread or by the training that calls a callback.
        """
        return self._fit(X, y, sample_weight, eval_set=eval_set)

    @available_if(check_stochastic)
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

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As `fit`, and with early stopping.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    # -------------------------------------------------------------------------------------------------------- targets

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=True, dtype=FLOATS, reset=reset
        )
        if y.dtype.kind not in "fiub":
            raise TypeError(f"y: expected numbers, got {y.dtype}")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _validate_more(self, X: Any, y: Any, name: str) -> tuple[Any, Any]:
        X, y = self._validate_input(X, y, incremental=True, reset=False)
        if self._count_outputs(y) != self.n_outputs_:
            raise ValueError(f"{name}: expected {self.n_outputs_} outputs, got {self._count_outputs(y)}")
        return X, y

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

    def _encode(self, y: Any, dtype: Any, name: str) -> tuple[Array, Array]:
        targets = np.ascontiguousarray(y, dtype).reshape(len(y), -1)
        self._model.engine.cost.check_targets(name, targets.T)
        return targets, np.empty(0, np.uint8)

    def _what_a_model_is_built_from(self) -> tuple[Any, ...]:
        return *super()._what_a_model_is_built_from(), self.delta, self.quantile

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
        return self._decode(self._outputs(X))
