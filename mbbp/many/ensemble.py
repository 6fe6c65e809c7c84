"""`Ensemble`: several networks that are trained on the same task and used together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mbbp import fileformat
from mbbp.arrays import as_numeric_array
from mbbp.chunking.chunks import Chunks
from mbbp.fixed import Fixed
from mbbp.many.fits import ManyFits, check_networks, fit_each, settings_of_each
from mbbp.network import Network
from mbbp.parameters import Array
from mbbp.targets import as_targets
from mbbp.validation import as_count, as_flag, as_generator, shown


class EnsembleOutputs(NamedTuple):
    """The outputs of an ensemble.

    Attributes
    ----------
    mean : ndarray of shape (n_L, m), float64
        The mean of the outputs over the networks.
    variance : ndarray of shape (n_L, m), float64
        Their variance over the networks, divided by K: how far the networks differ, not how noisy a new target is.
    """

    mean: Array
    variance: Array


class Ensemble(Fixed):
    """Several networks with the same inputs and outputs, of which the mean is used.

    The mean has a smaller error than one network, as far as the errors of the networks differ. They differ by their
    initial parameters and shuffles, and with `bootstrap` also by their examples. The variance of their outputs says
    where they disagree: often far from the training data (Lakshminarayanan, Pritzel and Blundell 2017, *Simple and
    Scalable Predictive Uncertainty Estimation using Deep Ensembles*).

    Parameters
    ----------
    networks : sequence of Network
        K networks, each with a generator of its own. The hidden layers may differ. The ensemble trains these networks
        themselves, not copies.

    Attributes
    ----------
    networks : tuple of Network

    Raises
    ------
    ValueError
        If there is no network, two are the same or share a generator, or their inputs, outputs or costs differ.
    TypeError
        If one is no network.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> ensemble = mbbp.Ensemble.build(5, [1, 10, 1], activation=["tanh", "identity"], rng=0)
    >>> x = np.linspace(-1, 1, 200)[None, :]
    >>> fits = ensemble.fit(x, np.sin(3 * x), epochs=20, optimizer="levenberg_marquardt")
    >>> mean, variance = ensemble.predict([[0.0, 3.0]])
    >>> bool(variance[0, 1] > 100 * variance[0, 0])  # 3 is far from the examples
    True
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self.networks = tuple(check_networks(networks))
        first = _interface(self.networks[0])
        for number, net in enumerate(self.networks):
            for what, expected, got in zip(_INTERFACE, first, _interface(net), strict=True):
                if got != expected:
                    raise ValueError(f"networks[{number}]: expected {what} {expected} as in networks[0], got {got}")

    @classmethod
    def build(
        cls, n_members: int, sizes: Sequence[int], *, rng: int | np.random.Generator | None = None, **arguments: Any
    ) -> Ensemble:
        """Return an ensemble of new networks that differ by their random numbers alone.

        Parameters
        ----------
        n_members : int
            How many networks.
        sizes : sequence of int
            The number of neurons in each layer.
        rng : int or numpy.random.Generator, optional
            The source of the networks' seeds.
        **arguments
            Further arguments of `Network`.

        Raises
        ------
        ValueError, TypeError
            As for `Network`.
        """
        n, generator = as_count("n_members", n_members), as_generator("rng", rng)
        seeds = generator.integers(1 << 63, size=n)
        return cls([Network(sizes, rng=int(seed), **arguments) for seed in seeds])

    def __len__(self) -> int:
        return len(self.networks)

    def __iter__(self) -> Iterator[Network]:
        return iter(self.networks)

    def __repr__(self) -> str:
        sizes = {net.sizes for net in self.networks}
        shown = list(self.networks[0].sizes) if len(sizes) == 1 else f"{len(sizes)} kinds of sizes"
        return f"Ensemble of {len(self)} networks: {shown}"

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        bootstrap: bool = False,
        rng: int | np.random.Generator | None = None,
        each: Sequence[Mapping[str, Any]] | None = None,
        progress: bool | None = None,
        client: Any = None,
        **common: Any,
    ) -> ManyFits:
        """Train all networks at the same time; see `fit_many`.

        Parameters
        ----------
        X : array_like of shape (n_in, n)
            Inputs, one example per column.
        y : array_like of shape (n,) or (n_L, n)
            Labels, or desired outputs.
        bootstrap : bool
            Whether each network is trained on a bootstrap sample: n examples, drawn with replacement.
        rng : int or numpy.random.Generator, optional
            The source of the samples. Only with `bootstrap`.
        each, progress, client, **common
            As for `fit_many`.

        Raises
        ------
        ValueError, TypeError, RuntimeError, ImportError
            As for `fit_many`. Also if `subset` is given with `bootstrap`, or `rng` without it.
        """
        own = settings_of_each(len(self), each, common)
        generator = as_generator("rng", rng)
        if as_flag("bootstrap", bootstrap):
            if any("subset" in one for one in own):
                raise ValueError("subset: expected none with bootstrap=True, which draws the examples, got one")
            n = _n_examples(X)
            own = [{**one, "subset": generator.integers(n, size=n)} for one in own] if n else own
        elif rng is not None:
            raise ValueError(f"rng: expected None without bootstrap=True, which alone draws examples, got {shown(rng)}")
        return fit_each(self.networks, X, y, own, progress, client)

    def predict(self, X: ArrayLike) -> EnsembleOutputs:
        """Return the mean and the variance of the outputs over the networks.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs, one example per column.

        Raises
        ------
        ValueError
            If X has the wrong shape or no column, or holds NaN or inf.
        TypeError
            If X does not hold real numbers.
        """
        outputs = [net.feedforward(X).astype(np.float64) for net in self.networks]
        mean = np.mean(outputs, axis=0)
        return EnsembleOutputs(mean, np.mean([(one - mean) ** 2 for one in outputs], axis=0))

    def feedforward(self, X: ArrayLike) -> Array:
        """Return the mean of the outputs, of shape (n_L, m); see `predict`."""
        return self.predict(X).mean

    def classify(self, X: ArrayLike) -> Array:
        """Return the label of every column of X, by the mean of the outputs; see `Network.classify`.

        Returns
        -------
        ndarray of int64, shape (m,)

        Raises
        ------
        ValueError
            As for `Network.classify`.
        TypeError
            If X does not hold real numbers.
        """
        net = self.networks[0]
        net._check_classes("classify")
        return net._labels(self.feedforward(X))

    def accuracy(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return the fraction of columns that the mean of the outputs classifies correctly.

        Parameters
        ----------
        X : array_like of shape (n_in, m)
            Inputs.
        y : array_like of shape (m,) or (n_L, m)
            Labels, or unit vectors (for a single output: 0 or 1).

        Raises
        ------
        ValueError
            As for `Network.accuracy`.
        TypeError
            If an argument does not hold real numbers.
        """
        found, net = self.classify(X), self.networks[0]
        is_regression = net.engine.is_regression
        _, labels = as_targets("y", y, net.sizes[-1], found.size, net.dtype, "X", is_regression=is_regression)
        if not labels.size:
            raise ValueError("y: expected labels or unit vectors, got other targets")
        return float(np.mean(found == labels))

    def save(self, path: str | Path, *, training: bool = True) -> None:
        """Save all networks to one file; see `mbbp.save`.

        Parameters
        ----------
        path : path
            The file. Its name must end in .npz or .mbbp.
        training : bool
            Whether the file holds what a further training needs.

        Raises
        ------
        ValueError, OSError, TypeError, RuntimeError
            As for `mbbp.save`.
        """
        found = fileformat.check_ending("path", path)
        with_training = as_flag("training", training)
        fileformat.write_many(found, [net._contents(with_training=with_training) for net in self.networks])

    @classmethod
    def load(cls, path: str | Path, *, custom: Iterable[Any] = ()) -> Ensemble:
        """Load an ensemble that `save` wrote. Its outputs are the same to the bit.

        Parameters
        ----------
        path : path
            The file.
        custom : iterable of Activation, Cost, Optimizer, or subclass of Optimizer
            The user's own ones that the networks had; see `mbbp.load`.

        Raises
        ------
        OSError, ValueError, TypeError
            As for `mbbp.load`.
        """
        return cls([Network._of(contents) for contents in fileformat.read_many(path, custom)])


_INTERFACE = ("inputs", "outputs", "the output activation", "the cost")


def _n_examples(X: Any) -> int:
    """Return how many columns X has; 0 for what is no matrix, of which `fit_each` tells what is wrong."""
    if isinstance(X, Chunks):
        return 0
    shape = as_numeric_array("X", X).shape
    return int(shape[1]) if len(shape) == 2 else 0


def _interface(net: Network) -> tuple[Any, ...]:
    """Return what must be equal in all networks of an ensemble."""
    return net.sizes[0], net.sizes[-1], net.layers[-1].activation.name, str(net.cost_function)
