"""The modules of PyTorch that PyTorch itself does not have.

They are made when they are asked for, since PyTorch may not be installed: ``torch_modules.Scaling``. Pickle finds them
by the same name. The arguments of `forward` have no types: TorchScript takes them as tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from mbbp.exchange.chain import Factor, Function, Shift, Step
from mbbp.extras import load_extra


def __getattr__(name: str) -> Any:
    if name not in ("Scaling", "Exp"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _modules()[name]


@cache
def _modules() -> dict[str, Any]:
    torch = load_extra("to_torch", "torch")
    base: Any = torch.nn.Module

    class Scaling(base):
        """Scales rows of inputs as (x - mean) * factor; both are buffers, which no training changes."""

        def __init__(self, mean: Any, factor: Any) -> None:
            super().__init__()
            self.register_buffer("mean", mean)
            self.register_buffer("factor", factor)

        def forward(self, x):
            """Return the scaled inputs (m, n_in)."""
            return (x - self.mean) * self.factor

        def mbbp_steps(self, where: str) -> Iterator[Step]:
            """Yield what `from_torch` reads."""
            mean, factor = (one.detach().cpu().numpy().astype(np.float64) for one in (self.mean, self.factor))
            yield Shift(where, -mean)
            yield Factor(where, factor)

    class Exp(base):
        """The activation exp."""

        def forward(self, z):
            """Return exp(z)."""
            return z.exp()

        def mbbp_steps(self, where: str) -> Iterator[Step]:
            """Yield what `from_torch` reads."""
            yield Function(where, "exp")

    for one in (Scaling, Exp):
        one.__qualname__ = one.__name__
    return {"Scaling": Scaling, "Exp": Exp}
