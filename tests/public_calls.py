"""A good call of every public function and method, for tests that replace one argument by something else.

`CALLS` maps a public name to a function that takes a `Given` and returns what is called and its arguments by keyword.
`tests.public_names` finds the public names by itself, so that a test can tell which of them has no call here.
"""

import random
from dataclasses import dataclass, field

import numpy as np

import mbbp
from mbbp import chapter2, costs, datasets, kernels, reference, schedules
from mbbp.nielsen import mnist_loader, network, network2
from tests.derivatives import METHODS, keywords
from tests.tuning.calls import CALLS as OF_SEARCHES

N_IN, N_OUT, M = 4, 3, 6


@dataclass
class Given:
    """What the calls are made with: new networks for each."""

    net: mbbp.Network = field(default_factory=lambda: mbbp.Network([N_IN, 5, N_OUT], dtype="float64", rng=0))
    X: np.ndarray = field(default_factory=lambda: np.random.default_rng(0).standard_normal((N_IN, M)))
    Y: np.ndarray = field(default_factory=lambda: np.random.default_rng(1).random((N_OUT, M)))
    book: network.Network = field(default_factory=lambda: network.Network([N_IN, 5, N_OUT]))
    book2: network2.Network = field(default_factory=lambda: network2.Network([N_IN, 5, N_OUT]))

    @property
    def pairs(self):
        """Pairs (x, y) to train on."""
        return [(self.X[:, i : i + 1], self.Y[:, i : i + 1]) for i in range(M)]

    @property
    def labelled(self):
        """Pairs (x, label)."""
        return [(self.X[:, i : i + 1], i % N_OUT) for i in range(M)]

    @property
    def mini_batch(self):
        """The mini-batch as keywords."""
        return {"X": self.X, "Y": self.Y}

    @property
    def with_net(self):
        """The network and the mini-batch as keywords."""
        return {"net": self.net, **self.mini_batch}

    def state(self):
        """Return everything of the networks that a refused call must leave as it is."""
        nets = [self.book, self.book2]
        arrays = [self.net.theta, *(p for one in nets for p in (*one.weights, *one.biases))]
        state = self.net.optimizer_state
        moments = None if state is None else (state.moments.tobytes(), state.steps.tobytes())
        return (
            [array.tobytes() for array in arrays],
            list(self.net.sizes),
            self.net.history[:],
            str(self.net.rng.bit_generator.state),
            moments,
            str(random.getstate()),
        )


def _elementwise(name, *arguments):
    return lambda g: (getattr(reference, name), {one: {"y": g.Y}.get(one, g.Y + 0.5) for one in arguments})


def _setting(public, **settings):
    return lambda g: (getattr(mbbp, public), settings)


def _trainer(g):
    return g.net.trainer()


def _history(g):
    g.net.fit(g.X, g.Y, epochs=1)
    return g.net.history


def _posterior(g):
    return mbbp.laplace(g.net, g.X, g.Y)


SMALL_PRESET = {"hidden": (3,), "epochs": 2, "dtype": "float64", "rng": 0, "progress": False}


def _softplus(z):
    return max(z, 0.0)


def _step(z):
    return 1.0 if z > 0 else 0.0


def _zero(z):
    return 0.0


def _half(a, y):
    return 0.5 * (a - y)


