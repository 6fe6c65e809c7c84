"""The optimizers that are more than an update of each parameter from a gradient, and the table of all names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mbbp.optimizer_state import OptimizerState, Rates
from mbbp.optimizers import SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSprop
from mbbp.parameters import Array
from mbbp.validation import as_count, as_flag, as_number, refuse_unknown

SYSTEM_NAMES = ("auto", "parameters", "residuals", "conjugate_gradient")
GIB = 2.0**30


@dataclass(frozen=True)
class Solver(Optimizer):
    """The base class of the optimizers that `Network.fit` alone can use, because they need more than a gradient."""

    takes_all_examples = True  # if no batch_size is given
    has_learning_rate = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the history that it measures besides those of all optimizers."""
        return ()

    def compile(self, dtype: np.dtype[Any]) -> None:
        """Do nothing: no update is compiled."""

    def step(self, theta: Array, gradient: Array, state: OptimizerState, rates: Rates) -> Any:
        """Raise TypeError: there is no step from a gradient alone."""
        raise TypeError(f"optimizer: expected one that takes steps from a gradient, got {self.name!r}; use Network.fit")

    def __post_init__(self) -> None:
        as_number("weight_decay", self.weight_decay)
        if self.weight_decay:
            raise ValueError(f"weight_decay: expected 0 with {self.name}, got {self.weight_decay!r}; use l2")


@dataclass(frozen=True)
class LevenbergMarquardt(Solver):
    """The Levenberg-Marquardt method for the quadratic cost: the first choice for small networks that fit a function.

    With the residuals r = a^L - y and their Jacobian J by the parameters, a step p solves

        (J^T J + mu I) p = -J^T r

    It is nearly a step of Newton's method where the residuals are small, and a short step of gradient descent where the
    damping mu is large. If a step reduces the cost as much as expected, mu becomes smaller, and if not, larger (H. B.
    Nielsen, *Damping parameter in Marquardt's method*, 1999).

    Parameters
    ----------
    damping : float
        The first mu, as a share of the largest diagonal entry of J^T J.
    scaling : bool
        Whether mu multiplies the largest diagonal of J^T J so far and not I, so that the scale of a parameter does not
        matter (Marquardt 1963, in the form of J. J. More, 1978).
    acceleration : bool
        Whether a step follows the curvature of the residuals (geodesic acceleration, M. K. Transtrum and J. P. Sethna,
        2012). A step then costs nearly twice as much, and fewer are needed.
    bayesian : bool
        Whether the weight of ||theta||^2 against the errors is learnt (D. J. C. MacKay 1992; F. D. Foresee and M. T.
        Hagan 1997). The history then has the `effective_parameters`. `l2` must be 0.
    system : {"auto", "parameters", "residuals", "conjugate_gradient"}
        What is solved: the equations above by a Cholesky factor of J^T J; the same with J J^T, which is smaller if
        there are fewer residuals than parameters; or the equations by conjugate gradients, for which neither is needed.
        "auto" takes the faster one, and conjugate gradients if that would need more than `memory_limit`.
    memory_limit : float
        How many bytes the matrices may need: 24 P^2 for P parameters. The progress bar says how many they need. If they
        need more, the training does not begin.
    tolerance : float
        The training ends when a step reduces the cost by less than this share of it.

    Raises
    ------
    ValueError
        If a number is out of range, or a system is unknown.
    TypeError
        If an argument is of the wrong type.

    Notes
    -----
    An epoch is one step on all examples, or with a `batch_size` one step for each mini-batch. float64 is advised: with
    float32, the Jacobian has 7 digits, and J^T J is summed in float64.

    Examples
    --------
    >>> import numpy as np, mbbp
    >>> X = np.linspace(-1, 1, 200).reshape(1, -1)
    >>> net = mbbp.Network([1, 20, 1], ["tanh", "identity"], dtype="float64", initializer="nguyen_widrow", rng=0)
    >>> history = net.fit(X, np.sinc(X), epochs=30, optimizer="levenberg_marquardt")
    >>> history[-1].training_cost < 1e-6
    True
    """

    damping: float = 1e-4
    scaling: bool = False
    acceleration: bool = True
    bayesian: bool = False
    system: str = "auto"
    memory_limit: float = 2 * GIB
    tolerance: float = 1e-12

    name = "levenberg_marquardt"
    n_states = 1  # what mu multiplies, if `scaling` is true

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the history that it measures besides those of all optimizers."""
        learnt = ("effective_parameters", "prior_precision", "noise_precision")
        return ("damping", *learnt) if self.bayesian else ("damping",)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("damping", "memory_limit"):
            object.__setattr__(self, name, as_number(name, getattr(self, name), positive=True))
        object.__setattr__(self, "tolerance", as_number("tolerance", self.tolerance, below=1.0))
        for name in ("scaling", "acceleration", "bayesian"):
            object.__setattr__(self, name, as_flag(name, getattr(self, name)))
        if not isinstance(self.system, str) or self.system not in SYSTEM_NAMES:
            refuse_unknown("system", self.system, SYSTEM_NAMES)


@dataclass(frozen=True)
class LBFGS(Solver):
    """L-BFGS, by SciPy's L-BFGS-B on the vector of all parameters: for any cost, on all examples at once.

    Parameters
    ----------
    memory : int
        How many steps the approximation of the Hessian remembers.
    tolerance : float
        The training ends when no entry of the gradient is larger.

    Notes
    -----
    An epoch is one iteration. A callback cannot change the parameters: SciPy goes on from its own. What
    it remembers is not kept for a further call of `fit`, nor in a file.
    """

    memory: int = 10
    tolerance: float = 1e-8

    name = "lbfgs"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "memory", as_count("memory", self.memory))
        object.__setattr__(self, "tolerance", as_number("tolerance", self.tolerance))


@dataclass(frozen=True)
class DPSGD(Solver):
    """Differentially private SGD (M. Abadi et al., *Deep learning with differential privacy*, 2016).

    Each step draws every example with the probability batch_size / n (Poisson sampling), clips the gradient of each to
    `clip_norm`, adds Gaussian noise with the standard deviation noise_multiplier * clip_norm to their sum, and divides
    by `batch_size`. Sampling and noise come from a cryptographic generator. The history has the privacy that is spent
    after each epoch: (epsilon, delta). An epoch has n / batch_size steps, rounded up; `shuffle` does not matter.

    Parameters
    ----------
    noise_multiplier : float
        The standard deviation of the noise, as a multiple of `clip_norm`. 0 adds none, and epsilon is then inf.
    clip_norm : float
        The largest norm of the gradient of one example.
    delta : float
        The delta for which epsilon is stated: above 0 and below 1, and less than 1/n to mean something.

    Raises
    ------
    ValueError
        If a number is out of range.
    TypeError
        If an argument is not a number.

    Notes
    -----
    It needs the packages ``dp-accounting`` and ``cryptography``: ``pip install 'mbbp[dp]'``. The guarantee is for the
    parameters after any of the steps. The costs, accuracies and gradient norms in the history are not private, and
    neither is what follows them: early stopping, or a learning rate that falls when a cost is stuck. What is chosen by
    looking at the data (the architecture, the scaling, class weights) is not counted, nor are trainings of the network
    by other optimizers. Sums of floating-point numbers leak a little more than the theory says (I. Mironov 2012).

    A further training with the same settings and sampling is accounted for as one with the training before. Else its
    epsilon and delta are added to those so far. They are in the history: a file that is saved with ``training=False``
    does not have them. If the training diverges, the error tells that the cost of some example was not finite.
    """

    noise_multiplier: float = 1.0
    clip_norm: float = 1.0
    delta: float = 1e-5

    name = "dp_sgd"
    default_learning_rate = 0.1
    takes_all_examples = False
    has_learning_rate = True

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the history that it measures besides those of all optimizers."""
        return ("epsilon", "delta")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "noise_multiplier", as_number("noise_multiplier", self.noise_multiplier))
        object.__setattr__(self, "clip_norm", as_number("clip_norm", self.clip_norm, positive=True))
        object.__setattr__(self, "delta", as_number("delta", self.delta, below=1.0, positive=True))


