"""The epochs of one call of SGD: by compiled code, or where that is not allowed, by the book's loop."""

from collections.abc import Iterable
from types import TracebackType

from mbbp.nielsen.book import BookNetwork, has_originals, take_step_by_example
from mbbp.nielsen.compiled_sgd import CompiledSGD
from mbbp.nielsen.pairs import Pair, TrainingPairs
from mbbp.validation import as_count, as_number


class Epochs:
    """Trains a network, one epoch in each call of `run`.

    Used as a context manager, it leaves the training data in the order of the last epoch, as the book does, if they are
    a list.

    Parameters
    ----------
    net : BookNetwork
        The network.
    training_data : iterable of pairs (x, y)
        A list is shuffled in place.
    mini_batch_size : int
        How many pairs `update_mini_batch` gets.
    eta : float
        The learning rate.
    *lmbda : float
        The regularization parameter, if the network's `update_mini_batch` takes one.

    Raises
    ------
    ValueError
        If `mini_batch_size` is below 1, there is no pair, an x or a y is not a column of finite numbers, or `eta` or
        `lmbda` is negative, NaN or inf.
    TypeError
        If the data are not iterable, or a number or an array has the wrong type.

    Notes
    -----
    Where custom code trains, only `mini_batch_size` and the number of pairs are checked.
    """

    def __init__(
        self,
        net: BookNetwork,
        training_data: Iterable[Pair],
        mini_batch_size: int,
        eta: float,
        *lmbda: float,
    ) -> None:
        self.net, self.eta, self.lmbda = net, eta, lmbda
        self.mini_batch_size = as_count("mini_batch_size", mini_batch_size)
        self.pairs = TrainingPairs("training_data", training_data, net)
        self.pairs.check_not_empty()
        self.n = len(self.pairs)
        self._compiled: CompiledSGD | None = None
        if self._compiled_sgd() is not None:
            self.pairs.check("inputs", "targets")
            self._rates()

    def _compiled_sgd(self) -> CompiledSGD | None:
        """Return the compiled code for the network as it is now, or None if custom code takes part in a step."""
        cost = self.net._compiled_cost() if has_originals(self.net, "update_mini_batch") else None
        if cost is None:
            return None
        if self._compiled is None or self._compiled.cost != cost:
            self._compiled = CompiledSGD(self.net, cost)
        return self._compiled

    def _rates(self) -> tuple[float, float]:
        # always floats, because the kernels would be compiled again for integers
        return as_number("eta", self.eta), as_number("lmbda", self.lmbda[0]) / self.n if self.lmbda else 0.0

    def run(self) -> None:
        """Shuffle the pairs and train on all of them.

        Raises
        ------
        ValueError, TypeError
            As the constructor does, if custom code has changed the network or the data since the last epoch.
        """
        self.pairs.shuffle()
        compiled = self._compiled_sgd()
        if compiled is None:
            more = (*self.lmbda, self.n) if self.lmbda else ()
            for mini_batch in self._mini_batches():
                self.net.update_mini_batch(mini_batch, self.eta, *more)
        else:
            eta, decay = self._rates()
            if not compiled.train(self.pairs, self.pairs.order, self.mini_batch_size, eta, decay):
                for mini_batch in self._mini_batches():
                    take_step_by_example(self.net, mini_batch, eta, decay)
        if not has_originals(self.net, *self.net._monitors):
            self.pairs.apply_order()

    def _mini_batches(self) -> list[list[Pair]]:
        pairs, m = self.pairs.as_list(), self.mini_batch_size
        return [pairs[start : start + m] for start in range(0, self.n, m)]

    def __enter__(self) -> "Epochs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pairs.apply_order()
