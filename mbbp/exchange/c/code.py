"""The declarations and functions of a header."""

from __future__ import annotations

from collections.abc import Iterator

from mbbp.exchange.c.activations import FUNCTIONS, c_type, written_for
from mbbp.exchange.c.model import AT_ONCE, Layer, Model
from mbbp.exchange.c.text import array_lines, literal, number

# With -O2, gcc uses vectors only where they take a whole loop. So the inner loop ends at a multiple of this number, and
# the neurons that are left have a loop of their own. Of the products of bytes it needs more side by side. Measured.
LANES, LANES_OF_BYTES = 4, 8


def macros(model: Model, name: str) -> Iterator[str]:
    """Yield the macros that tell the sizes."""
    sizes = model.plain.sizes
    yield f"#define {name}_N_INPUTS {sizes[0]}"
    yield f"#define {name}_N_OUTPUTS {sizes[-1]}"
    yield f"#define {name}_N_LAYERS {len(model.layers)}"
    yield f"#define {name}_N_WEIGHTS {model.n_weights}"
    yield f"#define {name}_N_BIASES {sum(sizes[1:])}"
    yield f"#define {name}_CONSTANT_BYTES {model.constant_bytes}"
    yield f"#define {name}_STACK_BYTES {model.stack_bytes}"
    if model.plain.is_classifier:
        yield f"#define {name}_N_CLASSES {max(sizes[-1], 2)}"


def constants(model: Model, name: str) -> Iterator[str]:
    """Yield the arrays: those of the scaling, and of each layer its weights, their scale and its biases."""
    real = c_type(model.dtype)
    if model.mean is not None:
        yield from array_lines(f"{real} {name}_mean", model.mean)
    if model.factor is not None and model.factor.size > 1:
        yield from array_lines(f"{real} {name}_factor", model.factor)
    for place, layer in enumerate(model.layers, 1):
        kind = real if layer.scale is None else "signed char"
        yield from array_lines(f"{kind} {name}_w{place}", layer.w)
        if layer.scale is not None:
            yield from array_lines(f"{real} {name}_scale{place}", layer.scale)
        yield from array_lines(f"{real} {name}_b{place}", layer.b)


def functions(model: Model, name: str) -> Iterator[str]:
    """Yield the functions: the activations that are used, the layers, and what a program calls."""
    for activation in dict.fromkeys(layer.activation for layer in model.layers):
        if FUNCTIONS[activation]:
            yield written_for(FUNCTIONS[activation], name, model.dtype).rstrip("\n")
    for place, layer in enumerate(model.layers, 1):
        yield ""
        yield from _layer(model, name, place, layer)
    yield ""
    yield from _predict(model, name)
    if model.plain.is_classifier:
        yield ""
        yield from _classify(model, name)
        if model.plain.classes is not None:
            yield ""
            yield from _class_name(model.plain.classes, name)


def _layer(model: Model, name: str, place: int, layer: Layer) -> Iterator[str]:
    n_out, real, sums = layer.b.size, c_type(model.dtype), "z" if layer.is_padded else "out"
    yield f"static inline void {name}_layer{place}(const {real} *x, {real} *out)"
    yield "{"
    if layer.is_padded:
        yield f"    {real} z[{layer.w.shape[1]}];"
    yield "    int i, j;"
    yield from _sums(model, name, place, sums)
    z, activation = f"{sums}[j]", layer.activation
    if layer.scale is not None:
        z = f"{name}_b{place}[j] + {name}_scale{place}[j] * {z}"
    if activation not in ("identity", "softmax"):
        z = f"{name}_f_{activation}({z})"
    if z != "out[j]":
        yield f"    for (j = 0; j < {n_out}; ++j)"
        yield f"        out[j] = {z};"
    if activation == "softmax":
        yield f"    {name}_f_softmax(out, {n_out});"
    yield "}"


