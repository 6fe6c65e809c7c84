"""The epochs of one call of SGD: by the engine, or where it may not, by the book's loop."""

from collections.abc import Iterable
from types import TracebackType

from mbbp.nielsen.book import Book, has_kept, step_by_example
from mbbp.nielsen.engine import Engine
from mbbp.nielsen.pairs import Pair, TrainingPairs
from mbbp.validation import as_count, as_number


class Epochs:
    """Trains a network, one epoch a call.

    As a context it leaves the training data, if they are a list, in the order of the last epoch, as the book does.

    Parameters
    ----------
    net : Book
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
    ValueError, TypeError
        If an argument is not as it should be; nothing has changed then.
    """

    def __init__(
        self,
        net: Book,
        training_data: Iterable[Pair],
        mini_batch_size: int,
        eta: float,
        *lmbda: float,
    ) -> None:
        self.net, self.eta, self.lmbda = net, eta, lmbda
        self.mini_batch_size = as_count("mini_batch_size", mini_batch_size)
        self.pairs = TrainingPairs("training_data", training_data, net)
        self.pairs.refuse_none()
        self.n = len(self.pairs)
        self._engine: Engine | None = None
        if self._ready_engine() is not None:
            self.pairs.check("inputs", "targets")
            self._rates()

    def _ready_engine(self) -> Engine | None:
        """Return the engine, unless a step is the reader's own matter."""
        cost = self.net._compiled_cost() if has_kept(self.net, "update_mini_batch") else None
        if cost is None:
            return None
        if self._engine is None or self._engine.cost != cost:
            self._engine = Engine(self.net, cost)
        return self._engine

    def _rates(self) -> tuple[float, float]:
        # a float, always: for a whole number the kernels would be compiled anew
        return as_number("eta", self.eta), as_number("lmbda", self.lmbda[0]) / self.n if self.lmbda else 0.0

    def run(self) -> None:
        """Shuffle the pairs and train on all of them.

        Raises
        ------
        ValueError, TypeError
            If in the meantime something has become what it should not be.
        """
        self.pairs.shuffle()
        engine = self._ready_engine()
        if engine is None:
            more = (*self.lmbda, self.n) if self.lmbda else ()
            for mini_batch in self._mini_batches():
                self.net.update_mini_batch(mini_batch, self.eta, *more)
        else:
            eta, decay = self._rates()
            if not engine.train(self.pairs, self.pairs.order, self.mini_batch_size, eta, decay):
                for mini_batch in self._mini_batches():
                    step_by_example(self.net, mini_batch, eta, decay)
        if not has_kept(self.net, *self.net._watching):
            self.pairs.settle()

    def _mini_batches(self) -> list[list[Pair]]:
        pairs, m = self.pairs.plain(), self.mini_batch_size
        return [pairs[start : start + m] for start in range(0, self.n, m)]

    def __enter__(self) -> "Epochs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pairs.settle()
