"""What the two estimators share: parameters, `fit`, predictions, and the attributes that belong to them."""

from __future__ import annotations

import copy
import operator
from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from mbbp.activations import Activation
from mbbp.costs import Cost
from mbbp.dropout import Dropout, as_rates
from mbbp.kernels.examples import Examples
from mbbp.network import Network
from mbbp.optimizers import Optimizer
from mbbp.parameters import Array
from mbbp.sklearn.callbacks import CallbackSupportMixin, FitTask, Stops
from mbbp.sklearn.checks import check_new_parameters, hidden_sizes
from mbbp.sklearn.members import fit_members, mean_of_outputs
from mbbp.sklearn.methods import NAMES, Prepared, fit_method, prepare_method, solver_of
from mbbp.sklearn.models import (
    HIDDEN,
    OUTPUT,
    Model,
    activation_of,
    cost_of,
    draw_parameters,
    hidden_activations,
    sizes_of,
)
from mbbp.sklearn.samples import as_read, chosen, rows_of
from mbbp.sklearn.solver import STOCHASTIC, Curves, StochasticSolver
from mbbp.sklearn.training import HeldOut, Work, fit_lbfgs, fit_stochastic
from mbbp.solvers import DPSGD
from mbbp.threads import OneWriter, at_most

FLOATS = (np.float64, np.float32)
MEANS = ("squared_error", "absolute_error", "huber", "quantile")  # losses that are means over the outputs


