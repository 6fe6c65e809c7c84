"""Other libraries, each used in the way that is fastest for it, and imported only when it is measured.

All of them store a mini-batch with one example per row, (m, n_in), as is usual for them.
"""

from __future__ import annotations

import importlib.util
import itertools
import types
from typing import Any, ClassVar

import numpy as np

from mbbp.bench.cases import Case, CaseData
from mbbp.bench.implementations import LEARNING_RATE, Implementation, flatten
from mbbp.parameters import Array, parameter_views
from mbbp.threads import get_threads

_numbers = itertools.count()


class Peer(Implementation):
    """An implementation by another library."""

    package: ClassVar[str]
    is_peer = True
    tracks_memory = False

    @classmethod
    def missing(cls) -> str | None:
        """Return that the library is not installed or cannot be imported, or None if it can."""
        if importlib.util.find_spec(cls.package) is None:
            return "not installed"
        try:
            importlib.import_module(cls.package)
        except Exception as error:  # a broken installation can fail in any way
            return f"cannot be imported: {type(error).__name__}: {' '.join(str(error).split())[:120]}"
        return None

    def by_layer(self, theta: Array) -> list[tuple[Array, Array]]:
        """Return copies of weights (n_out, n_in) and biases (n_out,) of each layer, in the dtype of the case."""
        weights, biases = parameter_views(theta.astype(self.dtype), self.case.sizes)
        return [(np.ascontiguousarray(w), b.ravel().copy()) for w, b in zip(weights, biases, strict=True)]


class Torch(Peer):
    """PyTorch, eagerly: autograd, and SGD by one fused call over all parameters.

    Other ways are slower: ``torch.optim.SGD`` after ``loss.backward`` takes 26 to 40 % longer, whether plain, fused or
    foreach. A cost written with operators instead of ``mse_loss`` takes 9 to 12 % longer. An update of one parameter
    after the other takes 2 % longer.
    """

    name = "torch"
    package = "torch"

    def __init__(self, case: Case, data: CaseData) -> None:
        super().__init__(case, data)
        import torch

        self.torch: Any = torch
        torch.set_num_threads(get_threads())
        rows, targets = data.rows(self.dtype)
        self.X, self.Y = torch.from_numpy(rows), torch.from_numpy(targets)
        self.parameters = [
            torch.from_numpy(part).requires_grad_(self.is_recorded)
            for pair in self.by_layer(data.theta)
            for part in pair
        ]

    is_recorded: ClassVar[bool] = True

    def reset(self, theta: Array) -> None:
        """Set all parameters."""
        new = [part for pair in self.by_layer(theta) for part in pair]
        with self.torch.no_grad():
            for parameter, part in zip(self.parameters, new, strict=True):
                parameter.copy_(self.torch.from_numpy(part))

    def theta(self) -> Array:
        """Return all parameters."""
        return self.flat(self.parameters)

    def flat(self, gradient: Any) -> Array:
        """Return tensors, layer by layer, as one vector."""
        arrays = [tensor.detach().numpy() for tensor in gradient]
        return flatten(arrays[::2], arrays[1::2])

    def forward(self, parameters: Any, a: Any) -> Any:
        """Return the outputs (m, n_L)."""
        for i in range(0, len(parameters), 2):
            a = self.torch.sigmoid(self.torch.nn.functional.linear(a, parameters[i], parameters[i + 1]))
        return a

    def loss(self, parameters: Any, X: Any, Y: Any) -> Any:
        """Return the mean cost of a mini-batch."""
        a = self.forward(parameters, X)
        return self.torch.nn.functional.mse_loss(a, Y, reduction="sum") * (0.5 / X.shape[0])

    def batches(self, order: Array) -> Any:
        """Return the mini-batches of an order, each a tensor."""
        # torch splits an empty tensor into one empty mini-batch
        return self.torch.from_numpy(order).split(self.case.batch_size) if order.size else ()

    def steps(self, order: Array) -> None:
        """Take steps."""
        torch = self.torch
        for batch in self.batches(order):
            loss = self.loss(self.parameters, self.X.index_select(0, batch), self.Y.index_select(0, batch))
            gradients = torch.autograd.grad(loss, self.parameters)
            with torch.no_grad():
                torch._foreach_add_(self.parameters, gradients, alpha=-LEARNING_RATE)

    def gradient(self, columns: Array) -> Any:
        """Return the mean gradient as tensors, layer by layer."""
        batch = self.torch.from_numpy(columns)
        loss = self.loss(self.parameters, self.X.index_select(0, batch), self.Y.index_select(0, batch))
        return self.torch.autograd.grad(loss, self.parameters)

    def predict(self, columns: Array) -> Array:
        """Return the outputs."""
        with self.torch.inference_mode():
            outputs = self.forward(self.parameters, self.X.index_select(0, self.torch.from_numpy(columns)))
        return outputs.numpy().T


