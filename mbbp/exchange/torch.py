"""Networks from PyTorch's modules, and as such modules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mbbp.exchange import torch_modules as modules
from mbbp.exchange.chain import Drop, Function, Step, as_layer, assemble, refuse
from mbbp.exchange.plain import plain
from mbbp.exchange.rebuild import rebuild
from mbbp.extras import load_extra
from mbbp.network import Network

ACTIVATIONS: dict[str, tuple[str, dict[str, tuple[Any, ...]]]] = {
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "ReLU": ("relu", {}),
    "LeakyReLU": ("leaky_relu", {"negative_slope": (0.01,)}),
    "GELU": ("gelu", {"approximate": ("none",)}),
    "SiLU": ("silu", {}),
    "ELU": ("elu", {"alpha": (1,)}),
    "Softplus": ("softplus", {"beta": (1,)}),
    "Softmax": ("softmax", {"dim": (1, -1)}),
}
"""PyTorch's module, and ours, with the settings that it must have."""

REASONS = {
    "LogSoftmax": "mbbp has softmax, whose logarithm it is; replace it by torch.nn.Softmax(1)",
    "Softmax": "its dim must be 1 or -1",
    "BatchNorm1d": "mbbp has no batch normalization",
}


def from_torch(module: Any) -> Network:
    """Return the network that a PyTorch module computes.

    Parameters
    ----------
    module : torch.nn.Module
        A Linear, or a Sequential, which may hold others: of Linear, ReLU, LeakyReLU (0.01), Sigmoid, Tanh, GELU, SiLU,
        ELU, Softplus, Softmax, Identity, Flatten and Dropout; and what `to_torch` returns.

    Returns
    -------
    Network
        Its examples are columns: where the module takes x, it takes x.T. The weights are copied. Linear modules in a
        row get the activation identity between them. Dropout becomes the dropout of the network. The cost is the usual
        one of the output activation: log_likelihood for softmax, cross_entropy for sigmoid, poisson for exp, else
        quadratic.

    Raises
    ------
    ValueError
        If a module cannot be converted, or holds NaN or inf: the message names the module, and says why.
    TypeError
        If it is no torch.nn.Module.
    ImportError
        If PyTorch is not installed.

    Notes
    -----
    The outputs are those of ``module.eval()`` up to rounding. PyTorch's Softplus is z itself where z > 20; mbbp's is
    ln(1 + exp(z)) everywhere, and the difference is below 3e-9. A threshold below 20 is refused.
    """
    torch = load_extra("from_torch", "torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module: expected a torch.nn.Module, got {module!r:.100}")
    return rebuild("module", assemble("module", _steps(torch, module, "")))


def _steps(torch: Any, module: Any, name: str) -> Iterator[Step]:
    kind = type(module)
    where = f"{name or 'the module'} ({kind.__name__})"
    if "forward" in vars(module):
        refuse("module", where, "its forward is its own, not that of its class")
    if module._forward_hooks or module._forward_pre_hooks:
        refuse("module", where, "it has hooks, which are Python code")
    if kind in (modules.Scaling, modules.Exp):
        for one in module.buffers(recurse=False):
            _check_numbers(torch, one, where)
        yield from kind.mbbp_steps(module, where)
    elif kind is torch.nn.Sequential:
        for child, one in module._modules.items():  # named_children() leaves out a module that is there again
            if one is not None:
                yield from _steps(torch, one, f"{name}.{child}" if name else child)
    elif kind is torch.nn.Linear:
        parameters = (module.weight, module.bias)
        for one in parameters:
            if one is not None:
                _check_numbers(torch, one, where)
                if one.dtype not in (torch.float32, torch.float64):
                    refuse("module", where, f"its numbers are {one.dtype}, and mbbp computes in float32 or float64")
        arrays = [None if one is None else one.detach().cpu().numpy() for one in parameters]
        yield as_layer("module", where, *arrays)
    elif kind in (torch.nn.Dropout, torch.nn.Identity, torch.nn.Flatten):
        if kind is torch.nn.Dropout:
            yield Drop(where, float(module.p))
        elif kind is torch.nn.Flatten and (module.start_dim, module.end_dim) != (1, -1):
            refuse("module", where, "it must flatten all dimensions but the first")
    elif kind.__name__ in ACTIVATIONS and kind is getattr(torch.nn, kind.__name__):
        activation, settings = ACTIVATIONS[kind.__name__]
        for setting, allowed in settings.items():
            if getattr(module, setting) not in allowed:
                refuse("module", where, f"its {setting} is {getattr(module, setting)!r}, and mbbp has {allowed[0]!r}")
        if kind is torch.nn.Softplus and not module.threshold >= 20:
            refuse("module", where, f"its threshold is {module.threshold!r}, and mbbp takes 20 or more")
        yield Function(where, activation)
    else:
        refuse("module", where, REASONS.get(kind.__name__, "mbbp has no such module"))