CALLS = {
    "mbbp.Network": lambda g: (
        mbbp.Network,
        {
            "sizes": [4, 3],
            "activation": "sigmoid",
            "cost": "quadratic",
            "dtype": "float32",
            "initializer": "default",
            "rng": 0,
            "scaling": None,
            "dropout": None,
        },
    ),
    "mbbp.Network.feedforward": lambda g: (g.net.feedforward, {"X": g.X}),
    "mbbp.Network.activations": lambda g: (g.net.activations, {"X": g.X}),
    "mbbp.Network.classify": lambda g: (g.net.classify, {"X": g.X}),
    "mbbp.Network.accuracy": lambda g: (g.net.accuracy, {"X": g.X, "y": np.arange(M) % N_OUT}),
    "mbbp.Network.cost": lambda g: (g.net.cost, g.mini_batch | {"example_weights": np.ones(M)}),
    "mbbp.Network.gradient": lambda g: (
        g.net.gradient,
        g.mini_batch | {"example_weights": np.ones(M), "with_respect_to_input": False},
    ),
    **{
        f"mbbp.Network.{name}": lambda g, name=name: (getattr(g.net, name), keywords(g.net, g.X, g.Y)[name])
        for name in METHODS
    },
    "mbbp.Network.jacobian": lambda g: (g.net.jacobian, {"X": g.X, "out": np.empty((N_OUT, M, g.net.theta.size))}),
    "mbbp.Network.per_example_gradients": lambda g: (
        g.net.per_example_gradients,
        g.mini_batch | {"out": np.empty((M, g.net.theta.size))},
    ),
    "mbbp.Network.fit": lambda g: (
        g.net.fit,
        {
            "X": g.X,
            "y": np.arange(M) % N_OUT,
            "epochs": 1,
            "batch_size": 2,
            "learning_rate": 0.1,
            "optimizer": "sgd",
            "l2": 0.0,
            "weight_decay": 0.0,
            "clip_norm": 1.0,
            "shuffle": True,
            "subset": None,
            "example_weights": np.ones(M),
            "class_weights": None,
            "validation_data": (g.X, np.arange(M) % N_OUT),
            "validation_split": None,
            "early_stopping": 2,
            "checkpoint": None,
            "every": 1,
            "callbacks": (),
            "progress": False,
            "comm": None,
            "average_every": None,
        },
    ),
    "mbbp.fit_many": lambda g: (
        mbbp.fit_many,
        {"networks": [g.net], "X": g.X, "y": g.Y, "each": [{}], "progress": False, "client": None},
    ),
    "mbbp.Ensemble": lambda g: (mbbp.Ensemble, {"networks": [g.net]}),
    "mbbp.Ensemble.build": lambda g: (mbbp.Ensemble.build, {"n_members": 2, "sizes": [N_IN, N_OUT], "rng": 0}),
    "mbbp.Ensemble.fit": lambda g: (
        mbbp.Ensemble([g.net]).fit,
        {
            "X": g.X,
            "y": g.Y,
            "bootstrap": True,
            "rng": 0,
            "each": [{}],
            "progress": False,
            "client": None,
        },
    ),
    "mbbp.Ensemble.predict": lambda g: (mbbp.Ensemble([g.net]).predict, {"X": g.X}),
    "mbbp.Ensemble.feedforward": lambda g: (mbbp.Ensemble([g.net]).feedforward, {"X": g.X}),
    "mbbp.Ensemble.classify": lambda g: (mbbp.Ensemble([g.net]).classify, {"X": g.X}),
    "mbbp.Ensemble.accuracy": lambda g: (mbbp.Ensemble([g.net]).accuracy, {"X": g.X, "y": np.arange(M) % N_OUT}),
    "mbbp.Network.trainer": lambda g: (
        g.net.trainer,
        {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 0.0, "clip_norm": 1.0, "optimizer_state": None},
    ),
    "mbbp.Trainer.step": lambda g: (_trainer(g).step, g.mini_batch),
    "mbbp.History.append": lambda g: (mbbp.History().append, {"row": _history(g)[0]}),
    "mbbp.History.check_column": lambda g: (mbbp.History.check_column, {"argument": "name", "name": "epoch"}),
    "mbbp.History.gains": lambda g: (_history(g).gains, {"monitor": "training_cost"}),
    "mbbp.Activation": lambda g: (
        mbbp.Activation,
        {"name": "softplus", "function": _softplus, "derivative": _step, "kinks": (), "second_derivative": _zero},
    ),
    "mbbp.Cost": lambda g: (
        mbbp.Cost,
        {"name": "half", "function": _half, "gradient": _half, "second_derivative": _half},
    ),
    "mbbp.costs.huber": lambda g: (costs.huber, {"delta": 1.0}),
    "mbbp.costs.quantile": lambda g: (costs.quantile, {"q": 0.5}),
    "mbbp.Optimizer": _setting("Optimizer", weight_decay=0.0),
    "mbbp.SGD": _setting("SGD", weight_decay=0.0),
    "mbbp.Momentum": _setting("Momentum", weight_decay=0.0, momentum=0.9),
    "mbbp.Nesterov": _setting("Nesterov", weight_decay=0.0, momentum=0.9),
    "mbbp.Adam": _setting("Adam", weight_decay=0.0, beta1=0.9, beta2=0.9, epsilon=1e-8),
    "mbbp.AdamW": _setting("AdamW", weight_decay=0.0, beta1=0.9, beta2=0.9, epsilon=1e-8),
    "mbbp.RMSprop": _setting("RMSprop", weight_decay=0.0, rho=0.9, epsilon=1e-8),
    "mbbp.Adagrad": _setting("Adagrad", weight_decay=0.0, epsilon=1e-8),
    "mbbp.LevenbergMarquardt": _setting(
        "LevenbergMarquardt",
        weight_decay=0.0,
        damping=1e-3,
        scaling=False,
        acceleration=True,
        bayesian=False,
        system="auto",
        memory_limit=1e9,
        tolerance=1e-9,
    ),
    "mbbp.LBFGS": _setting("LBFGS", weight_decay=0.0, memory=5, tolerance=1e-6),
    "mbbp.DPSGD": _setting("DPSGD", weight_decay=0.0, noise_multiplier=1.0, clip_norm=1.0, delta=1e-5),
    "mbbp.EarlyStopping": _setting(
        "EarlyStopping", monitor="training_cost", patience=3, min_delta=0.0, restore_best=True
    ),
    "mbbp.Scaling": _setting("Scaling", mean=0.0, factor=1.0),
    "mbbp.Scaling.apply": lambda g: (mbbp.Scaling.learn(g.X).apply, {"X": g.X}),
    "mbbp.Scaling.undo": lambda g: (mbbp.Scaling.learn(g.X).undo, {"X": g.X}),
    "mbbp.classifier": lambda g: (mbbp.classifier, {"X": g.X, "y": np.arange(M) % N_OUT, **SMALL_PRESET}),
    "mbbp.regressor": lambda g: (mbbp.regressor, {"X": g.X, "Y": g.Y, "cost": "huber", **SMALL_PRESET}),
    "mbbp.Scaling.learn": lambda g: (mbbp.Scaling.learn, {"X": g.X}),
    "mbbp.Column": _setting("Column", name="a", categories=("x", "y"), fill=None),
    "mbbp.Schema": _setting("Schema", columns=(mbbp.Column("a"),), classes=None, targets=("b",), target_scaling=None),
    "mbbp.Schema.check_fits": lambda g: (
        mbbp.Schema(classes=["a", "b"]).check_fits,
        {"argument": "schema", "n_in": 2, "n_out": 2},
    ),
    "mbbp.Schema.from_dict": lambda g: (mbbp.Schema.from_dict, {"facts": {"classes": ["a"]}, "target_scaling": None}),
    "mbbp.set_threads": _setting("set_threads", n=None),
    "mbbp.to_c": lambda g: (
        mbbp.to_c,
        {"net": g.net, "path": None, "name": "model", "weights": "int8", "X": g.X, "y": np.arange(M) % N_OUT},
    ),
    "mbbp.check_gradients": lambda g: (
        mbbp.check_gradients,
        g.with_net
        | {
            "method": "central",
            "max_parameters": 2,
            "directions": 1,
            "tolerance": 1e-4,
            "raise_on_failure": False,
            "rng": 0,
        },
    ),
    "mbbp.laplace": lambda g: (
        mbbp.laplace,
        g.with_net
        | {"parameters": "last_layer", "prior_precision": 0.5, "noise_variance": 0.1, "memory_limit": 2.0**30},
    ),
    "mbbp.Laplace.predict": lambda g: (_posterior(g).predict, {"X": g.X}),
    "mbbp.Laplace.sample": lambda g: (_posterior(g).sample, {"X": g.X, "n": 3, "rng": 0}),
    "mbbp.Laplace.log_marginal_likelihood_at": lambda g: (
        _posterior(g).log_marginal_likelihood_at,
        {"prior_precision": 0.5, "noise_variance": 0.1},
    ),
    "mbbp.diagnose": lambda g: (mbbp.diagnose, g.with_net | {"saturated_below": 0.01, "low_below": 0.1}),
    # the kernels
    "mbbp.kernels.sigmoid": lambda g: (kernels.sigmoid, {"z": g.X, "out": np.empty_like(g.X)}),
    "mbbp.kernels.sigmoid_prime": lambda g: (kernels.sigmoid_prime, {"z": g.X, "out": np.empty_like(g.X)}),
    "mbbp.kernels.hadamard": lambda g: (kernels.hadamard, {"s": g.X, "t": g.X.copy(), "out": np.empty_like(g.X)}),
    # chapter 2
    "mbbp.chapter2.activation_jacobian": lambda g: (
        chapter2.activation_jacobian,
        {"activation": g.net.layers[0].activation, "z": g.X[:, :1]},
    ),
    "mbbp.chapter2.backpropagated_error": lambda g: (
        chapter2.backpropagated_error,
        {"W_next": np.ones((N_OUT, N_IN)), "delta_next": g.Y, "sigma_prime_z": g.X},
    ),
    "mbbp.chapter2.backpropagated_error_by_matrix": lambda g: (
        chapter2.backpropagated_error_by_matrix,
        {"Sigma_prime_z": np.eye(N_IN), "W_next": np.ones((N_OUT, N_IN)), "delta_next": g.Y[:, :1]},
    ),
    "mbbp.chapter2.backpropagation": lambda g: (chapter2.backpropagation, g.with_net),
    "mbbp.chapter2.backpropagation_with_linear_neurons": lambda g: (
        chapter2.backpropagation_with_linear_neurons,
        g.with_net,
    ),
    "mbbp.chapter2.backpropagation_with_modified_neuron": lambda g: (
        chapter2.backpropagation_with_modified_neuron,
        g.with_net | {"l": 2, "j": 0, "f": "tanh"},
    ),
    "mbbp.chapter2.bias_gradient": lambda g: (chapter2.bias_gradient, {"delta": g.Y}),
    "mbbp.chapter2.count_all_paths": lambda g: (chapter2.count_all_paths, {"sizes": [4, 3, 2]}),
    "mbbp.chapter2.count_passes": lambda g: (
        chapter2.count_passes,
        {"sizes": [[2, 1]], "m": 2, "activation": "sigmoid", "cost": "quadratic", "rng": 0},
    ),
    "mbbp.chapter2.count_paths": lambda g: (chapter2.count_paths, {"sizes": [4, 3, 2], "l": 2}),
    "mbbp.chapter2.diagnose": lambda g: (chapter2.diagnose, g.with_net | {"saturated_below": 0.01, "low_below": 0.1}),
    "mbbp.chapter2.error_as_product": lambda g: (
        chapter2.error_as_product,
        {"l": 2, "Sigma_prime": {2: np.eye(2), 3: np.eye(1)}, "W": {3: np.ones((1, 2))}, "grad_a_C": np.ones((1, 1))},
    ),
    "mbbp.chapter2.feedforward_by_index": lambda g: (chapter2.feedforward_by_index, {"net": g.net, "X": g.X[:, :1]}),
    "mbbp.chapter2.feedforward_by_matrix": lambda g: (chapter2.feedforward_by_matrix, {"net": g.net, "X": g.X}),
    "mbbp.chapter2.feedforward_by_vector": lambda g: (chapter2.feedforward_by_vector, {"net": g.net, "X": g.X[:, :1]}),
    "mbbp.chapter2.gradient_by_backpropagation": lambda g: (chapter2.gradient_by_backpropagation, g.with_net),
    "mbbp.chapter2.gradient_by_central_differences": lambda g: (
        chapter2.gradient_by_central_differences,
        g.with_net | {"epsilon": 1e-6},
    ),
    "mbbp.chapter2.gradient_by_one_sided_differences": lambda g: (
        chapter2.gradient_by_one_sided_differences,
        g.with_net | {"epsilon": 1e-6},
    ),
    "mbbp.chapter2.gradient_by_paths": lambda g: (chapter2.gradient_by_paths, g.with_net | {"max_paths": 10_000}),
    "mbbp.chapter2.gradient_descent_step": lambda g: (
        chapter2.gradient_descent_step,
        g.with_net | {"learning_rate": 0.1},
    ),
    "mbbp.chapter2.hadamard": lambda g: (chapter2.hadamard, {"s": g.X, "t": g.X}),
    "mbbp.chapter2.is_function_of_outputs": lambda g: (
        chapter2.is_function_of_outputs,
        {"cost": "quadratic", **g.with_net, "tolerance": 1e-6, "rng": 0},
    ),
    "mbbp.chapter2.is_mean_over_examples": lambda g: (
        chapter2.is_mean_over_examples,
        {"cost": "quadratic", **g.with_net, "tolerance": 1e-6},
    ),
    "mbbp.chapter2.low_activation": lambda g: (chapter2.low_activation, {"a_in": g.X, "below": 0.1}),
    "mbbp.chapter2.output_error": lambda g: (chapter2.output_error, {"grad_a_C": g.X, "sigma_prime_z": g.X}),
    "mbbp.chapter2.output_error_by_matrix": lambda g: (
        chapter2.output_error_by_matrix,
        {"Sigma_prime_z": np.eye(N_IN), "grad_a_C": g.X[:, :1]},
    ),
    "mbbp.chapter2.parameters": lambda g: (chapter2.parameters, {"net": g.net}),
    "mbbp.chapter2.pass_table": lambda g: (
        chapter2.pass_table,
        {"rows": [chapter2.PassCount((2, 1), 3, "central", 6, 0, 0.1, 2.0, 1e-9)]},
    ),
    "mbbp.chapter2.saturated": lambda g: (chapter2.saturated, {"sigma_prime_z": g.X, "below": 0.1}),
    "mbbp.chapter2.sigma_prime_matrix": lambda g: (chapter2.sigma_prime_matrix, {"sigma_prime_z": g.X[:, :1]}),
    "mbbp.chapter2.slow_share": lambda g: (chapter2.slow_share, {"is_saturated": g.X > 0, "is_low": g.X > 0}),
    "mbbp.chapter2.sparse_activation_cost": lambda g: (chapter2.sparse_activation_cost, g.with_net),
    "mbbp.chapter2.weight_gradient": lambda g: (chapter2.weight_gradient, {"delta": g.Y, "a_in": g.X}),
    "mbbp.chapter2.weight_paths": lambda g: (
        chapter2.weight_paths,
        {"net": g.net, "X": g.X[:, :1], "Y": g.Y[:, :1], "l": 2, "j": 0, "k": 0, "max_paths": 1000},
    ),
    "mbbp.chapter2.worst_example_cost": lambda g: (chapter2.worst_example_cost, g.with_net),
    "mbbp.datasets.load_digits": lambda g: (datasets.load_digits, {"dtype": "float32"}),
    # schedules
    "mbbp.schedules.Schedule": lambda g: (schedules.Schedule, {"initial": 0.1}),
    "mbbp.schedules.Constant": lambda g: (schedules.Constant, {"initial": 0.1}),
    "mbbp.schedules.Step": lambda g: (schedules.Step, {"initial": 0.1, "every": 2, "factor": 0.5}),
    "mbbp.schedules.Exponential": lambda g: (schedules.Exponential, {"initial": 0.1, "factor": 0.5}),
    "mbbp.schedules.Cosine": lambda g: (schedules.Cosine, {"initial": 0.1, "epochs": 5, "final": 0.0}),
    "mbbp.schedules.ReduceWhenStuck": lambda g: (
        schedules.ReduceWhenStuck,
        {
            "initial": 0.1,
            "monitor": "training_cost",
            "patience": 2,
            "factor": 0.5,
            "min_delta": 0.0,
            "least": 0.0,
        },
    ),
    "mbbp.schedules.get_schedule": lambda g: (schedules.get_schedule, {"learning_rate": 0.1}),
    # the oracle
    "mbbp.reference.scaled_inputs": lambda g: (reference.scaled_inputs, {"net": g.net, "X": g.X}),
    "mbbp.reference.unit_vectors": lambda g: (reference.unit_vectors, {"Y": [0, 1, 2], "n_outputs": 3}),
    "mbbp.reference.feedforward": lambda g: (
        reference.feedforward,
        {"net": g.net, "X": g.X, "theta": g.net.theta.copy()},
    ),
    "mbbp.reference.cost": lambda g: (reference.cost, g.with_net | {"theta": g.net.theta.copy()}),
    "mbbp.reference.backprop": lambda g: (reference.backprop, {"net": g.net, "x": g.X[:, :1], "y": g.Y[:, :1]}),
    "mbbp.reference.gradient": lambda g: (reference.gradient, g.with_net | {"example_weights": np.ones(M)}),
    "mbbp.reference.sgd": lambda g: (
        reference.sgd,
        g.with_net | {"mini_batches": [[0, 1], [2, 3]], "learning_rate": 0.1, "l2": 0.1},
    ),
    "mbbp.reference.central_difference": lambda g: (
        reference.central_difference,
        g.with_net | {"direction": np.ones(g.net.theta.size), "step": 1e-6},
    ),
    "mbbp.reference.complex_step": lambda g: (
        reference.complex_step,
        g.with_net | {"direction": np.ones(g.net.theta.size), "step": 1e-30},
    ),
    "mbbp.reference.numeric_gradient": lambda g: (
        reference.numeric_gradient,
        g.with_net | {"derivative": reference.central_difference},
    ),
    **{
        f"mbbp.reference.{name}": lambda g, name=name: (
            getattr(reference, name),
            {"net": g.net, **keywords(g.net, g.X, g.Y)[name]},
        )
        for name in METHODS
    },
    "mbbp.reference.softmax_jacobian_product": _elementwise("softmax_jacobian_product", "a", "delta"),
    "mbbp.reference.softmax_second_derivative_product": _elementwise(
        "softmax_second_derivative_product", "a", "e", "tangent_z"
    ),
    **{
        f"mbbp.reference.{name}{end}": _elementwise(f"{name}{end}", "z")
        for name in mbbp.activations.ACTIVATIONS
        for end in ("", "_prime", "_second_derivative")
        if hasattr(reference, f"{name}{end}")
    },
    **{f"mbbp.reference.{name}": _elementwise(name, "z", "a", "y") for name in mbbp.costs.COSTS},
    **{
        f"mbbp.reference.{name}{end}": _elementwise(f"{name}{end}", "a", "y")
        for name in mbbp.costs.COSTS
        for end in ("_gradient", "_error", "_second_derivative")
        if hasattr(reference, f"{name}{end}")
    },
    **{
        f"mbbp.reference.{name}_error_tangent": _elementwise(f"{name}_error_tangent", "tangent_a", "y")
        for name in mbbp.costs.COSTS
        if hasattr(reference, f"{name}_error_tangent")
    },
    # the book's programs
    "mbbp.nielsen.mnist_loader.vectorized_result": lambda g: (mnist_loader.vectorized_result, {"j": 1}),
    "mbbp.nielsen.network.Network": lambda g: (network.Network, {"sizes": [4, 3], "dtype": "float64"}),
    "mbbp.nielsen.network.Network.SGD": lambda g: (
        g.book.SGD,
        {"training_data": g.pairs, "epochs": 1, "mini_batch_size": 2, "eta": 0.1, "test_data": g.labelled},
    ),
    "mbbp.nielsen.network.Network.backprop": lambda g: (g.book.backprop, {"x": g.X[:, :1], "y": g.Y[:, :1]}),
    "mbbp.nielsen.network.Network.evaluate": lambda g: (g.book.evaluate, {"test_data": g.labelled}),
    "mbbp.nielsen.network.Network.feedforward": lambda g: (g.book.feedforward, {"a": g.X}),
    "mbbp.nielsen.network.Network.update_mini_batch": lambda g: (
        g.book.update_mini_batch,
        {"mini_batch": g.pairs, "eta": 0.1},
    ),
    "mbbp.nielsen.network2.Network": lambda g: (
        network2.Network,
        {"sizes": [4, 3], "cost": network2.QuadraticCost, "dtype": "float64"},
    ),
    "mbbp.nielsen.network2.Network.SGD": lambda g: (
        g.book2.SGD,
        {
            "training_data": g.pairs,
            "epochs": 1,
            "mini_batch_size": 2,
            "eta": 0.1,
            "lmbda": 0.1,
            "evaluation_data": None,
            "monitor_evaluation_cost": False,
            "monitor_evaluation_accuracy": False,
            "monitor_training_cost": True,
            "monitor_training_accuracy": True,
            "early_stopping_n": 1,
        },
    ),
    "mbbp.nielsen.network2.Network.accuracy": lambda g: (g.book2.accuracy, {"data": g.labelled, "convert": False}),
    "mbbp.nielsen.network2.Network.backprop": lambda g: (g.book2.backprop, {"x": g.X[:, :1], "y": g.Y[:, :1]}),
    "mbbp.nielsen.network2.Network.feedforward": lambda g: (g.book2.feedforward, {"a": g.X}),
    "mbbp.nielsen.network2.Network.total_cost": lambda g: (
        g.book2.total_cost,
        {"data": g.pairs, "lmbda": 0.1, "convert": False},
    ),
    "mbbp.nielsen.network2.Network.update_mini_batch": lambda g: (
        g.book2.update_mini_batch,
        {"mini_batch": g.pairs, "eta": 0.1, "lmbda": 0.1, "n": M},
    ),
}
CALLS |= OF_SEARCHES | {
    f"mbbp.chapter2.bp{number}": CALLS[f"mbbp.chapter2.{name}"]
    for number, name in enumerate(("output_error", "backpropagated_error", "bias_gradient", "weight_gradient"), 1)
}