def _sums(model: Model, name: str, place: int, sums: str) -> Iterator[str]:
    """Yield the lines that set the sums of a layer: of its products, and of its biases unless there is a scale."""
    layer, real = model.layers[place - 1], c_type(model.dtype)
    n_in, width = layer.w.shape
    whole = n_in - n_in % AT_ONCE
    kind, cast, lanes = (real, "", LANES) if layer.scale is None else ("signed char", f"({real})", LANES_OF_BYTES)
    yield f"    for (j = 0; j < {width}; ++j)"
    yield f"        {sums}[j] = {f'{name}_b{place}[j]' if layer.scale is None else number(0.0, model.dtype)};"
    for first, last, step in ((0, whole, AT_ONCE), (whole, n_in, 1)):
        if first == last:
            continue
        yield f"    for (i = {first}; i < {last}; i += {step}) {{"
        yield f"        const {kind} *w = {name}_w{place} + i * {width};"
        for k in range(step):
            yield f"        const {real} x{k} = {_input(model, name, place, 'i' if not k else f'i + {k}')};"
        terms = [f"{cast}w[{'j' if not k else f'j + {k * width}'}] * x{k}" for k in range(step)]
        for start, stop in _stretches(width, lanes):
            yield f"        for (j = {start}; j < {stop}; ++j)"
            if step == 1:
                yield f"            {sums}[j] += {terms[0]};"
            else:
                yield f"            {sums}[j] += ({terms[0]} + {terms[1]})"
                yield f"                    + ({terms[2]} + {terms[3]});"
        yield "    }"


def _stretches(n: int, lanes: int) -> Iterator[tuple[int, int]]:
    """Yield where the loop over n neurons begins and ends: a part for the vectors, and what is left."""
    whole = n - n % lanes
    if whole:
        yield 0, whole
    if whole < n:
        yield whole, n


def _input(model: Model, name: str, place: int, index: str) -> str:
    """Return an input of a layer; the first layer scales it."""
    value = f"x[{index}]"
    if place > 1:
        return value
    if model.mean is not None:
        value = f"({value} - {name}_mean[{index}])"
    if model.factor is not None:
        each = model.factor.size > 1
        value += f" * {f'{name}_factor[{index}]' if each else number(model.factor[0], model.dtype)}"
    return value


def _predict(model: Model, name: str) -> Iterator[str]:
    real, last = c_type(model.dtype), len(model.layers)
    yield f"/* Compute the outputs of one example. x has {name}_N_INPUTS numbers, out has room for {name}_N_OUTPUTS,"
    yield " * and they do not overlap. */"
    yield f"static inline void {name}_predict(const {real} *x, {real} *out)"
    yield "{"
    for letter, size in zip("ab", model.buffers, strict=True):
        if size:
            yield f"    {real} {letter}[{size}];"
    source = "x"
    for place in range(1, last + 1):
        target = "out" if place == last else "ab"[(place - 1) % 2]
        yield f"    {name}_layer{place}({source}, {target});"
        source = target
    yield "}"


def _classify(model: Model, name: str) -> Iterator[str]:
    real, n_out = c_type(model.dtype), model.plain.sizes[-1]
    if n_out == 1:
        rule = f"1 if the output is above {model.plain.threshold:g}, else 0"
    else:
        rule = "the place of the largest output, the first one if several are equal"
    yield f"/* Return the label of one example: {rule}."
    yield " * It is -1 if an output is NaN, as after an input that is NaN. */"
    yield f"static inline int {name}_classify(const {real} *x)"
    yield "{"
    yield f"    {real} out[{n_out}];"
    if n_out > 1:
        yield "    int j, label = 0;"
    yield f"    {name}_predict(x, out);"
    if n_out == 1:
        yield "    if (out[0] != out[0])"
        yield "        return -1;"
        yield f"    return out[0] > {number(model.plain.threshold, model.dtype)};"
    else:
        yield f"    for (j = 0; j < {n_out}; ++j) {{"
        yield "        if (out[j] != out[j])"
        yield "            return -1;"
        yield "        if (out[j] > out[label])"
        yield "            label = j;"
        yield "    }"
        yield "    return label;"
    yield "}"


def _class_name(classes: tuple[str, ...], name: str) -> Iterator[str]:
    yield "/* Return the name of a class in UTF-8, or an empty string if there is no such label. */"
    yield f"static inline const char *{name}_class_name(int label)"
    yield "{"
    yield f"    static const char *const names[{len(classes)}] = {{"
    for one in classes:
        yield f"        {literal(one)},"
    yield "    };"
    yield f'    return label >= 0 && label < {len(classes)} ? names[label] : "";'
    yield "}"
