"""Damaged ONNX files: each is refused by one kind of error, which names it, or is read as something sound."""

import time
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

import mbbp
from tests.exchange.networks import SCALINGS, SCHEMAS, made
from tests.mutations import FEW, MANY, mutations, unclear_errors
from tests.test_damaged_files import show


def sound_models():
    one = made(hidden="gelu", scaling=SCALINGS["standardized"], dropout=0.5)
    one.schema, one.metadata = SCHEMAS["texts"], {"made by": "me"}
    two = made((3, 5, 1), hidden="softplus", output="sigmoid", dtype="float64")
    return [mbbp.to_onnx(one), mbbp.to_onnx(two)]


def is_sound(net):
    return net.theta.size < 100 and np.isfinite(net.theta).all()


@pytest.mark.parametrize("n", [FEW, pytest.param(MANY, marks=pytest.mark.nightly)])
def test_damaged_bytes(n, tmp_path):
    kinds = [mutations(one.SerializeToString(), n, seed=i) for i, one in enumerate(sound_models())]
    damaged = (next(kinds[i % len(kinds)]) for i in range(n))
    faults = unclear_errors(mbbp.from_onnx, tmp_path / "damaged.onnx", damaged, is_sound)
    assert not faults, show(faults, n)


def drop_node(model, rng):
    del model.graph.node[int(rng.integers(len(model.graph.node)))]


def repeat_node(model, rng):
    nodes = model.graph.node
    nodes.insert(int(rng.integers(len(nodes))), nodes[int(rng.integers(len(nodes)))])


def swap_nodes(model, rng):
    i, j = rng.integers(len(model.graph.node), size=2)
    copies = [onnx.NodeProto.FromString(model.graph.node[k].SerializeToString()) for k in (i, j)]
    model.graph.node[i].CopyFrom(copies[1])
    model.graph.node[j].CopyFrom(copies[0])


def names(model):
    graph = model.graph
    return [one.name for one in graph.initializer] + [name for node in graph.node for name in node.output] + ["X", ""]


def other_input(model, rng):
    node = model.graph.node[int(rng.integers(len(model.graph.node)))]
    node.input[int(rng.integers(len(node.input)))] = rng.choice(names(model))


def one_input_less(model, rng):
    node = model.graph.node[int(rng.integers(len(model.graph.node)))]
    del node.input[int(rng.integers(len(node.input))) :]


def other_output(model, rng):
    node = model.graph.node[int(rng.integers(len(model.graph.node)))]
    node.output[0] = rng.choice(names(model))


OPERATORS = [
    *("Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Neg", "Identity", "Dropout", "Cast", "Flatten", "Reshape"),
    *("Squeeze", "Sigmoid", "LeakyRelu", "Elu", "Gelu", "Softmax", "Concat", "ArgMax", "Greater", "Gather", "Scaler"),
    *("ZipMap", "ArrayFeatureExtractor", "Constant", "Conv"),
]


def other_operator(model, rng):
    node = model.graph.node[int(rng.integers(len(model.graph.node)))]
    node.op_type = rng.choice(OPERATORS)
    if rng.random() < 0.2:
        node.domain = rng.choice(["ai.onnx", "ai.onnx.ml", "nowhere"])


def attribute(model, rng):
    node = model.graph.node[int(rng.integers(len(model.graph.node)))]
    attributes = ["axis", "to", "alpha", "beta", "transA", "transB", "offset", "scale", "keepdims", "value"]
    attributes += ["classlabels_strings"]
    values = [0, 1, -1, 2**40, 0.5, float("nan"), "text", [1, 2], [0.5], ["a", "b"], numpy_helper.from_array(np.eye(2))]
    node.attribute.append(helper.make_attribute(str(rng.choice(attributes)), values[int(rng.integers(len(values)))]))
    if rng.random() < 0.3:
        node.attribute[0].ClearField(str(rng.choice(["i", "f", "s", "type"])))


def dimension(model, rng):
    tensor = model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]
    value = int(rng.choice([0, 1, 2, 3, 5, -1, 2**31, 2**62, -(2**62)]))
    if tensor.dims and rng.random() < 0.7:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = value
    else:
        tensor.dims.append(value)


def tensor_type(model, rng):
    tensor = model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]
    tensor.data_type = int(rng.choice([0, 1, 6, 7, 8, 9, 10, 11, 14, 23, 99]))


def numbers(model, rng):
    tensor = model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]
    tensor.raw_data = tensor.raw_data[: int(rng.integers(len(tensor.raw_data) + 1))] if rng.random() < 0.5 else b""
    if rng.random() < 0.5:
        tensor.float_data.extend([float("inf"), 1e300][: int(rng.integers(3))])
    if rng.random() < 0.2:
        tensor.string_data.append(b"\xff")


