"""`mbbp.to_c`: a network as one C header."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from numpy.typing import ArrayLike

from mbbp.exchange.c import accuracy, code
from mbbp.exchange.c.activations import WITHOUT_LIBM
from mbbp.exchange.c.head import head
from mbbp.exchange.c.model import WEIGHTS, Model, model_of
from mbbp.exchange.c.text import as_c_name, check_strings
from mbbp.exchange.plain import plain
from mbbp.files import write_text
from mbbp.network import Network
from mbbp.validation import as_name, refuse_unknown


def to_c(
    net: Network,
    path: str | Path | None = None,
    *,
    name: str = "model",
    weights: Literal["float32", "float64", "int8"] | None = None,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
) -> str:
    """Write a network as one C header, which computes its outputs without mbbp and without Python.

    The header is C99 and C++. It needs no library but libm, allocates nothing and writes nothing global. Its comment
    tells what the network is, how many bytes it takes, and how to call and compile it.

    Parameters
    ----------
    net : Network
        Its activations must be built-in ones.
    path : path, optional
        A file, whose name ends in .h. An old file is replaced when the new one is complete.
    name : str
        What all names in the header begin with: a C identifier. Headers with different names fit into one program.
    weights : {"float32", "float64", "int8"}, optional
        How the weights are stored. With float32 and float64, all is computed in this precision; by default in that of
        the network. With int8, a weight takes one byte: each neuron's weights are rounded to 255 steps. Inputs, sums
        and outputs are then float.
    X : array_like of shape (n_in, m), optional
        Examples. The comment then tells how much the outputs differ from those of mbbp. They are computed as the C code
        computes them, by NumPy.
    y : array_like of shape (m,) or (n_L, m), optional
        The labels or desired outputs of these examples. The comment then tells the accuracy before and after, or the
        root of the mean squared error.

    Returns
    -------
    str
        The header.

    Raises
    ------
    TypeError
        If `net` is no network, or an argument is of the wrong type.
    ValueError
        If it has custom activations, its scaling has not been learnt yet, or its parameters hold NaN or inf. If the
        weights are too large for the precision, the name is no C identifier, the path does not end in .h, or the
        examples do not fit the network.
    OSError
        If the file cannot be written.
    RuntimeError
        If another thread is training the network.

    Notes
    -----
    For a model of the name ``model`` the header holds:

    - ``void model_predict(const float *x, float *out)``: the outputs of one example. For float64 it takes doubles.
    - ``int model_classify(const float *x)``: its label, as `Network.classify` chooses it; -1 if an output is NaN. It is
      there if the outputs are sigmoid or softmax, or the cost or the schema says that they mean classes.
    - ``const char *model_class_name(int label)``: the name of a class, if the network's schema has names of classes.
    - ``model_N_INPUTS``, ``model_N_OUTPUTS``, ``model_N_LAYERS``, ``model_N_WEIGHTS``, ``model_N_BIASES``,
      ``model_N_CLASSES``, ``model_CONSTANT_BYTES``, and ``model_STACK_BYTES``, the bytes of the arrays on the stack.

    The scaling of the inputs is inside. All constants are exact. The sums are added in another order than in mbbp, so
    the outputs differ from those of `Network.feedforward` by rounding. NaN stays NaN, as long as a compiler's option
    such as -ffast-math does not take it away.

    Examples
    --------
    >>> import mbbp
    >>> net = mbbp.Network([2, 3, 1], rng=0)
    >>> header = mbbp.to_c(net, name="small")
    >>> "static inline void small_predict(const float *x, float *out)" in header
    True
    """
    prefix = as_c_name("name", name)
    if weights is not None and as_name("weights", weights) not in WEIGHTS:
        refuse_unknown("weights", weights, WEIGHTS)
    target = None if path is None else _as_path(path)
    if X is None and y is not None:
        raise ValueError("y: expected None without X, got targets of no examples")
    facts = plain(net, "to_c")
    check_strings("names of classes", facts.classes or ())
    model = model_of(facts, weights or facts.dtype.name)
    measured = [] if X is None else list(accuracy.measured(net, model, X, y))
    file = f"{prefix}.h" if target is None else target.name
    text = "\n".join(_lines(model, prefix, file, measured)) + "\n"
    if target is not None:
        write_text(target, text)
    return text


def _as_path(path: str | Path) -> Path:
    if not isinstance(path, str | Path):
        raise TypeError(f"path: expected a path or None, got {path!r:.100}")
    target = Path(path)
    if target.suffix != ".h":
        raise ValueError(f"path: expected a name that ends in .h, got {str(path)!r:.100}")
    return target


def _lines(model: Model, name: str, file: str, measured: Sequence[str]) -> Iterator[str]:
    yield from head(model, name, file, measured)
    yield f"#ifndef MBBP_{name}_H"
    yield f"#define MBBP_{name}_H"
    if any(layer.activation not in WITHOUT_LIBM for layer in model.layers):
        yield ""
        yield "#include <math.h>"
    yield ""
    yield from code.macros(model, name)
    yield ""
    yield from code.constants(model, name)
    yield from code.functions(model, name)
    yield ""
    yield "#endif"
