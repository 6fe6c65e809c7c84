"""scikit-learn's `MLPClassifier`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import Interval, Real, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from mbbp.activations import Activation
from mbbp.costs import Cost
from mbbp.parameters import Array
from mbbp.sklearn.base import FLOATS, BaseMLP
from mbbp.sklearn.callbacks import with_callbacks
from mbbp.sklearn.models import log_loss
from mbbp.sklearn.solver import check_stochastic

PROBABILITIES = ("softmax", "logistic", "sigmoid")


def _gives_probabilities(mlp: MLPClassifier) -> bool:
    given = getattr(mlp, "out_activation_", mlp.out_activation)
    name = getattr(given, "name", given)
    return name in PROBABILITIES if name is not None else mlp.loss != "squared_hinge"


def _gives_margins(mlp: MLPClassifier) -> bool:
    return not _gives_probabilities(mlp)


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multi-layer perceptron that tells classes apart, in the place of scikit-learn's.

    Names, defaults, meanings, errors and random numbers are those of scikit-learn 1.9; the parameters from `loss` on
    are new, and change nothing by default. Samples are rows. float32 samples are computed with in float32, others in
    float64; C-ordered arrays are not copied.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int
        The number of neurons in each hidden layer; may be empty.
    activation : str, mbbp.Activation, or a list with one for each hidden layer
        identity, logistic, tanh, relu, and new: leaky_relu, elu, gelu, silu, softplus, and your own.
    solver : {'sgd', 'adam', 'lbfgs', 'adamw', 'rmsprop', 'dp_sgd'} or mbbp.Optimizer
        How the parameters are changed. lbfgs is SciPy's, over all samples at once, in float64. New: adamw, for which
        `alpha` is a decoupled weight decay and no part of the loss; rmsprop, whose decay rate is `beta_2`; and any
        optimizer of mbbp, also your own, with its own settings.
        dp_sgd is private (see `mbbp.DPSGD`). `history_` then has the privacy that is spent; `tol`, `early_stopping` and
        the names of `learning_rate` are not for it. levenberg_marquardt is for the squared error.
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
    loss : {'log_loss', 'squared_hinge', 'squared_error'} or mbbp.Cost
        What is reduced. With squared_hinge there is `decision_function` instead of `predict_proba`.
    out_activation : str or mbbp.Activation, optional
        The activation of the output layer. By default the one that fits the loss.
    class_weight : dict or 'balanced', optional
        The weight of each class; 'balanced' gives all classes the same sum of sample weights.
    label_smoothing : float
        The part of each target that is shared out among all classes, from 0 and below 1.
    dropout : float or list of float
        The part of the hidden neurons that is left out in each step, from 0 and below 1. A list has one number for the
        inputs, then one for each hidden layer.
    clip_norm : float, optional
        The largest norm of a gradient, without its L2 term.
    scoring : str or callable, optional
        The scorer of scikit-learn by which early stopping decides, without weights, such as 'roc_auc'. By default the
        accuracy.
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
    classes_ : ndarray of shape (n_classes,)
        The classes.
    coefs_, intercepts_ : list of ndarray
        The weights (n_in, n_out) and the biases (n_out,) of each layer. If you change them, the network changes.
    loss_, best_loss_ : float
        The last and the least loss, with its L2 term. `best_loss_` is None with early stopping.
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
    >>> from mbbp.sklearn import MLPClassifier
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> mlp = MLPClassifier(early_stopping=True, random_state=0).fit(X / 16, y)
    >>> mlp.score(X / 16, y) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = BaseMLP._parameter_constraints | {
        "loss": [StrOptions({"log_loss", "squared_hinge", "squared_error"}), Cost],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }
    _costs = {"squared_hinge": "squared_hinge", "squared_error": "quadratic"}

    def __init__(
        self,
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
        loss="log_loss",
        out_activation=None,
        class_weight=None,
        label_smoothing=0.0,
        dropout=0.0,
        clip_norm=None,
        scoring=None,
        callbacks=None,
        progress_bar=False,
        n_threads=None,
        n_members=1,
    ):
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
        self.loss = loss
        self.out_activation = out_activation
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.dropout = dropout
        self.clip_norm = clip_norm
        self.scoring = scoring
        self.callbacks = callbacks
        self.progress_bar = progress_bar
        self.n_threads = n_threads
        self.n_members = n_members

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, eval_set: Any = None) -> MLPClassifier:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The class of each sample, or for multilabel classification a matrix of 0 and 1.
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
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Go through the samples once, as one epoch of a training that goes on.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The class of each sample.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample.
        classes : array of shape (n_classes,), optional
            All classes of all calls. The first call needs it; y need not contain all of them.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As `fit`, if y has other classes, and with early stopping.
        """
        if _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer()
            self._label_binarizer.fit(y if type_of_target(y).startswith("multilabel") else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    # -------------------------------------------------------------------------------------------------------- targets

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = validate_data(self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=FLOATS, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
            return X, y
        classes = unique_labels(y)
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {classes}"
            )
        self._check_classes(classes)
        return X, y

    def _validate_more(self, X: Any, y: Any, name: str) -> tuple[Any, Any]:
        X, y = validate_data(self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=FLOATS, reset=False)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if type_of_target(y).startswith("multilabel") != self._is_multilabel:
            wanted = "a matrix of 0 and 1" if self._is_multilabel else "a class for each sample"
            raise ValueError(f"{name}: expected {wanted} as in the fit, got {type_of_target(y)} targets")
        self._check_classes(unique_labels(y))
        return X, y

    def _check_classes(self, classes: Array) -> None:
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    @property
    def _is_multilabel(self) -> bool:
        return self._label_binarizer.y_type_.startswith("multilabel")

    def _count_outputs(self, y: Any) -> int:
        n_classes = len(self.classes_)
        return n_classes if self._is_multilabel or n_classes > 2 else 1

    def _default_output(self) -> str:
        if self.loss not in ("log_loss", "squared_error"):
            return "identity"
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _cost(self, output: Activation, dtype: Any) -> Cost:
        if self.loss == "log_loss":
            costs = {"softmax": "log_likelihood", "sigmoid": "cross_entropy"}
            if output.name not in costs or (output.name == "softmax" and self.n_outputs_ == 1):
                raise ValueError(
                    f"out_activation: expected logistic, or softmax for three classes or more, for the loss log_loss, "
                    f"got {self.out_activation!r}"
                )
            return log_loss(costs[output.name], dtype)
        return super()._cost(output, dtype)

    def _encode(self, y: Any, dtype: Any, name: str) -> tuple[Array, Array]:
        n_classes, nothing = len(self.classes_), np.empty((0, self.n_outputs_), dtype)
        if not self._is_multilabel:
            codes = np.searchsorted(self.classes_, y)
            labels = codes.astype(np.uint8 if n_classes <= 256 else np.int64)
            if not self.label_smoothing:
                return nothing, labels
            matrix = codes[:, None].astype(dtype) if self.n_outputs_ == 1 else np.eye(n_classes, dtype=dtype)[codes]
        else:
            matrix = np.ascontiguousarray(self._label_binarizer.transform(y), dtype)
        if self.label_smoothing:
            share = 1.0 / (2 if self._is_multilabel or self.n_outputs_ == 1 else n_classes)
            matrix = matrix * dtype.type(1.0 - self.label_smoothing) + dtype.type(self.label_smoothing * share)
        return matrix, np.empty(0, np.uint8)

    def _strata(self, y: Any) -> Any:
        # as in scikit-learn, which stratifies by its encoded targets, and by these only if they have one column
        return self._label_binarizer.transform(y).astype(bool) if self.n_outputs_ == 1 else None

    def _weights(self, y: Any, sample_weight: Any) -> Any:
        if self.class_weight is None:
            return sample_weight
        given = np.ones(y.shape[0]) if sample_weight is None else sample_weight
        if self.class_weight != "balanced" or self._is_multilabel:
            return given * compute_sample_weight(self.class_weight, y)
        codes = np.searchsorted(self.classes_, y)
        totals = np.bincount(codes, given, len(self.classes_))
        return given * (given.sum() / (np.count_nonzero(totals) * np.where(totals > 0, totals, 1.0)))[codes]

    # ---------------------------------------------------------------------------------------------------- predictions

    def _decode(self, outputs: Array) -> Array:
        threshold = self._model.engine.cost.threshold
        if self._is_multilabel:
            return self._label_binarizer.inverse_transform(outputs, threshold=threshold)
        if self.n_outputs_ == 1:
            codes = (outputs[:, 0] > threshold).astype(np.intp)
            return self.classes_[np.minimum(codes, len(self.classes_) - 1)]
        return self.classes_[outputs.argmax(axis=1)]

    def _score_of(self, y: Any, predicted: Any, sample_weight: Any) -> float:
        if self._is_multilabel:
            return accuracy_score(y, predicted, sample_weight=sample_weight)
        return float(np.average(y == predicted, weights=sample_weight))

    def predict(self, X: Any) -> Array:
        """Return the class of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            The classes, or for multilabel classification a matrix of 0 and 1.
        """
        return self._decode(self._outputs(X))

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        outputs = self._outputs(X)
        if self.n_outputs_ == 1:
            return np.vstack([1 - outputs[:, 0], outputs[:, 0]]).T
        if self._is_multilabel or self.out_activation_ == "softmax":
            return outputs
        return outputs / outputs.sum(axis=1, keepdims=True)

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probabilities)

    @available_if(_gives_margins)
    def decision_function(self, X: Any) -> Array:
        """Return how far each output is above the threshold between the classes, if outputs are no probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes one number, which is above 0 for the second class.
        """
        margins = self._outputs(X) - self._model.engine.cost.threshold
        return margins[:, 0] if self.n_outputs_ == 1 else margins

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
