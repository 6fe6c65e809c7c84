"""Networks from ONNX models, which need not be trusted: nothing in them is run, and no other file is opened."""

from __future__ import annotations

import math
from typing import Any

from mbbp.exchange.chain import Function, Linear, Step, assemble, refuse
from mbbp.exchange.describe import read_cost, read_description, read_schema
from mbbp.exchange.onnx_match import Matcher
from mbbp.exchange.onnx_nodes import CONVERTERS, CannotConvertError, Chain, Node, Tail, Unknown, Value
from mbbp.exchange.onnx_tensors import Constants
from mbbp.exchange.onnx_write import DESCRIPTION, INPUT_NAMES
from mbbp.exchange.rebuild import USUAL_COSTS, Parts, rebuild
from mbbp.extras import load_extra
from mbbp.fileformat.structure import MOST_LAYERS
from mbbp.files import as_path
from mbbp.network import Network
from mbbp.schema import Schema

MOST_STEPS = 4 * MOST_LAYERS
WRONG = (ValueError, TypeError, KeyError, OverflowError, MemoryError)
"""The kinds of errors that a damaged model leads to."""


def from_onnx(model: Any) -> Network:
    """Return the network that an ONNX model computes, if it is a multilayer perceptron.

    Parameters
    ----------
    model : path or onnx.ModelProto
        A file, or a model. It need not be trusted: no part of it is run, and no other file is opened.

    Returns
    -------
    Network
        Its examples are columns: where the model takes X, it takes X.T. What `to_onnx` wrote comes back with its
        outputs equal to the bit, and with the cost, the dropout, the schema and the metadata. The cost of another model
        is the usual one: log_likelihood for softmax outputs, cross_entropy for sigmoid, poisson for exp, else quadratic
        (squared_hinge if the label tells whether an output without activation is above 0). Names of classes become the
        schema.

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If it is no ONNX model or a damaged one, or a part of it cannot be converted: the message names the node and
        its operator, and says why.
    TypeError
        If it is neither a path nor a model.
    ImportError
        If onnx is not installed.

    Notes
    -----
    A layer is Gemm, or MatMul and Add, with a constant matrix, and then one activation: Sigmoid, Tanh, Relu, LeakyRelu
    (0.01), Gelu, Elu, Softplus, Exp or Softmax, or the operators that `to_onnx`, PyTorch and scikit-learn's converters
    write for one. Sub, Add, Mul, Div and Scaler before the first layer become the scaling of the inputs. Identity,
    Dropout, Flatten, Reshape to rows and Cast change nothing. At the end, the label may be found by ArgMax or Greater.
    Operators of all opsets are taken.

    Reading a file takes three times as much memory as it has bytes, the network among them (measured: 2.9 times for a
    file of 40 MB). A hostile file can make the parser of onnx itself take more, before a part of it can be checked: 80
    times its size if it has nothing but empty nodes, 35 times for empty metadata or texts. So limit the size of
    files from strangers.
    """
    onnx = load_extra("from_onnx", "onnx")
    if isinstance(model, onnx.ModelProto):
        try:
            return rebuild("model", _read(onnx, model))
        except WRONG as error:
            text = str(error)
            raise ValueError(text if text.startswith("model: ") else f"model: {text:.900}") from error
    path = as_path("model", model, "a path or an onnx.ModelProto")
    content = path.read_bytes()
    try:
        try:
            parsed = onnx.ModelProto.FromString(content)
        except Exception as error:  # protobuf has kinds of errors of its own
            raise ValueError(f"{type(error).__name__}: {error!s:.200}") from error
        del content  # the bytes, and then the message, before the next copy is made
        parts = _read(onnx, parsed)
        del parsed
        return rebuild("model", parts)
    except WRONG as error:
        raise ValueError(
            f"model: expected an ONNX model of a multilayer perceptron, got {str(path)!r}, which is another or "
            f"damaged file ({error!s:.900})"
        ) from error


def _read(onnx: Any, model: Any) -> Parts:
    graph = model.graph
    constants = Constants(onnx, graph)
    if graph.sparse_initializer:
        raise ValueError("model: expected dense constants, got sparse ones")
    inputs = [one for one in graph.input if one.name not in constants]
    if len(inputs) != 1:
        raise ValueError(f"model: expected one input, got {len(inputs)}")
    values = _values(onnx, graph, constants, inputs[0].name, _start(inputs[0]))
    outputs: list[Chain | Tail] = []
    for one in graph.output:
        value = values.get(one.name, Unknown(f"the output {one.name!r:.100}", "no node computes it from the input"))
        if isinstance(value, Unknown):
            refuse("model", value.where, value.why)
        outputs.append(value)
    chains = [one.chain if isinstance(one, Tail) else one for one in outputs]
    if not chains or any(one is not chains[0] for one in chains):
        raise ValueError(f"model: expected outputs of one last layer, got {len(outputs)} of several")
    steps = _steps(chains[0])
    parts = assemble("model", steps)
    tails = [one for one in outputs if isinstance(one, Tail)]
    return _described(model, parts, tails)


