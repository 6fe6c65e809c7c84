"""The class `Network`: the methods for whole mini-batches and for training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from mbbp import fileformat, planning, training
from mbbp.activations import Activation
from mbbp.chunking.chunks import Chunks
from mbbp.class_weights import ClassWeights
from mbbp.costs import Cost
from mbbp.derivatives import Derivatives
from mbbp.history import Epoch, History
from mbbp.initializers import Initializer
from mbbp.interrupts import Interrupts
from mbbp.methods import data_parallel
from mbbp.methods.method import DivergedError
from mbbp.optimizer_state import OptimizerState
from mbbp.optimizers import Optimizer
from mbbp.progress import Progress
from mbbp.ranks import RankError, Ranks, as_ranks
from mbbp.scaling import AnyScaling, Scaling
from mbbp.schedules import Schedule
from mbbp.stopping import EarlyStopping
from mbbp.structure import DropoutRates, Rng
from mbbp.trainer import Trainer
from mbbp.validation import as_flag

Callback = Callable[["Network", Epoch], Any]


class Network(Derivatives):
    """A feedforward network, trained by mini-batch backpropagation.

    Parameters
    ----------
    sizes : sequence of int
        The number of neurons in each layer, the input layer first: [784, 30, 10].
    activation : str, Activation, or a sequence of them
        One for each computing layer, or a single one: sigmoid, tanh, relu, leaky_relu, gelu, silu, elu, softplus,
        identity, exp (for outputs that are counts), or softmax (for the output layer only). A single one is for all
        layers, with two exceptions. If `cost` is named and needs another output, the output layer gets it: sigmoid for
        cross_entropy, softmax for log_likelihood, exp for poisson, identity for squared_hinge. And relu, leaky_relu,
        gelu, silu and elu are for hidden layers only: other costs then get the output identity, and without a `cost`
        the output must be named.
    cost : str or Cost, optional
        For classes cross_entropy (sigmoid outputs), log_likelihood (softmax) or squared_hinge; for numbers quadratic,
        huber, absolute or quantile; for counts poisson (exp outputs); or one that `mbbp.costs.huber` or
        `mbbp.costs.quantile` returns. By default log_likelihood for softmax outputs, otherwise quadratic.
    dtype : {"float32", "float64"}
        The dtype of the parameters and of all computations.
    initializer : str or callable
        default (the book's chapter 3: standard deviation 1/sqrt(n_in)), large (the book's chapter 1: N(0, 1)), glorot,
        he, nguyen_widrow (for tanh and levenberg_marquardt), or a function (rng, n_in, n_out) -> (W, b) with W of shape
        (n_out, n_in) and b of shape (n_out, 1).
    rng : int or numpy.random.Generator, optional
        The source of the initial parameters and of the shuffles. The same seed gives the same numbers, to the bit.
    scaling : float, "standardize" or Scaling, optional
        How inputs are scaled, in every method: a factor, such as 1/255 for pixels from 0 to 255; "standardize" to give
        each feature the mean 0 and the variance 1, learnt from the training data of the first `fit`; or a `Scaling`. By
        default inputs are used as they are. The data are not copied: each mini-batch is scaled when it is gathered.
    dropout : float or sequence of float, optional
        The probability, from 0 to below 1, that a step of `fit` or of a trainer drops a neuron. A number is for every
        hidden layer; a sequence has one for the inputs, and then one for each hidden layer. The others count
        1 / (1 - p) times as much in return, and no other method drops any.

    Attributes
    ----------
    sizes : tuple of int
    dtype : dtype
    layers : tuple of Layer
        The computing layers: layers 2 to L of the book. Each has W and b, and after a call of `gradient` also z, a and
        delta.
    theta : ndarray of shape (n_parameters,)
        All weights and biases. The layers' W and b are views of it.
    cost_function : Cost
        The cost that training reduces.
    scaling : Scaling, "standardize" or None
        How inputs are scaled; the word before the scaling is learnt.
    dropout : tuple of float or None
        The probabilities for the inputs and for each hidden layer.
    rng : numpy.random.Generator
        The source of the shuffles.
    schema : Schema or None
        What the inputs and the outputs stand for: the columns of a table, the names of the classes.
    metadata : dict
        Texts by name, of any meaning. They are saved with the network.
    optimizer_state : OptimizerState or None
        The state of the optimizer after the last step of `fit`.
    history : History
        One row for every epoch of training so far.
    trained_on_classes : bool or None
        Whether the targets of the last training named classes; None before any.

    Raises
    ------
    ValueError
        If there are fewer than two layers, a layer has no neuron, a name is unknown, a hidden layer has softmax, the
        activation of the output layer is not known, the cost is not defined for it, the scaling is for another number
        of features, or the initializer returns arrays of wrong shapes.
    TypeError
        If an argument is of the wrong type, or Numba cannot compile a custom function.

    Notes
    -----
    The attributes are read-only, except `theta`, `rng`, `schema`, `metadata`, `optimizer_state` and the
    layers' W and b: those are checked
    when they are assigned to. Several threads may call `feedforward`, `cost` and the other methods that only read at
    the same time. While `fit` runs, other threads that use the network get a RuntimeError, and so does a callback that
    calls `fit`. A trainer's steps exclude each other, but do not read the network in another thread meanwhile.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> net = mbbp.Network([2, 3, 1], rng=0)
    >>> net.feedforward(np.zeros((2, 5))).shape
    (1, 5)
    """

    def __init__(
        self,
        sizes: Iterable[int],
        activation: str | Activation | Sequence[str | Activation] = "sigmoid",
        cost: str | Cost | None = None,
        dtype: Any = "float32",
        initializer: str | Initializer = "default",
        rng: Rng = None,
        scaling: AnyScaling | Scaling = None,
        dropout: DropoutRates = None,
    ) -> None:
        self._set_up(sizes, activation, cost, dtype, initializer, rng, scaling, dropout)

    def fit(
        self,
        X: ArrayLike | Chunks,
        y: ArrayLike | None = None,
        *,
        epochs: int = 30,
        batch_size: int | None = None,
        learning_rate: float | Schedule | Callable[[int], float] | None = None,
        optimizer: str | Optimizer = "sgd",
        l2: float = 0.0,
        weight_decay: float | None = None,
        clip_norm: float | None = None,
        shuffle: bool = True,
        subset: ArrayLike | None = None,
        example_weights: ArrayLike | None = None,
        class_weights: ClassWeights = None,
        validation_data: tuple[ArrayLike, ArrayLike] | Chunks | None = None,
        validation_split: float | ArrayLike | None = None,
        early_stopping: EarlyStopping | int | None = None,
        checkpoint: str | Path | None = None,
        every: int = 1,
        callbacks: Callback | Iterable[Callback] = (),
        progress: bool | None = None,
        comm: Any = None,
        average_every: int | None = None,
    ) -> History:
        """Train the network by mini-batch gradient descent.

        A further call continues the training. Ctrl-C ends the training after the current epoch, and then
        `History.was_interrupted` is true. A second Ctrl-C ends it at once, with a KeyboardInterrupt, and the network
        keeps the parameters of the last complete epoch.

        Each call first checks that inputs, also when they are scaled, and targets are finite, and that labels are whole
        numbers in range. That takes less time than a copy of the data. Only inputs of a wider dtype are copied.

        Parameters
        ----------
        X : array_like of shape (n_in, n), or Chunks
            Training inputs, one example per column. Or training data with their targets that need not fit into memory,
            from `mbbp.chunks`; subset, example_weights, validation_split, comm, levenberg_marquardt, lbfgs and dp_sgd
            are not for these.
        y : array_like of shape (n,) or (n_L, n)
            Labels, or desired outputs. Not with Chunks.
        epochs : int
            The number of passes through the training set.
        batch_size : int, optional
            The number of examples in a mini-batch. The last mini-batch of an epoch holds the examples that are left,
            and its gradient is the mean over them. By default 10, but all examples for levenberg_marquardt and lbfgs.
        learning_rate : float, Schedule, or function of the number of the epoch, optional
            The book's eta. The number of the first epoch is 1, and the epochs of earlier calls count. By default the
            optimizer's `default_learning_rate`: 0.1 for sgd and dp_sgd, 0.02 for momentum and nesterov, 0.001 for adam,
            adamw and rmsprop, 0.05 for adagrad. levenberg_marquardt and lbfgs have none.
        optimizer : str or Optimizer
            sgd, momentum, nesterov, adam, adamw, rmsprop, adagrad, or an `Optimizer`. Its state is kept for a further
            call with the same optimizer and the same settings. Or a method that needs more than a gradient:
            levenberg_marquardt (least squares; `LevenbergMarquardt`), lbfgs (`LBFGS`), or dp_sgd (differential privacy;
            `DPSGD`). The first two may end before the last epoch, when nothing is left to gain.
        l2 : float
            The book's lambda: lambda / 2n times the sum of the squared weights is added to the cost.
        weight_decay : float, optional
            Decoupled weight decay: each step also subtracts learning_rate * weight_decay * W from each weight matrix W.
            By default the `weight_decay` of the optimizer: 0.01 for adamw, 0 for the others.
        clip_norm : float, optional
            The largest Euclidean norm of a gradient. A gradient with a larger norm is scaled down to this norm.
        shuffle : bool
            Whether each epoch takes the examples in a new random order.
        subset : array_like of int of shape (k,), optional
            The numbers of the examples to train on, from 0 to n - 1; the others are not used. A number that stands
            there twice counts twice, as in a bootstrap sample. By default all examples. The data are not copied.
        example_weights : array_like of shape (n,), optional
            A factor for the cost of each example.
        class_weights : mapping, sequence or "balanced", optional
            A factor for each class, which multiplies the example weights: a sequence with one factor for each class, or
            a mapping from labels to factors, where a missing label has the factor 1. "balanced" gives all classes the
            same total weight.
        validation_data : pair (X, y) or Chunks, optional
            Examples that are scored after every epoch.
        validation_split : float or array_like of int, optional
            The fraction of the examples, above 0 and below 1, that is held out of the training and scored after every
            epoch. They are chosen at random, and for the same number of examples always the same ones. Or the numbers
            of these examples, as for a fold. Class weights do not count in their cost.
        early_stopping : EarlyStopping or int, optional
            When to stop before the last epoch. A number is the patience in epochs, on the validation cost if there are
            validation data, else on the training cost.
        checkpoint : path, optional
            A file that the network is saved to while it is trained, with all that a further training needs; see
            `mbbp.save`. Its name ends in .mbbp or .npz. If the process is killed at any moment, the file is the
            checkpoint before or the new one, never a part; a part that was being written may be left beside it, with a
            name that ends in .part and the ending. `mbbp.load` reads the file, and a `fit` with the remaining epochs
            then gives the same numbers, to the bit, as if nothing had happened; also early stopping goes on. It is
            written after the callbacks of an epoch. When the training has ended, the file holds the network as `fit`
            leaves it, and its `History.has_ended` is true; after Ctrl-C, it holds the network as it was before early
            stopping restored the best parameters.
        every : int
            The number of epochs between two checkpoints.
        callbacks : function (net, epoch) or several
            Called after every epoch with the network and the new row of the history. A callback ends the training by
            raising `StopTraining`.
        progress : bool, optional
            Whether to show a progress bar; by default only on a terminal and in a notebook.
        comm : mpi4py.MPI.Intracomm, optional
            The processes (ranks) that train the network together, such as `mpi4py.MPI.COMM_WORLD`. All of them call
            `fit` with networks of the same structure and with equal settings; X, y, example weights and validation data
            are the part of each rank. `batch_size` is that of the mini-batch of all ranks, and `l2` and balanced class
            weights count all examples. At the start each network takes over the parameters, the history, the generator
            and the state of the optimizer of rank 0. After each epoch all networks are equal, to the bit, and so are
            the rows of the history. Each rank shuffles its own examples. Callbacks are called on every rank, and what
            one raises on any rank ends the training on all. Ctrl-C on any rank ends it on all after the epoch; a second
            one does so with a KeyboardInterrupt. Only rank 0 shows a progress bar and writes checkpoints. An error that
            is found before the training is raised on all ranks; an unexpected one later is printed and ends all
            processes. Needs mpi4py.
        average_every : int, optional
            With `comm`: each rank takes so many steps by itself, with the mean gradient of its part of each mini-batch;
            then the parameters and the state of the optimizer are averaged, weighted by the examples of the ranks, and
            also at the end of each epoch. `History` then has the root of the mean square of the ranks' gradient norms.
            By default the gradients of all ranks are summed in every step, which gives the steps of one process.

        Returns
        -------
        History
            ``net.history``: one row for every epoch so far, those of earlier calls included.

        Raises
        ------
        ValueError
            If an argument has the wrong shape, holds NaN or inf, or is out of range, if a name is unknown, or if two
            arguments do not fit together. The network is unchanged then. Also if the schedule gives a learning rate
            below 0, NaN or inf; the network then keeps the epochs before.
        TypeError
            If an argument is of the wrong type. The network is unchanged then.
        RuntimeError
            If a `fit` of this network is running, in another thread or because a callback calls `fit`.
        OSError
            If a file of Chunks cannot be read. The network keeps the epochs before.
        DivergedError
            If the cost or a parameter becomes NaN or inf. The network then has the parameters from before this epoch,
            or with early stopping those of the best epoch.
        RankError
            With `comm`: if another rank failed. It is a RuntimeError.
        """
        ranks = as_ranks(comm, average_every)
        guard = contextlib.nullcontext() if ranks is None else ranks.guard(DivergedError, RankError)
        with guard, self._engine.writer.fitting():
            shown = None if progress is None else as_flag("progress", progress)
            plan = self._plan(
                X,
                y,
                callbacks,
                ranks,
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                optimizer=optimizer,
                l2=l2,
                weight_decay=weight_decay,
                clip_norm=clip_norm,
                shuffle=shuffle,
                subset=subset,
                example_weights=example_weights,
                class_weights=class_weights,
                validation_data=validation_data,
                validation_split=validation_split,
                early_stopping=early_stopping,
                checkpoint=checkpoint,
                every=every,
            )
            bar = Progress(shown if ranks is None or ranks.rank == 0 else False, plan.epochs, plan.n)
            interrupts = Interrupts() if ranks is None else data_parallel.SharedInterrupts()
            return training.train(self._engine, self, plan, bar, interrupts)

    def _plan(
        self,
        X: ArrayLike | Chunks,
        y: ArrayLike | None,
        callbacks: Callback | Iterable[Callback],
        ranks: Ranks | None = None,
        **settings: Any,
    ) -> planning.Plan:
        """Return the checked arguments of a training; `settings` are those of `planning.make_plan`."""
        called = planning.as_callbacks(callbacks)

        def notify(row: Epoch) -> None:
            for callback in called:
                callback(self, row)

        settings["notify"], scaling = notify, self.scaling
        try:
            if ranks is not None:
                settings = data_parallel.agree(ranks, self._engine, settings)
            plan = planning.make_plan(self._engine, X, y, **settings)
            if plan.checkpoint is not None:
                fileformat.check(self._contents())
        except BaseException:
            if ranks is not None:
                self._engine.set_scaling(scaling)
            raise
        return plan

    def trainer(
        self,
        *,
        optimizer: str | Optimizer = "sgd",
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        clip_norm: float | None = None,
        optimizer_state: OptimizerState | None = None,
    ) -> Trainer:
        """Return a `Trainer`, which takes single steps of training, for examples that arrive one at a time.

        Parameters
        ----------
        optimizer : str or Optimizer
            As for `fit`. Its state belongs to the trainer.
        learning_rate : float, optional
            The book's eta. By default the optimizer's `default_learning_rate`.
        weight_decay, clip_norm : float, optional
            As for `fit`.
        optimizer_state : OptimizerState, optional
            The state to go on with, which is copied: that of a trainer or of the network, with the same optimizer. So
            a trainer is saved with its network: ``net.optimizer_state = trainer.optimizer_state``, then `mbbp.save`;
            and ``net.trainer(..., optimizer_state=net.optimizer_state)`` goes on. By default the state starts at zero.

        Returns
        -------
        Trainer
            Its `step(X, Y)` takes a step and returns the mean cost before the step.

        Raises
        ------
        ValueError
            If an argument is out of range, or a name is unknown.
        TypeError
            If an argument is of the wrong type.

        Examples
        --------
        >>> import numpy as np, mbbp
        >>> net = mbbp.Network([2, 8, 1], activation=["tanh", "identity"], rng=0)
        >>> trainer = net.trainer(optimizer="adam", learning_rate=0.01)
        >>> rng = np.random.default_rng(0)
        >>> for _ in range(2000):
        ...     X = rng.random((2, 16), np.float32)
        ...     cost = trainer.step(X, X[:1] * X[1:])
        >>> cost < 1e-3
        True
        """
        return Trainer(self._engine, optimizer, learning_rate, weight_decay, clip_norm, optimizer_state)
