"""The comment at the head of a header: what the model is, what it costs, and how a program calls it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mbbp.exchange.c.accuracy import weight_error
from mbbp.exchange.c.activations import WITHOUT_LIBM, c_type
from mbbp.exchange.c.model import Model
from mbbp.exchange.c.text import literal, wrapped
from mbbp.version import VERSION

WIDTH = 110


def head(model: Model, name: str, file: str, measured: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the comment. `file` is the name of the header, `measured` are lines about the accuracy."""
    yield f"/* {name}: a network in C99, written by mbbp {VERSION}."
    for line in (*_facts(model), *_precision(model, name), *measured, *_use(model, name, file)):
        yield f" * {line}".rstrip()
    yield " */"


def _facts(model: Model) -> Iterator[str]:
    plain = model.plain
    yield ""
    yield from wrapped([f"Sizes: [{plain.sizes[0]}", *map(str, plain.sizes[1:-1]), f"{plain.sizes[-1]}]"], WIDTH)
    yield from wrapped(["Activations: " + model.layers[0].activation, *(x.activation for x in model.layers[1:])], WIDTH)
    yield f"Cost: {literal(plain.cost)[1:-1]}"
    yield f"In mbbp it computes in {plain.dtype}."
    if model.factor is None and model.mean is None:
        yield "Inputs are not scaled."
    else:
        kind = "(x - mean) * factor" if model.mean is not None else "x * factor"
        yield f"Inputs are scaled inside, as {kind}: pass them as they are."
    for what, names in (("Inputs", plain.input_names), ("Targets", plain.target_names), ("Classes", plain.classes)):
        if names is not None:
            yield f"{what}, in their order:"
            yield from (f"  {line}" for line in wrapped([literal(one) for one in names], WIDTH - 2))
    if plain.metadata:
        yield "Metadata:"
        for key, text in sorted(plain.metadata.items()):
            yield f"  {literal(key)}: {literal(text)}"


def _precision(model: Model, name: str) -> Iterator[str]:
    real = c_type(model.dtype)
    yield ""
    if model.weights == "int8":
        yield "Weights: 8-bit integers, with a scale for each neuron. Inputs, sums, biases and outputs are float."
        yield f"A weight is off by {weight_error(model):.2%} of its neuron's largest weight at most."
    else:
        yield f"Weights, sums, inputs and outputs: {real}."
        if model.dtype.itemsize < model.plain.dtype.itemsize:
            yield f"The weights are rounded from {model.plain.dtype}."
    yield f"Constants: {model.constant_bytes:,} bytes ({name}_CONSTANT_BYTES). Arrays on the stack: "
    yield f"{model.stack_bytes:,} bytes ({name}_STACK_BYTES). Nothing is allocated, and nothing global is written:"
    yield "several threads may call it at the same time."


def _use(model: Model, name: str, file: str) -> Iterator[str]:
    real, needs_libm = c_type(model.dtype), any(layer.activation not in WITHOUT_LIBM for layer in model.layers)
    yield ""
    yield "How to call it:"
    yield ""
    yield "    #include <stdio.h>"
    yield f"    #include {literal(file)}"
    yield ""
    yield "    int main(void)"
    yield "    {"
    yield f"        {real} x[{name}_N_INPUTS] = {{0}}, out[{name}_N_OUTPUTS];"
    yield f"        {name}_predict(x, out);"
    yield '        printf("%g\\n", (double)out[0]);'
    if model.plain.is_classifier:
        yield f'        printf("%d\\n", {name}_classify(x));'
    if model.plain.classes is not None:
        yield f'        printf("%s\\n", {name}_class_name({name}_classify(x)));'
    yield "        return 0;"
    yield "    }"
    yield ""
    yield f"How to compile it: cc -std=c99 -O2 main.c{' -lm' if needs_libm else ''}"
    yield "It is C++ as well. Several files of a program may include it, and each one gets a copy of the constants."
