"""The network: its parameters, and what can be asked of it for a whole mini-batch at once."""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp.activations import Activation, layer_activations
from mbbp.costs import Cost, get_cost
from mbbp.history import History
from mbbp.initializers import Initializer, get_initializer
from mbbp.kernels import propagation
from mbbp.kernels.team import make_team
from mbbp.layers import Layer
from mbbp.parameters import Array, Gradient, parameter_count, parameter_views
from mbbp.threads import worthwhile_threads
from mbbp.training import OptimizerState, fit
from mbbp.validation import (
    as_dtype,
    as_example_weights,
    as_inputs,
    as_numeric_array,
    as_sizes,
    as_targets,
    labels_of,
    pixel_values,
)

# Columns that go through the network together where there are many: enough to keep the kernels busy, few enough for the
# workspace to stay in the cache. It is the same for any number of threads, so that results are too.
CHUNK = 128
FEW = 8  # columns for which what is checked and prepared matters more than what is computed

Rng = int | np.random.Generator | None


class Network:
    """A feedforward network, trained by mini-batch backpropagation.

    Parameters
    ----------
    sizes : sequence of int
        The number of neurons in each layer, the input layer first: [784, 30, 10].
    activation : str, Activation, or a sequence of them
        For all computing layers, or one for each: sigmoid, tanh, relu, leaky_relu, identity, softmax (output only).
    cost : str or Cost
        quadratic, cross_entropy (for sigmoid outputs) or log_likelihood (for softmax outputs).
    dtype : {"float32", "float64"}
        Of the parameters and of all that is computed.
    initializer : str or callable
        default (the book's, 1/sqrt(n_in)), large (the book's old N(0, 1)), glorot, he, or a function
        (rng, n_in, n_out) -> (W, b).
    rng : int or numpy.random.Generator, optional
        Where initial parameters and shuffles come from. The same seed gives the same numbers, to the bit.

    Attributes
    ----------
    sizes : list of int
    layers : list of Layer
        The computing layers 2 to L of the book; each has its W, b, and after `gradient` its z, a, delta.
    theta : ndarray of shape (n_parameters,)
        Every weight and bias. The layers' W and b are views of it.
    cost_function : Cost
    history : History
        A row for every epoch that the network was trained for.

    Raises
    ------
    ValueError
        If there are fewer than two layers or an empty one, a name is unknown, or the cost does not fit the output.
    TypeError
        If an argument is of the wrong type, or a user's own function cannot be compiled.

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
        cost: str | Cost = "quadratic",
        dtype: Any = "float32",
        initializer: str | Initializer = "default",
        rng: Rng = None,
    ) -> None:
        self.sizes = as_sizes(sizes)
        self.dtype = as_dtype(dtype)
        activations = layer_activations(activation, len(self.sizes) - 1)
        self.cost_function = get_cost(cost)
        self.cost_function.check_fits(activations[-1])
        draw = get_initializer(initializer)
        self.rng = np.random.default_rng(rng)
        self.history = History()
        self.optimizer_state: OptimizerState | None = None
        self._build(activations, np.empty(parameter_count(self.sizes), self.dtype))
        for layer in self.layers:
            layer.W, layer.b = draw(self.rng, layer.n_in, layer.n_out)

    def _build(self, activations: list[Activation], theta: Array) -> None:
        for made_of_theta in ("model", "_quick"):
            self.__dict__.pop(made_of_theta, None)
        self._theta = theta
        weights, biases = parameter_views(theta, self.sizes)
        self.layers = [Layer(f, W, b) for f, W, b in zip(activations, weights, biases, strict=True)]
        rules = [f.rule(self.dtype) for f in activations] + [self.cost_function.rule(self.dtype)]
        self._rules = np.array(rules, np.int64)

    def __getstate__(self) -> dict[str, Any]:
        made_again = ("layers", "model", "_rules", "_quick")
        state = {name: value for name, value in self.__dict__.items() if name not in made_again}
        return state | {"_activations": [layer.activation for layer in self.layers]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        activations = state.pop("_activations")
        self.__dict__.update(state)
        self._build(activations, self._theta)

    def __repr__(self) -> str:
        names = [layer.activation.name for layer in self.layers]
        activation = names[0] if len(set(names)) == 1 else names
        return (
            f"Network({self.sizes}, activation={activation!r}, cost={self.cost_function.name!r}, "
            f"dtype={self.dtype.name!r}): {self.theta.size:,} parameters"
        )

    @property
    def theta(self) -> Array:
        """Every weight and bias as one vector; assigning to it copies into the network."""
        return self._theta

    @theta.setter
    def theta(self, value: ArrayLike) -> None:
        array = as_numeric_array("theta", value)
        if array.shape != self._theta.shape:
            raise ValueError(f"theta: shape {self._theta.shape} is wanted, got {array.shape}")
        self._theta[:] = array

    def feedforward(self, X: ArrayLike) -> Array:
        """Return the outputs a^L for every column of X.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example a column. A NumPy array of uint8 holds pixels: 0 to 255 stand for 0 to 1.

        Returns
        -------
        ndarray of shape (n_L, m)

        Raises
        ------
        ValueError, TypeError
            If X has the wrong shape, no column, or NaN or inf in it.

        Notes
        -----
        In matrix form, for each layer, Z = W A + b and A = sigma(Z); M. Nielsen, *Neural Networks and Deep Learning*,
        eq. (25).
        """
        quick = self._feedforward_few(X)
        if quick is not None:
            return quick
        inputs, pixels = as_inputs("X", X, self.sizes[0], self.dtype, are_finite=True)
        m = max(len(inputs), len(pixels))
        out = np.empty((m, self.sizes[-1]), self.dtype)
        are_finite = self._in_chunks(
            m,
            lambda start, stop, work: propagation.predict(self.model, inputs, pixels, start, stop, CHUNK, work, out),
        )
        if not all(are_finite):
            as_inputs("X", X, self.sizes[0], self.dtype)  # which says where
        return out.T

    def _feedforward_few(self, X: ArrayLike) -> Array | None:
        """Return the outputs for a few columns just as the kernels want them, or None: then X must be looked at.

        What `feedforward` checks and prepares takes ten times as long as a small network does for one example.
        """
        if type(X) is not np.ndarray or X.dtype != self.dtype or X.ndim != 2:
            return None
        n_in, m = X.shape
        flags = X.flags
        if n_in != self.sizes[0] or not 0 < m <= FEW or not (flags.f_contiguous and flags.behaved):
            return None
        packed_model, n_out, spare = self._quick
        try:
            work = spare.pop()
        except IndexError:  # each thread that asks at the same time has one
            work = np.empty(propagation.workspace_size(self.sizes, FEW), self.dtype)
        out = np.empty((m, n_out), self.dtype)
        is_finite = propagation.predict_few(packed_model, X.T, work, out)
        spare.append(work)
        return out.T if is_finite else None

    @functools.cached_property
    def _quick(self) -> tuple[Array, int, list[Array]]:
        return propagation.packed(self.model), self.sizes[-1], []

    def activations(self, X: ArrayLike) -> list[Array]:
        """Return the activations of every layer, the input first: a^1 ... a^L, of shapes (n_l, m).

        Raises
        ------
        ValueError, TypeError
            If X has the wrong shape, no column, or NaN or inf in it.
        """
        inputs, pixels = as_inputs("X", X, self.sizes[0], self.dtype)
        m = max(len(inputs), len(pixels))
        work = np.empty(propagation.workspace_size(self.sizes, m), self.dtype)
        out = np.empty((m, self.sizes[-1]), self.dtype)
        propagation.predict(self.model, inputs, pixels, 0, m, m, work, out)
        given = pixel_values(pixels, self.dtype) if len(pixels) else inputs.copy()
        hidden = [propagation.layer_block(work, self.sizes, m, i)[1] for i in range(len(self.layers))]
        return [given.T, *hidden]

    def classify(self, X: ArrayLike) -> Array:
        """Return the label of every column of X: the number of its largest output, or whether a single one is over 1/2.

        Returns
        -------
        ndarray of int64, shape (m,)

        Raises
        ------
        ValueError, TypeError
            If X has the wrong shape, no column, or NaN or inf in it.
        """
        outputs = self.feedforward(X)
        labels = outputs[0] > 0.5 if self.sizes[-1] == 1 else outputs.argmax(axis=0)
        return labels.astype(np.int64)

    def accuracy(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return the fraction of columns that are classified rightly.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs.
        y : array_like of shape (m,) or (n_L, m)
            Labels, or unit vectors.

        Raises
        ------
        ValueError, TypeError
            If an argument has the wrong shape, numbers out of range, or NaN or inf in it.
        """
        return self._evaluate(X, y, "y")[1]

    def cost(self, X: ArrayLike, Y: ArrayLike, example_weights: ArrayLike | None = None) -> float:
        """Return the mean cost C = 1/m sum_x C_x.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs.
        Y : array_like of shape (n_L, m) or (m,)
            Desired outputs, or labels.
        example_weights : array_like of shape (m,), optional
            The factor of each example's cost.

        Raises
        ------
        ValueError, TypeError
            If an argument has the wrong shape, numbers out of range, or NaN or inf in it.
        """
        return self._evaluate(X, Y, "Y", example_weights)[0]

    def _evaluate(
        self, X: ArrayLike, Y: ArrayLike, name: str, example_weights: ArrayLike | None = None
    ) -> tuple[float, float]:
        return self.score(self.examples(X, Y, "X", name, example_weights))

    def gradient(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        example_weights: ArrayLike | None = None,
        with_respect_to_input: bool = False,
    ) -> Gradient:
        """Return the gradient of the mean cost, by one forward and one backward pass for the whole mini-batch.

        Afterwards each layer holds this mini-batch's `z`, `a` and `delta`.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example a column.
        Y : array_like of shape (n_L, m) or (m,)
            Desired outputs, or labels.
        example_weights : array_like of shape (m,), optional
            The factor of each example's cost; the mean still divides by m.
        with_respect_to_input : bool
            Whether to return dC_x/dx for every example too.

        Returns
        -------
        Gradient

        Raises
        ------
        ValueError, TypeError
            If an argument has the wrong shape, numbers out of range, or NaN or inf in it.

        Notes
        -----
        The four equations of backpropagation in matrix form, M. Nielsen, *Neural Networks and Deep Learning*, ch. 2:
        delta^L = grad_a C * sigma'(Z^L), delta^l = (W^{l+1})^T delta^{l+1} * sigma'(Z^l), dC/db = 1/m delta 1,
        dC/dW = 1/m delta A^T.
        """
        examples = self.examples(X, Y, "X", "Y", example_weights)
        m = examples.labels.size
        work = np.empty(propagation.workspace_size(self.sizes, m), self.dtype)
        theta = np.empty_like(self.theta)
        inputs = np.empty((m if with_respect_to_input else 0, self.sizes[0]), self.dtype)
        cost = propagation.gradient(self.model, examples, work, theta, inputs, make_team(1)[0])
        for index, layer in enumerate(self.layers):
            layer.z, layer.a, layer.delta = propagation.layer_block(work, self.sizes, m, index)
        weights, biases = parameter_views(theta, self.sizes)
        return Gradient(cost, weights, biases, theta, inputs.T if with_respect_to_input else None)

    fit = fit

    # for the floors above this one

    @functools.cached_property
    def model(self) -> propagation.Model:
        """The network as the kernels take it; what they need is compiled when it is first asked for."""
        return propagation.make_model(self._theta, self.sizes, self._rules)

    def examples(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        X_name: str = "X",
        Y_name: str = "Y",
        example_weights: ArrayLike | None = None,
    ) -> propagation.Examples:
        """Return checked examples as the kernels take them; the names are for errors.

        Raises
        ------
        ValueError, TypeError
            If an argument has the wrong shape, numbers out of range, or NaN or inf in it.
        """
        inputs, pixels = as_inputs(X_name, X, self.sizes[0], self.dtype)
        m = max(len(inputs), len(pixels))
        targets = as_targets(Y_name, Y, self.sizes[-1], m, self.dtype, X_name)
        self.cost_function.check_targets(Y_name, targets)
        weights = as_example_weights("example_weights", example_weights, m, self.dtype)
        return propagation.Examples(inputs, pixels, targets.T, weights, labels_of(targets))

    def score(self, examples: propagation.Examples) -> tuple[float, float]:
        """Return the mean cost and the accuracy on checked examples."""
        m = examples.labels.size
        costs = np.empty(math.ceil(m / CHUNK))
        correct = np.empty(costs.size, np.int64)
        self._in_chunks(
            m,
            lambda start, stop, work: propagation.evaluate(
                self.model, examples, start, stop, CHUNK, work, costs, correct
            ),
        )
        return float(costs.sum() / m), float(correct.sum() / m)

    def _in_chunks(self, m: int, run: Callable[[int, int, Array], Any]) -> list[Any]:
        """Run over m columns, in stretches of whole chunks, one a thread; return what each returns."""
        n_chunks = math.ceil(m / CHUNK)
        threads = min(worthwhile_threads(2.0 * m * self.theta.size), n_chunks)
        bounds = [min(m, CHUNK * (n_chunks * i // threads)) for i in range(threads + 1)]

        def stretch(start: int, stop: int) -> Any:
            return run(start, stop, np.empty(propagation.workspace_size(self.sizes, min(CHUNK, m)), self.dtype))

        if threads == 1:
            return [stretch(0, m)]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(stretch, bounds[:-1], bounds[1:]))