class TorchCompiled(Torch):
    """PyTorch with the whole step in one ``torch.compile``: gather, forward, backward and update."""

    name = "torch, compiled"
    is_recorded = False

    def __init__(self, case: Case, data: CaseData) -> None:
        super().__init__(case, data)
        torch = self.torch
        forward, loss = self.forward, self.loss

        def step(parameters: Any, X: Any, Y: Any, batch: Any) -> None:
            gradients = torch.func.grad(loss)(parameters, X[batch], Y[batch])
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(gradient, alpha=LEARNING_RATE)

        def gradient(parameters: Any, X: Any, Y: Any, batch: Any) -> Any:
            return torch.func.grad(loss)(parameters, X[batch], Y[batch])

        def predict(parameters: Any, X: Any, Y: Any, batch: Any) -> Any:
            return forward(parameters, X[batch])

        work = {"gradient": gradient, "predict": predict}.get(case.what, step)
        self._work = torch.compile(_with_separate_code(work), dynamic=False)

    def steps(self, order: Array) -> None:
        """Take steps."""
        with self.torch.no_grad():
            for batch in self.batches(order):
                self._work(self.parameters, self.X, self.Y, batch)

    def gradient(self, columns: Array) -> Any:
        """Return the mean gradient as tensors, layer by layer."""
        with self.torch.no_grad():
            return self._work(self.parameters, self.X, self.Y, self.torch.from_numpy(columns))

    def predict(self, columns: Array) -> Array:
        """Return the outputs."""
        with self.torch.no_grad():
            return self._work(self.parameters, self.X, self.Y, self.torch.from_numpy(columns)).numpy().T


def _with_separate_code(function: types.FunctionType | Any) -> Any:
    """Return a copy of a function that torch.compile treats as another function.

    torch stores compiled code by the code object of a function. Many cases would share one code object: torch would
    search the compiled versions at each call, and soon reach its limit of recompilations.
    """
    code = function.__code__.replace(co_name=f"{function.__name__}_{next(_numbers)}")
    return types.FunctionType(code, function.__globals__, code.co_name, None, function.__closure__)


class Jax(Peer):
    """JAX, with a whole epoch of steps in one ``lax.scan``, the gather inside it, and donated parameters."""

    name = "jax"
    package = "jax"

    def __init__(self, case: Case, data: CaseData) -> None:
        super().__init__(case, data)
        import jax

        self.jax: Any = jax
        jax.config.update("jax_enable_x64", self.dtype == "float64")
        rows, targets = data.rows(self.dtype)
        self.X, self.Y = jax.device_put(rows), jax.device_put(targets)

        def forward(parameters: Any, a: Any) -> Any:
            for w, b in parameters:
                a = jax.nn.sigmoid(a @ w + b)
            return a

        def loss(parameters: Any, X: Any, Y: Any) -> Any:
            return 0.5 * ((forward(parameters, X) - Y) ** 2).sum() / X.shape[0]

        def train(parameters: Any, X: Any, Y: Any, batches: Any) -> Any:
            def step(parameters: Any, batch: Any) -> Any:
                gradient = jax.grad(loss)(parameters, X[batch], Y[batch])
                return jax.tree.map(lambda p, g: p - LEARNING_RATE * g, parameters, gradient), None

            return jax.lax.scan(step, parameters, batches)[0]

        self._train = jax.jit(train, donate_argnums=0)
        self._gradient = jax.jit(lambda parameters, X, Y, batch: jax.grad(loss)(parameters, X[batch], Y[batch]))
        self._predict = jax.jit(lambda parameters, X, batch: forward(parameters, X[batch]))
        self.reset(data.theta)

    @property
    def pass_length(self) -> int:
        """The steps of an epoch, because JAX compiles code for each number of steps in a call."""
        return self.case.steps_per_epoch(self.n) if self.case.what in ("step", "epoch") else 1

    def reset(self, theta: Array) -> None:
        """Set all parameters; weights are (n_in, n_out) here."""
        self.parameters = [
            (self.jax.device_put(np.ascontiguousarray(w.T)), self.jax.device_put(b)) for w, b in self.by_layer(theta)
        ]

    def theta(self) -> Array:
        """Return all parameters."""
        return self.flat(self.parameters)

    def flat(self, gradient: Any) -> Array:
        """Return pairs of arrays, layer by layer, as one vector."""
        return flatten([np.asarray(w).T for w, _ in gradient], [np.asarray(b) for _, b in gradient])

    def steps(self, order: Array) -> None:
        """Take steps, a whole pass in each call."""
        m = self.case.batch_size
        batches = order.astype(np.int32).reshape(-1, m)
        for start in range(0, len(batches), self.pass_length):
            part = batches[start : start + self.pass_length]
            self.parameters = self._train(self.parameters, self.X, self.Y, part)
        self.jax.block_until_ready(self.parameters)

    def gradient(self, columns: Array) -> Any:
        """Return the mean gradient as JAX arrays, layer by layer."""
        # jax.device_get would take longer than the gradient itself
        return self.jax.block_until_ready(self._gradient(self.parameters, self.X, self.Y, columns))

    def predict(self, columns: Array) -> Array:
        """Return the outputs."""
        return np.asarray(self._predict(self.parameters, self.X, columns)).T