def _check_numbers(torch: Any, tensor: Any, where: str) -> None:
    if tensor.is_meta:
        refuse("module", where, "its numbers are on the device meta, which holds none")
    if tensor.layout is not torch.strided:
        refuse("module", where, f"its numbers have the layout {tensor.layout}, and mbbp takes torch.strided")


def to_torch(net: Network) -> Any:
    """Return a network as a torch.nn.Sequential.

    Parameters
    ----------
    net : Network
        Its activations must be built-in ones.

    Returns
    -------
    torch.nn.Sequential
        It takes examples as **rows**, (m, n_in), as PyTorch does, in the dtype of the network, and returns (m, n_out).
        Its children are ``scaling``, if inputs are scaled, and then ``linear1``, ``activation1``, ``linear2`` and so
        on, with ``dropout`` where the network has it. The parameters are copies. It is in the mode **eval**, in which
        dropout drops nothing; call ``.train()`` to train it.

    Raises
    ------
    ValueError
        If the network has custom activations, its scaling has not been learnt yet, or its parameters hold NaN or inf.
    TypeError
        If it is no network.
    RuntimeError
        If another thread is training the network.
    ImportError
        If PyTorch is not installed.

    Notes
    -----
    The outputs are those of `Network.feedforward` up to rounding, in the targets' own units. `torch.jit.script`,
    `state_dict` and `from_torch` work. The scaling and exp are small modules that are defined here.
    """
    parts = plain(net, "to_torch")
    torch = load_extra("to_torch", "torch")
    made: OrderedDict[str, Any] = OrderedDict()
    if parts.factor is not None:  # in the network's dtype, as mbbp scales inputs of this dtype
        mean = np.zeros_like(parts.factor) if parts.mean is None else parts.mean
        made["scaling"] = modules.Scaling(*(torch.from_numpy(one.astype(parts.dtype)) for one in (mean, parts.factor)))
    rates = net.dropout or (0.0,) * len(parts.layers)
    makers: dict[str, Callable[[], Any]] = {
        ours: lambda theirs=theirs: getattr(torch.nn, theirs)(*((1,) if theirs == "Softmax" else ()))  # type: ignore[misc]
        for theirs, (ours, _) in ACTIVATIONS.items()
    }
    makers |= {"exp": modules.Exp, "identity": torch.nn.Identity}
    for number, (layer, rate) in enumerate(zip(parts.layers, rates, strict=True), 1):
        if rate:
            made[f"dropout{number}"] = torch.nn.Dropout(rate)
        weight, bias = torch.from_numpy(layer.W), torch.from_numpy(layer.b)
        linear = torch.nn.Linear(layer.W.shape[1], len(layer.W), dtype=weight.dtype, device="meta")
        linear.weight, linear.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
        made[f"linear{number}"] = linear
        made[f"activation{number}"] = makers[layer.activation]()
    return torch.nn.Sequential(made).eval()