class BaseMLP(CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The base of `MLPClassifier` and `MLPRegressor`. A subclass says what its losses and its targets are."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(HIDDEN)), Activation, list, tuple],
        "solver": [StrOptions({*STOCHASTIC, "lbfgs", *NAMES}), Optimizer],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"}), callable],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "out_activation": [StrOptions(set(OUTPUT)), Activation, None],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "scoring": [str, callable, None],
        "callbacks": [callable, list, tuple, None],
        "progress_bar": ["boolean"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "n_members": [Interval(Integral, 1, None, closed="left")],
    }
    _costs: dict[str, str | Cost]  # the engine's cost for each loss

    coefs_: list[Array]
    intercepts_: list[Array]
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    eval_loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    _model: Model
    _best_theta: Array | None

    # ------------------------------------------------------------------------------------------ what a subclass says

    @abstractmethod
    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        """Return X and y, checked."""

    @abstractmethod
    def _validate_more(self, X: Any, y: Any, name: str) -> tuple[Any, Any]:
        """Return X and y, checked against those that the estimator was fitted to."""

    @abstractmethod
    def _encode(self, y: Any, dtype: Any, name: str) -> tuple[Array, Array]:
        """Return targets (n, n_outputs) and labels (n,) for the engine; one of them may be empty."""

    @abstractmethod
    def _count_outputs(self, y: Any) -> int:
        """Return the number of outputs."""

    @abstractmethod
    def _default_output(self) -> str:
        """Return the name of the output activation for the loss and the targets."""

    @abstractmethod
    def _strata(self, y: Any) -> Any:
        """Return what the split for early stopping is stratified by, or None."""

    @abstractmethod
    def _weights(self, y: Any, sample_weight: Any) -> Any:
        """Return the weight of each sample, or None."""

    @abstractmethod
    def _decode(self, outputs: Array) -> Any:
        """Return predictions for outputs (n, n_outputs)."""

    @abstractmethod
    def _score_of(self, y: Any, predicted: Any, sample_weight: Any) -> float:
        """Return the score by which early stopping decides."""

    def _cost(self, output: Activation, dtype: Any) -> Cost:
        return cost_of(self.loss, output, self._costs)

    @property
    def _loss_factor(self) -> float:
        """What the engine's cost is multiplied by: scikit-learn's squared error is a mean over the outputs."""
        return 1.0 / self.n_outputs_ if self.loss in MEANS else 1.0

    # ------------------------------------------------------------------------------------------------------- training

    def _fit(self, X: Any, y: Any, sample_weight: Any, *, eval_set: Any = None, incremental: bool = False) -> BaseMLP:
        fit_members(self, X, y, sample_weight, eval_set, incremental)
        return self

    def _training(self) -> AbstractContextManager[None]:
        # `setdefault` is one step: of several threads that fit, one is first
        writer: OneWriter = self.__dict__.setdefault("_writer", OneWriter())
        return writer.fitting()

    def _fit_one(
        self, X: Any, y: Any, sample_weight: Any, eval_set: Any, incremental: bool, stops: Stops | None = None
    ) -> None:
        with at_most(self.n_threads):
            before = self.__dict__.copy()
            try:
                work, (X, y, metadata) = self._prepare(X, y, sample_weight, eval_set, incremental)
                prepared = prepare_method(self, work)
            except BaseException:
                self.__dict__.clear()
                self.__dict__.update(before)
                raise
            task = FitTask(self, X, y, metadata, stops)
            self._train(work, task, prepared)
            if not np.isfinite(self._model.theta).all():
                raise ValueError(
                    "Solver produced non-finite parameter weights. The input data may contain large values and need to "
                    "be preprocessed."
                )
            task.end()

    def _train(self, work: Work, task: FitTask, prepared: Prepared | None) -> None:
        if prepared is not None:
            fit_method(self, work, task, prepared)
        elif self._is_stochastic:
            fit_stochastic(self, work, task)
        else:
            fit_lbfgs(self, work, task)

    def _prepare(self, X: Any, y: Any, sample_weight: Any, eval_set: Any, incremental: bool) -> tuple[Work, Any]:
        """Check everything, set what a training begins with, and return the work and what callbacks get."""
        sizes = hidden_sizes(self.hidden_layer_sizes)
        check_new_parameters(self, eval_set)
        is_first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        given = X
        X, y = self._validate_input(X, y, incremental, reset=is_first)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        weights = self._weights(y, sample_weight)
        random_state = check_random_state(self.random_state)
        n_outputs = self._count_outputs(y)
        if not is_first and n_outputs != np.shape(self.coefs_[-1])[1]:
            raise ValueError(f"y: expected {np.shape(self.coefs_[-1])[1]} outputs as in the first fit, got {n_outputs}")
        self.n_outputs_ = n_outputs
        # a seed is drawn only where it is needed: all other random numbers stay those of scikit-learn
        if np.any(self.dropout) and (is_first or not getattr(self, "_dropout_seed", 0)):
            self._dropout_seed = int(random_state.randint(1, 2**31))
        if is_first:
            self._start([X.shape[1], *sizes, self.n_outputs_], X.dtype, random_state)
        else:
            self._go_on(X.dtype)
        if callable(self.learning_rate):  # a function that cannot be used is found before anything is trained
            StochasticSolver(self, self._model.theta).begin_epoch(len(self.loss_curve_) + 1, Curves(self))
        rows, held_out, evaluated = rows_of(X), None, None
        examples, chosen_rows = self._examples(rows, y, weights, "y"), np.arange(rows.shape[0])
        if eval_set is not None:
            X_given, y_given = eval_set
            X_val, y_val = self._validate_more(X_given, y_given, "eval_set")
            held_out = HeldOut(X_given, rows_of(X_val), y_val, None)
            evaluated = self._examples(held_out.rows, y_val, None, "eval_set")
        elif self.early_stopping and self._is_stochastic:
            held_out, chosen_rows = self._held_out(given, rows, y, weights, random_state)
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        work = Work(
            examples=examples,
            chosen=chosen_rows,
            held_out=held_out if self.early_stopping and self._is_stochastic else None,
            evaluated=evaluated,
            is_single_epoch=incremental,
            random_state=random_state,
        )
        return work, (X, y, metadata)

    @property
    def _is_stochastic(self) -> bool:
        return self.solver != "lbfgs" and solver_of(self) is None

    @property
    def _is_in_double(self) -> bool:
        """Whether the solver computes in float64 whatever the samples are; in scikit-learn, L-BFGS does."""
        return not self._is_stochastic and not isinstance(solver_of(self), DPSGD)

    def _start(self, sizes: list[int], dtype: Any, random_state: Any) -> None:
        """Set everything that a training begins with."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(sizes)
        model = self._new_model(sizes, np.float64 if self._is_in_double else dtype)
        draw_parameters(model, hidden_activations(self.activation, len(sizes) - 2), random_state)
        self._adopt(model)
        self._best_theta = self._model.theta.copy()
        self.eval_loss_curve_ = []
        if self._is_stochastic:
            self.loss_curve_ = []
            self._no_improvement_count = 0
            self.validation_scores_ = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None
            self.best_loss_ = None if self.early_stopping else np.inf

    def _new_model(self, sizes: list[int], dtype: Any) -> Model:
        given: Any = self.out_activation or self._default_output()
        self.out_activation_ = getattr(given, "name", given)
        output = activation_of(given)
        hidden = [activation_of(one) for one in hidden_activations(self.activation, len(sizes) - 2)]
        dropout = None
        if np.any(self.dropout):
            dropout = Dropout(as_rates("dropout", self.dropout, len(sizes) - 1) or (), self._dropout_seed)
        return Model(sizes, dtype, [*hidden, output], self._cost(output, dtype), dropout)

    def _adopt(self, model: Model) -> None:
        """Make a model with all its parameters the estimator's; another thread may be predicting meanwhile."""
        self._built_from = self._what_a_model_is_built_from()
        self._model = model
        self.coefs_, self.intercepts_ = list(model.coefs), list(model.intercepts)

    def _what_a_model_is_built_from(self) -> tuple[Any, ...]:
        """Return the parameters that a model depends on; a regressor has more of them."""
        return self.activation, self.out_activation, self.loss, self.dropout

    def _go_on(self, dtype: Any) -> None:
        """Make the parameters that are there those of the model, whether or not a user has replaced them."""
        coefs, intercepts = self.coefs_, self.intercepts_
        found = np.result_type(*coefs)
        kept = found if found in FLOATS else np.dtype(dtype)
        wanted = np.dtype(np.float64) if self._is_in_double else kept
        model = self.__dict__.get("_model")
        if (
            model is None
            or not model.has(coefs, intercepts)
            or model.theta.dtype != wanted
            or self._built_from != self._what_a_model_is_built_from()
        ):
            model = self._new_model(sizes_of(coefs), wanted)
        model.take(coefs, intercepts)
        self._adopt(model)
        # as in scikit-learn, where the best parameters are then the same arrays as those that training changes
        self._best_theta = None

    def _examples(self, rows: Any, y: Any, weights: Any, name: str) -> Examples:
        """Return samples and targets for the engine; `name` is that of the targets in an error."""
        dtype = self._model.theta.dtype
        targets, labels = self._encode(y, dtype, name)
        given = np.empty(0, dtype) if weights is None else np.ascontiguousarray(weights, dtype)
        return Examples(as_read(rows), targets, labels, given)

    def _held_out(self, X: Any, rows: Any, y: Any, weights: Any, random_state: Any) -> tuple[HeldOut, Array]:
        """Return what early stopping looks at, and the numbers of the samples to train on."""
        train, held_out = train_test_split(
            np.arange(rows.shape[0]),
            random_state=random_state,
            test_size=self.validation_fraction,
            stratify=self._strata(y),
        )
        if held_out.size < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        given = chosen(X, rows, held_out) if self.scoring is not None else None
        return HeldOut(given, rows[held_out], y[held_out], None if weights is None else weights[held_out]), train

    def _validation_score(self, held_out: HeldOut) -> float:
        if self.scoring is not None:
            return float(check_scoring(self, self.scoring)(self, held_out.X, held_out.y))
        predicted = self._decode(self._predicted(held_out.rows))
        if predicted.dtype.kind == "f" and not np.isfinite(predicted).all():
            return float("nan")
        return float(self._score_of(held_out.y, predicted, held_out.weights))

    # ---------------------------------------------------------------------------------------------------- predictions

    def _outputs(self, X: Any) -> Array:
        """Return the mean of the outputs (n, n_outputs) of all members, for samples as a user gives them."""
        return mean_of_outputs(self, self._own_outputs(X), X)

    def _own_outputs(self, X: Any) -> Array:
        engine = self._linked().engine
        # a check of scikit-learn's takes ten times as long as a row's way through a network
        if (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype in FLOATS
            and X.shape[0] > 0
            and X.shape[1] == self.n_features_in_
            and not hasattr(self, "feature_names_in_")
        ):
            with at_most(self.n_threads) if self.n_threads is not None else nullcontext():
                outputs = engine.predict_columns(X.T)
            if outputs is not None:
                return outputs.T
        return self._predicted(rows_of(self._samples(X)))

    def _predicted(self, rows: Array) -> Array:
        with at_most(self.n_threads):
            outputs = self._model.engine.predict(as_read(rows))
        if outputs is None:  # scikit-learn was told to assume that all numbers are finite
            raise ValueError("X: expected finite numbers, got NaN or inf")
        return outputs

    def _samples(self, X: Any) -> Any:
        return validate_data(self, X, accept_sparse=["csr", "csc"], dtype=FLOATS, reset=False)

    def _linked(self) -> Model:
        """Return the model, with the parameters that a user may have set."""
        try:
            model = self._model
        except AttributeError:  # parameters may have been set by hand
            check_is_fitted(self, "coefs_")
            self._go_on(np.result_type(*self.coefs_))
            return self._model
        if self._built_from != self._what_a_model_is_built_from():
            self._go_on(model.theta.dtype)
            return self._model
        # by identity: a comparison of numbers would take longer than a prediction
        if not (_are_same(model.coefs, self.coefs_) and _are_same(model.intercepts, self.intercepts_)):
            if not model.has(self.coefs_, self.intercepts_):
                self._go_on(np.result_type(*self.coefs_))
                return self._model
            model.take(self.coefs_, self.intercepts_)
        return model

    def transform(self, X: Any, layer: int = -1) -> Array:
        """Return the activations of a hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        layer : int
            The hidden layer: 0 for the first, -1 for the last.

        Returns
        -------
        ndarray of shape (n_samples, size of the layer)

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        engine = self._linked().engine
        n_hidden = len(self.coefs_) - 1
        if n_hidden == 0:
            raise ValueError("transform: expected a network with a hidden layer, got one without")
        if not hasattr(layer, "__index__") or not -n_hidden <= layer < n_hidden:
            raise ValueError(f"layer: expected a whole number from {-n_hidden} to {n_hidden - 1}, got {layer!r}")
        rows = rows_of(self._samples(X))
        starts = range(0, rows.shape[0], 1024)
        parts = [engine.activations_of(as_read(rows[i : i + 1024]))[layer % n_hidden].T for i in starts]
        return np.concatenate(parts)

    @property
    def _n_features_out(self) -> int:
        return self.coefs_[-1].shape[0]

    def input_gradient(self, X: Any, y: Any) -> Array:
        """Return the gradient of each sample's loss with respect to its features.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Row i is the gradient of the loss of sample i. L2 is no part of the loss here.
        """
        engine = self._linked().engine
        X, y = self._validate_more(X, y, "y")
        rows, found = rows_of(X), []
        for start in range(0, rows.shape[0], 1024):
            few = slice(start, start + 1024)
            gradients = engine.gradient(self._examples(rows[few], y[few], None, "y"), wants_inputs=True).inputs
            assert gradients is not None
            found.append(gradients)
        return np.concatenate(found) * self._loss_factor

    def to_network(self) -> Network:
        """Return an `mbbp.Network` with the same parameters.

        Its examples are columns: ``mlp.to_network().feedforward(X.T)``. It can be saved, checked, and trained further.
        Its labels are the places of the classes in `classes_`. With several members, it is the first one's.
        """
        engine = self._linked().engine
        rates = None if engine.dropout is None else engine.dropout.rates
        # the log loss is scikit-learn's form of a cost: it counts no probability as less than a least one
        cost = engine.cost.name if self.loss == "log_loss" else engine.cost
        net = Network(engine.sizes, list(engine.activations), cost, dtype=engine.dtype, rng=0, dropout=rates)
        net.theta = engine.theta
        return net

    # ------------------------------------------------------------------------------------------------ pickle and tags

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_model", "_built_from", "_writer")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # copy.copy hands over the same objects, which the training of one estimator would change for both
        for name in ("_optimizer", "loss_curve_", "eval_loss_curve_", "validation_scores_", "_best_theta"):
            if getattr(self, name, None) is not None:
                setattr(self, name, copy.copy(getattr(self, name)))
        for name in ("coefs_", "intercepts_"):
            if hasattr(self, name):
                setattr(self, name, [np.array(one) for one in getattr(self, name)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _are_same(views: list[Array], given: list[Any]) -> bool:
    return len(views) == len(given) and all(map(operator.is_, views, given))