STEPPING = (SGD, Momentum, Nesterov, Adam, AdamW, RMSprop, Adagrad)
OPTIMIZERS: dict[str, Optimizer] = {one.name: one() for one in STEPPING}
"""The optimizers that take a step from a gradient, for `Network.fit` and for a trainer."""

SOLVERS: dict[str, Optimizer] = {one.name: one() for one in (LevenbergMarquardt, LBFGS, DPSGD)}
"""Those that `Network.fit` alone can use."""


def get_optimizer(optimizer: str | Optimizer, weight_decay: float | None = None, *, solvers: bool = False) -> Optimizer:
    """Return the optimizer with this name, or the given one. If `weight_decay` is given, it replaces the optimizer's.

    Parameters
    ----------
    optimizer : str or Optimizer
        A name, or an optimizer.
    weight_decay : float, optional
        Decoupled weight decay.
    solvers : bool
        Whether it may be one that only `Network.fit` can use.

    Raises
    ------
    ValueError
        If no optimizer has this name, or the weight decay is out of range.
    TypeError
        If it is neither a name nor an Optimizer, or cannot be used here.
    """
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS and optimizer not in SOLVERS:
            refuse_unknown("optimizer", optimizer, OPTIMIZERS | SOLVERS if solvers else OPTIMIZERS)
        optimizer = (OPTIMIZERS | SOLVERS)[optimizer]
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer: expected a name or an mbbp.Optimizer, got {optimizer!r}")
    if isinstance(optimizer, Solver) and not solvers:
        raise TypeError(f"optimizer: expected one that takes single steps, got {optimizer.name!r}; use Network.fit")
    return optimizer if weight_decay is None else replace(optimizer, weight_decay=weight_decay)