def external(model, rng):
    tensor = model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def no_initializer(model, rng):
    del model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]


def description(model, rng):
    prop = model.metadata_props[int(rng.integers(len(model.metadata_props)))]
    damaged = next(mutations(prop.value.encode(), 1, seed=int(rng.integers(2**31))))
    prop.value = damaged.decode(errors="replace")


def graph_output(model, rng):
    output = model.graph.output[int(rng.integers(len(model.graph.output)))]
    output.name = rng.choice(names(model))


STRUCTURAL = (
    *(drop_node, repeat_node, swap_nodes, other_input, one_input_less, other_output, other_operator, attribute),
    *(dimension, tensor_type, numbers, external, no_initializer, description, graph_output),
)


def damaged_models(n):
    """Yield n models of which a part is damaged, so that the bytes are those of a valid message."""
    rng = np.random.default_rng(5)
    sound = [one.SerializeToString() for one in sound_models()]
    for i in range(n):
        model = onnx.ModelProto.FromString(sound[i % len(sound)])
        for _ in range(1 if rng.random() < 0.7 else 3):
            try:
                STRUCTURAL[int(rng.integers(len(STRUCTURAL)))](model, rng)
            except (ValueError, IndexError):  # there is nothing left of the kind
                continue
        yield model.SerializeToString()


@pytest.mark.parametrize("n", [FEW, pytest.param(MANY, marks=pytest.mark.nightly)])
def test_damaged_structure(n, tmp_path):
    faults = unclear_errors(mbbp.from_onnx, tmp_path / "damaged.onnx", damaged_models(n), is_sound)
    assert not faults, show(faults, n)


@pytest.mark.parametrize("kind", STRUCTURAL)
def test_most_damage_is_found(kind):
    """A test of the test: each kind of damage leads to errors, and not to nothing."""
    rng, found = np.random.default_rng(0), 0
    for _ in range(40):
        model = sound_models()[0]
        kind(model, rng)
        try:
            mbbp.from_onnx(model)
        except ValueError as error:
            found += str(error).startswith("model: ")
    assert found > 0


def test_no_other_file_is_opened(tmp_path, monkeypatch):
    np.zeros(100).tofile(tmp_path / "weights")
    model = made_of([(4, 3), (4,)])
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights")
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    monkeypatch.chdir(tmp_path)
    for given in (tmp_path / "model.onnx", model):
        with pytest.raises(ValueError, match="in another file"):
            mbbp.from_onnx(given)


# ----------------------------------------------------------------------------------- files that claim what is not there


def made_of(shapes, nodes=None, n_in=3):
    """Return a model with initializers c0, c1 and so on of these shapes, full of zeros."""
    constants = [numpy_helper.from_array(np.zeros(shape, np.float32), f"c{i}") for i, shape in enumerate(shapes)]
    graph = helper.make_graph(
        nodes or [helper.make_node("Gemm", ["x", "c0", "c1"], ["y"], transB=1)],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["m", n_in])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def with_dims(*dims):
    model = made_of([(4, 3), (4,)])
    model.graph.initializer[0].dims[:] = dims
    return model


def of_one_matrix(n):
    """Return a model whose layers all have the same matrix of 1000 x 1000."""
    nodes = [
        helper.make_node("MatMul", [f"v{i}" if i else "x", "c0"], [f"v{i + 1}" if i + 1 < n else "y"]) for i in range(n)
    ]
    return made_of([(1000, 1000)], nodes, 1000)


def of_one_bias(n):
    """Return a model that adds the same large bias again and again."""
    nodes = [helper.make_node("MatMul", ["x", "c0"], ["v0"])]
    nodes += [helper.make_node("Add", [f"v{i}", "c1"], [f"v{i + 1}" if i + 1 < n else "y"]) for i in range(n)]
    return made_of([(1, 100_000), (100_000,)], nodes, 1)


BOMBS = {
    "a matrix of terabytes": lambda: with_dims(10**6, 10**6),
    "sizes beyond any integer": lambda: with_dims(*[2**62] * 20),
    "as many rows as you like, of nothing": lambda: with_dims(10**15, 0),
    "1,000 layers of one matrix": lambda: of_one_matrix(1000),
    "10,000 shifts": lambda: of_one_bias(10_000),
    "more layers than any network": lambda: made_of(
        [(1, 1)], [helper.make_node("MatMul", [f"v{i}" if i else "x", "c0"], [f"v{i + 1}"]) for i in range(10_000)], 1
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_memory_is_taken_for_what_a_file_claims(bomb, tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(BOMBS[bomb]().SerializeToString())
    size = path.stat().st_size
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(ValueError, match="bomb") as caught:
            mbbp.from_onnx(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20_000_000 + 4 * size
    assert time.process_time() - began < 3
    assert len(str(caught.value)) < 2000