def _start(given: Any) -> Chain:
    """Return the chain of the input alone: what the model tells of its shape, of which the first size is of rows."""
    kind = given.type.tensor_type
    if not kind.HasField("shape"):
        return Chain()
    sizes: list[int] = [one.dim_value if one.HasField("dim_value") else -1 for one in kind.shape.dim]
    if not sizes:
        raise ValueError("model: expected an input of rank 2, one row for each example, got rank 0")
    return Chain(rank=len(sizes), size=None if min(sizes[1:], default=1) < 0 else math.prod(sizes[1:]))


def _values(onnx: Any, graph: Any, constants: Constants, name: str, start: Chain) -> dict[str, Value]:
    """Return what each value of the graph is, node by node."""
    matcher = Matcher(graph.node, constants)
    values: dict[str, Value] = {}
    seen: set[str] = {name}
    found: dict[str, Value] = {}

    def keep(output: str, value: Value) -> None:
        values[output] = value
        if isinstance(value, Chain) and value.length > MOST_STEPS:
            raise ValueError(f"model: expected at most {MOST_STEPS:,} steps, got more")
        if isinstance(value, Chain) and (value.step is None or not isinstance(value.step, Function)):
            for result, activation in matcher.activations_of(output).items():
                found.setdefault(result, value.then(Function(f"the activation {result!r:.100}", activation)))

    keep(name, start)
    for proto in graph.node:
        node = Node(onnx, proto, constants, values)
        for output in proto.output:
            if output in seen:
                raise ValueError(f"model: expected every value once, got {output!r:.100} twice")
            if output:
                seen.add(output)
        if not proto.output or proto.output[0] in constants:
            continue
        if len(proto.output) == 1 and proto.output[0] in found:
            keep(proto.output[0], found[proto.output[0]])
            continue
        value = _value(node)
        for i, output in enumerate(proto.output):
            keep(output, value if i == 0 else Unknown(node.where, f"its output {i} has no meaning here"))
    return values


def _value(node: Node) -> Value:
    for name in node.proto.input:
        value = node.values.get(name)
        if isinstance(value, Unknown):
            return value  # the first reason is the one to tell
    domain = "" if node.proto.domain == "ai.onnx" else node.proto.domain
    convert = CONVERTERS.get((domain, node.proto.op_type))
    if convert is None:
        return Unknown(node.where, "mbbp has no such operator")
    try:
        return convert(node)
    except CannotConvertError as error:
        return Unknown(node.where, str(error))
    except KeyError as error:
        return Unknown(node.where, f"its input {error!s:.100} is not computed from the input of the model")
    except IndexError:
        return Unknown(node.where, "it lacks an input")


def _steps(chain: Chain) -> list[Step]:
    """Return the steps of a chain, the first one first."""
    steps: list[Step] = []
    weights: set[str] = set()
    link: Chain | None = chain
    while link is not None and link.step is not None:
        if isinstance(link.step, Linear):
            # a small file could name the same matrix a million times, and each layer has memory of its own
            if link.weights in weights:
                refuse("model", link.step.where, f"its weights {link.weights!r:.100} belong to another layer too")
            weights.add(link.weights)
        steps.append(link.step)
        link = link.before
    return steps[::-1]


def _described(model: Any, parts: Parts, tails: list[Tail]) -> Parts:
    """Return the parts with what the model says besides its numbers."""
    texts = {one.key: one.value for one in model.metadata_props}
    facts = read_description(texts[DESCRIPTION]) if DESCRIPTION in texts else {}
    metadata = {name: text for name, text in texts.items() if name not in (DESCRIPTION, INPUT_NAMES)}
    cost, schema, n_out = read_cost(facts) if "cost" in facts else None, read_schema(facts), len(parts.layers[-1].W)
    output = parts.layers[-1].activation
    for tail in tails:
        if (n_out == 1) != (tail.kind in ("above", "both", "complement") or tail.threshold is not None):
            raise ValueError(f"model: expected a label for {n_out} outputs, got one by another rule")
        if tail.kind in ("above", "complement"):
            raise ValueError(f"model: expected a label or probabilities as an output, got {tail.kind}")
    thresholds = {tail.threshold for tail in tails if tail.threshold is not None}
    if cost is None and thresholds == {0.0} and output == "identity":
        cost = read_cost({"cost": "squared_hinge"})
    known = read_cost({"cost": USUAL_COSTS.get(output, "quadratic")}) if cost is None else cost
    if thresholds - {known.threshold}:
        raise ValueError(f"model: expected a label above {known.threshold}, got one above {sorted(thresholds)!s:.100}")
    for names in {tail.classes for tail in tails if tail.classes is not None}:
        if schema is None:
            schema = Schema(classes=names)
        elif schema.classes != names:
            raise ValueError(f"model: expected the classes of its description, got {names!s:.200}")
    rates, seed = facts.get("dropout"), facts.get("dropout_seed")
    return parts._replace(cost=cost, schema=schema, metadata=metadata, rates=rates, seed=seed)
