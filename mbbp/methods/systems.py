"""The equations of a Levenberg-Marquardt step, and three ways to solve them.

    (J^T J + M) p = J^T u - d

M is diagonal: damping, and the L2 term. u is minus the residuals, or minus their curvature along a step. d is the
gradient of the L2 term.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from mbbp.extras import load_extra
from mbbp.parameters import Array
from mbbp.residuals import MOST_STRETCHES, ROWS, WIDE, Residuals
from mbbp.solvers import GIB, LevenbergMarquardt

CG_TOLERANCE = 1e-2  # of a step: what more exact ones gain is less than what they cost
MOST_PRODUCTS = 200


class System(ABC):
    """The equations of a step for some examples.

    Attributes
    ----------
    squares : float
        The sum of the squared residuals.
    gradient : ndarray of shape (n_parameters,)
        J^T r.
    diagonal : ndarray of shape (n_parameters,)
        That of J^T J.
    now : ndarray
        The residuals r.
    """

    now: Array
    squares: float
    gradient: Array
    diagonal: Array

    def __init__(self, residuals: Residuals) -> None:
        self._of = residuals
        self._order: Array = np.empty(0, np.int64)
        self._last: tuple[Array, Array, Array] = (self._order, np.empty(0), np.empty(0))

    @abstractmethod
    def prepare(self, order: Array) -> None:
        """Compute the equations for some examples at the network's parameters."""

    @abstractmethod
    def factor(self, added: Array) -> None:
        """Add a diagonal M, and prepare to solve.

        Raises
        ------
        LinAlgError
            If the matrix is not positive definite in float64.
        """

    @abstractmethod
    def solve(self, u: Array, right: Array) -> Array:
        """Return (J^T J + M)^-1 right. A system of residuals takes u instead, for right = J^T u."""

    def residuals(self) -> Array:
        """Return the residuals, at the network's parameters now."""
        self._last = self._order, self._of.theta.copy(), self._of.residuals(self._order)
        return self._last[2]

    def _residuals_now(self, order: Array) -> Array:
        """Return the residuals; if the last step was tried on the same examples, they are known."""
        last_order, theta, found = self._last
        if last_order is order and np.array_equal(theta, self._of.theta):
            return found
        return self.residuals()

    def change(self, direction: Array) -> Array:
        """Return J v."""
        return self._of.change(self._order, direction)

    def pull_back(self, u: Array) -> Array:
        """Return J^T u."""
        return self._of.pull_back(self._order, u)

    def trace_of_inverse(self) -> float:
        """Return the trace of (J^T J + M)^-1, for which the system of the parameters is needed."""
        raise TypeError("bayesian: expected system='parameters', got another one")


class OfParameters(System):
    """A Cholesky factor of J^T J + M."""

    def __init__(self, residuals: Residuals) -> None:
        super().__init__(residuals)
        self._lapack = load_extra("levenberg_marquardt", "scipy.linalg.lapack")
        n = residuals.n_parameters
        self._lower = np.empty((n, n), order="F")
        self._rows: Array | None = None

    def prepare(self, order: Array) -> None:
        """Sum J^T J, J^T r and r^T r over the examples."""
        self._order = order
        self._matrix = np.empty((0, 0))  # the one before is not needed any more
        found = self._of.normal_equations(order)
        self._rows = self._of.rows_in_memory(order.size)
        self.now = self._residuals_now(order) if self._rows is None else self._rows[:, -1].astype(np.float64)
        self._matrix = found[:-1, :-1].T  # of which the lower triangle is there, in the order that LAPACK wants
        self.gradient, self.squares = found[:-1, -1].copy(), float(found[-1, -1])
        self.diagonal = self._matrix.diagonal().copy()

    def factor(self, added: Array) -> None:
        """Compute the factor."""
        self._lower[...] = self._matrix
        np.fill_diagonal(self._lower, self.diagonal + added)
        _, failed = self._lapack.dpotrf(self._lower, lower=1, clean=0, overwrite_a=1)
        if failed:
            raise np.linalg.LinAlgError("the matrix is not positive definite")

    def solve(self, u: Array, right: Array) -> Array:
        """Solve with the factor."""
        found, _ = self._lapack.dpotrs(self._lower, right, lower=1)
        return found

    def change(self, direction: Array) -> Array:
        """Return J v, from the Jacobian if it is still in memory."""
        if self._rows is None:
            return super().change(direction)
        return (self._rows[:, :-1] @ direction.astype(self._rows.dtype)).astype(np.float64)

    def pull_back(self, u: Array) -> Array:
        """Return J^T u, from the Jacobian if it is still in memory."""
        if self._rows is None:
            return super().pull_back(u)
        return (u.astype(self._rows.dtype) @ self._rows[:, :-1]).astype(np.float64)

    def trace_of_inverse(self) -> float:
        """Return the trace of (J^T J + M)^-1."""
        inverse, _ = self._lapack.dpotri(self._lower, lower=1)
        return float(np.trace(inverse))