class Sklearn(Peer):
    """scikit-learn's MLPClassifier, with a pass over many mini-batches in each call of ``partial_fit``.

    It has no quadratic cost. For sigmoid outputs it uses the cross-entropy, which is slightly less work.
    """

    name = "sklearn"
    package = "sklearn"
    cost = "cross_entropy"
    whats = ("step", "predict", "epoch")
    tracks_memory = True

    def __init__(self, case: Case, data: CaseData) -> None:
        super().__init__(case, data)
        from sklearn.neural_network import MLPClassifier

        self.rows, targets = data.rows(self.dtype)
        n_out = case.sizes[-1]
        # for a matrix of 0 and 1 scikit-learn makes several outputs sigmoids
        self.targets = targets.ravel().astype(np.int64) if n_out == 1 else targets.astype(np.int64)
        self._shuffle = _GivenOrder()
        self.model: Any = MLPClassifier(
            case.sizes[1:-1],
            activation="logistic",
            solver="sgd",
            alpha=0.0,
            batch_size=case.batch_size,
            learning_rate_init=LEARNING_RATE,
            momentum=0.0,
            nesterovs_momentum=False,
            random_state=self._shuffle,
        )
        classes = np.arange(max(n_out, 2))
        self._shuffle.order = np.arange(case.batch_size)
        first = slice(0, case.batch_size)
        self.model.partial_fit(self.rows[first], self.targets[first], classes=classes)
        self.reset(data.theta)

    @property
    def pass_length(self) -> int:
        """The steps of one call. The checks of a call take less time per step if it has many."""
        if self.case.what == "predict":
            return 1
        whole = self.case.steps_per_epoch(self.n)
        # a pass has its own examples; only all of them are more than the caches hold
        return whole if self.case.what == "epoch" or self.case.n else min(whole, 256)

    def reset(self, theta: Array) -> None:
        """Set all parameters; weights are (n_in, n_out) here."""
        for (w, b), coef, intercept in zip(
            self.by_layer(theta), self.model.coefs_, self.model.intercepts_, strict=True
        ):
            coef[...], intercept[...] = w.T, b

    def theta(self) -> Array:
        """Return all parameters."""
        return flatten([coef.T for coef in self.model.coefs_], self.model.intercepts_)

    def steps(self, order: Array) -> None:
        """Take steps. Examples that are not a permutation of the first ones are copied to a new array."""
        length = self.pass_length * self.case.batch_size
        for start in range(0, order.size, length):
            part = order[start : start + length]
            rows, targets = self.rows[: part.size], self.targets[: part.size]
            self._shuffle.order = part
            if part.size != length or part.max() >= length:
                rows, targets, self._shuffle.order = self.rows[part], self.targets[part], np.arange(part.size)
            self.model.partial_fit(rows, targets)

    def gradient(self, columns: Array) -> Any:
        """Raise an error: scikit-learn has no public method for it."""
        raise NotImplementedError("scikit-learn has no public method for a gradient")

    def flat(self, gradient: Any) -> Array:
        """Raise an error: there is no gradient."""
        raise NotImplementedError("scikit-learn has no public method for a gradient")

    def predict(self, columns: Array) -> Array:
        """Return the outputs."""
        outputs = self.model.predict_proba(self.rows[columns])
        return outputs[:, 1:].T if self.case.sizes[-1] == 1 else outputs.T


class _GivenOrder(np.random.RandomState):
    """A random state whose shuffle is a given order."""

    order: Array

    def shuffle(self, x: Any) -> None:
        """Write the given order to x."""
        x[...] = self.order


PEERS: dict[str, tuple[type[Peer], ...]] = {"torch": (Torch, TorchCompiled), "jax": (Jax,), "sklearn": (Sklearn,)}