class OfResiduals(System):
    """A Cholesky factor of J M^-1 J^T + I, for fewer residuals than parameters: p = M^-1 J^T (J M^-1 J^T + I)^-1 u."""

    def __init__(self, residuals: Residuals) -> None:
        super().__init__(residuals)
        self._linalg = load_extra("levenberg_marquardt", "scipy.linalg")

    def prepare(self, order: Array) -> None:
        """Compute the whole Jacobian."""
        self._order = order
        rows = self._of.rows(order).astype(np.float64, copy=False)
        self._J, self.now = rows[:, :-1], rows[:, -1].copy()
        self.squares, self.gradient = float(self.now @ self.now), self.now @ self._J
        self.diagonal = np.einsum("ij,ij->j", self._J, self._J)

    def factor(self, added: Array) -> None:
        """Compute the factor."""
        self._scaled = self._J / added
        matrix = self._scaled @ self._J.T
        matrix.flat[:: len(matrix) + 1] += 1.0
        self._factor = self._linalg.cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)

    def solve(self, u: Array, right: Array) -> Array:
        """Solve with the factor."""
        return self._linalg.cho_solve(self._factor, u, check_finite=False) @ self._scaled

    def change(self, direction: Array) -> Array:
        """Return J v."""
        return self._J @ direction

    def pull_back(self, u: Array) -> Array:
        """Return J^T u."""
        return u @ self._J


class OfProducts(System):
    """Conjugate gradients: each product with J^T J is one pass forward and one back, and no matrix is in memory."""

    def __init__(self, residuals: Residuals) -> None:
        super().__init__(residuals)
        self._sparse: Any = load_extra("levenberg_marquardt", "scipy.sparse.linalg")
        self._added = np.empty(0)

    def prepare(self, order: Array) -> None:
        """Compute the residuals and their gradient."""
        self._order = order
        self.now = self._residuals_now(order)
        self.squares, self.gradient = float(self.now @ self.now), self.pull_back(self.now)
        along = self.change(self.gradient)
        # the diagonal is not known; its largest entry is about the curvature along the gradient
        largest = float(along @ along) / max(float(self.gradient @ self.gradient), np.finfo(float).tiny)
        self.diagonal = np.full(self.gradient.size, largest)

    def factor(self, added: Array) -> None:
        """Keep the diagonal."""
        self._added = added

    def solve(self, u: Array, right: Array) -> Array:
        """Return an approximate solution."""
        n = right.size
        product = self._sparse.LinearOperator(
            (n, n), matvec=lambda v: self.pull_back(self.change(v.ravel())) + self._added * v.ravel(), dtype=np.float64
        )
        found, _ = self._sparse.cg(product, right, rtol=CG_TOLERANCE, maxiter=MOST_PRODUCTS)
        return found


def bytes_of(system: str, n_residuals: int, n_parameters: int) -> float:
    """Return how many bytes the matrices of a system need."""
    if system == "parameters":
        # the sum, what is added to it, and the factor; of few parameters also the sums of stretches; and some rows
        squares = 3 if n_parameters >= WIDE else 3 + MOST_STRETCHES
        return 8.0 * (squares * (n_parameters + 1) + min(ROWS, n_residuals)) * (n_parameters + 1)
    if system == "residuals":
        return 8.0 * n_residuals * (3 * (n_parameters + 1) + n_residuals)
    return 8.0 * 8 * (n_parameters + n_residuals)


def choose_system(spec: LevenbergMarquardt, n_residuals: int, n_parameters: int, *, has_l2: bool) -> tuple[str, float]:
    """Return which system is solved, and how many bytes its matrices need.

    Raises
    ------
    MemoryError
        If it needs more than the limit.
    ValueError
        If the options do not fit together.
    """
    needs_parameters = spec.bayesian or has_l2
    chosen = spec.system
    if chosen == "auto":
        # of twice as many parameters, J J^T is the faster one
        chosen = "residuals" if 2 * n_residuals < n_parameters and not needs_parameters else "parameters"
        too_large = bytes_of(chosen, n_residuals, n_parameters) > spec.memory_limit
        if too_large and not (spec.bayesian or spec.scaling):
            chosen = "conjugate_gradient"
    elif chosen == "residuals" and needs_parameters:
        option = "bayesian" if spec.bayesian else "l2"
        raise ValueError(f"system: expected 'parameters' or 'conjugate_gradient' with {option}, got 'residuals'")
    if chosen == "conjugate_gradient" and (spec.bayesian or spec.scaling):
        option = "bayesian" if spec.bayesian else "scaling"
        raise ValueError(f"system: expected 'parameters' with {option}, got 'conjugate_gradient'")
    needed = bytes_of(chosen, n_residuals, n_parameters)
    if needed > spec.memory_limit:
        raise MemoryError(
            f"levenberg_marquardt: expected matrices of at most {spec.memory_limit / GIB:.3g} GiB (memory_limit), got "
            f"{needed / GIB:.3g} GiB for {n_parameters:,} parameters and {n_residuals:,} residuals; use "
            "system='conjugate_gradient', a batch_size or a larger memory_limit"
        )
    return chosen, needed


SYSTEMS: dict[str, type[System]] = {
    "parameters": OfParameters,
    "residuals": OfResiduals,
    "conjugate_gradient": OfProducts,
}
