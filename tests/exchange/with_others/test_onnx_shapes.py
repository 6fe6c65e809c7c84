"""The shapes and the types of values in ONNX models: what is read computes the same, and all else is named."""

import time

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper

import mbbp

W = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)


def model(nodes, shape, constants=None, kind=TensorProto.FLOAT):
    """Return a model with an input x of this shape, the output y, and the constant W (4, 3) beside those given."""
    constants = {"W": W, "half": np.array([[0.5]], np.float32)} | (constants or {})
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def node(op, inputs, output="y", **attributes):
    return helper.make_node(op, inputs.split(), [output], name=f"the {op}", **attributes)


def reshape(*sizes, **attributes):
    return [node("Reshape", "x to", "r", **attributes), node("MatMul", "r W", "y")], {"to": np.array(sizes)}


SOFTMAX = [node("MatMul", "x W", "z"), node("Softmax", "z", axis=1)]
ARGMAX = [node("MatMul", "x W", "z"), node("ArgMax", "z", axis=1, keepdims=0)]
MAKES_ROWS = {"Flatten": [node("Flatten", "x", "r")], "Reshape": [node("Reshape", "x to", "r")]}


@pytest.mark.parametrize("nodes", [SOFTMAX, ARGMAX])
@pytest.mark.parametrize("shape", [["m", 1, 4], ["m", 2, "k"], [4]])
def test_inputs_that_are_no_rows_are_refused(nodes, shape):
    with pytest.raises(ValueError, match=f"the MatMul.*takes inputs of rank 2.*gets rank {len(shape)}"):
        mbbp.from_onnx(model(nodes, shape))


def test_an_input_without_dimensions_is_refused():
    with pytest.raises(ValueError, match=r"expected an input of rank 2.*got rank 0"):
        mbbp.from_onnx(model(SOFTMAX, []))


@pytest.mark.parametrize("to", [(-1, 4), (0, -1), (0, 4)])
@pytest.mark.parametrize("name", MAKES_ROWS)
def test_flatten_and_reshape_make_rows(name, to):
    nodes = [*MAKES_ROWS[name], node("MatMul", "r W", "z"), node("Softmax", "z", axis=1)]
    made = model(nodes, ["m", 2, 2], {"to": np.array(to)})
    x = np.random.default_rng(1).standard_normal((6, 2, 2)).astype(np.float32)
    found = mbbp.from_onnx(made).feedforward(x.reshape(6, 4).T)
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(found.T, session.run(None, {"x": x})[0], atol=1e-6)


def test_numbers_for_each_feature_need_rows():
    nodes = [node("Sub", "x v", "s"), node("Flatten", "s", "r"), node("MatMul", "r W")]
    with pytest.raises(ValueError, match=r"the Sub.*4 numbers.*inputs of rank 3"):
        mbbp.from_onnx(model(nodes, ["m", 4, 1], {"v": np.ones(4, np.float32)}))
    nodes[0] = node("Sub", "x half", "s")
    assert mbbp.from_onnx(model(nodes, ["m", 4, 1])).sizes == (4, 3)


def test_a_constant_of_rank_3_is_no_part_of_an_activation():
    nodes = [node("MatMul", "x W", "z"), node("Max", "z zero", "a"), node("Softmax", "a", axis=1)]
    with pytest.raises(ValueError, match="the Max"):
        mbbp.from_onnx(model(nodes, ["m", 4], {"zero": np.zeros((1, 1, 1), np.float32)}))


@pytest.mark.parametrize(
    ("sizes", "attributes", "shape", "says"),
    [
        ((-1, 4), {}, ["m", "k"], r"may change the number of rows: expected \[0, 4\] or \[0, -1\]"),
        ((-1, 4), {}, ["m", 2, "k"], "may change the number of rows"),
        ((-1, 4), {}, None, "may change the number of rows"),
        ((-1, 4), {}, ["m", 8], "its rows have 4 numbers, and those before have 8"),
        ((0, 0), {}, ["m", 2, 2], "its rows have 0 numbers, and those before have 4"),
        ((0, 4), {"allowzero": 1}, ["m", 4], "has no numbers, as allowzero is not 0"),
        ((-1, -1), {}, ["m", 4], "is not one row for each example"),
        ((0, 2), {}, ["m", "k"], "takes 4 inputs, and its rows have 2 numbers"),
    ],
)
def test_reshape_must_keep_the_rows(sizes, attributes, shape, says):
    nodes, constants = reshape(*sizes, **attributes)
    with pytest.raises(ValueError, match=f"the (Reshape|MatMul).*{says}"):
        mbbp.from_onnx(model(nodes, shape, constants))


@pytest.mark.parametrize("sizes", [(0, 4), (0, -1), (0, 0), (-1, 0)])
def test_reshape_of_rows_of_unknown_size(sizes):
    nodes, constants = reshape(*sizes)
    assert mbbp.from_onnx(model(nodes, ["m", "k"], constants)).sizes == (4, 3)


def test_many_reshapes_take_no_longer_than_their_number():
    nodes, last = [], "x"
    for i in range(8000):
        nodes.append(node("Neg", last, f"n{i}"))
        last = f"n{i}"
    for i in range(4000):
        nodes.append(node("Reshape", f"{last} to", f"r{i}"))
        last = f"r{i}"
    made = model([*nodes, node("MatMul", f"{last} W")], ["m", 4], {"to": np.array([-1, 4])})
    began = time.process_time()
    with pytest.raises(ValueError, match="more than 16 shifts and factors"):
        mbbp.from_onnx(made)
    assert time.process_time() - began < 2


def test_the_number_of_steps_is_limited_while_reading(monkeypatch):
    monkeypatch.setattr("mbbp.exchange.onnx_read.MOST_STEPS", 3)
    nodes = [node("MatMul", "x W", "a"), node("Neg", "a", "b"), node("Neg", "b", "c")]
    assert mbbp.from_onnx(model([*nodes, node("Identity", "c")], ["m", 4])).sizes == (4, 3)
    with pytest.raises(ValueError, match="expected at most 3 steps, got more"):
        mbbp.from_onnx(model([*nodes, node("Relu", "c")], ["m", 4]))


def test_results_of_float64_must_not_be_rounded():
    constants = {"D": W.astype(float), "E": np.eye(3)}
    first = [node("Cast", "x", "c", to=TensorProto.FLOAT), node("Cast", "c", "d", to=TensorProto.DOUBLE)]
    layers = [node("MatMul", "d D", "z"), node("MatMul", "a E")]
    for to in (TensorProto.FLOAT, TensorProto.DOUBLE):
        between = [node("Cast", "z", "b", to=to), node("Cast", "b", "a", to=TensorProto.DOUBLE)]
        made = model([*first, layers[0], *between, layers[1]], ["m", 4], constants, TensorProto.DOUBLE)
        if to == TensorProto.DOUBLE:
            assert mbbp.from_onnx(made).dtype == np.float64
        else:
            with pytest.raises(ValueError, match=r"the Cast.*rounds the float64 results of a layer to float32"):
                mbbp.from_onnx(made)


@pytest.mark.parametrize("to", ["INT32", "INT64", "BOOL", "INT8", "FLOAT", "STRING"])
def test_a_label_is_a_whole_number(to):
    number = getattr(TensorProto, to)
    several = model([*ARGMAX[:1], node("ArgMax", "z", "i", axis=1), node("Cast", "i", to=number)], ["m", 4])
    above = [node("MatMul", "x one", "z"), node("Sigmoid", "z", "p"), node("Greater", "p half", "g")]
    single = model([*above, node("Cast", "g", to=number)], ["m", 4], {"one": W[:, :1]})
    for made, allowed in ((several, ["INT32", "INT64"]), (single, ["INT32", "INT64", "BOOL"])):
        if to in allowed:
            assert mbbp.from_onnx(made).sizes[0] == 4
        else:
            with pytest.raises(ValueError, match=f"the Cast.*makes type {to} of a label"):
                mbbp.from_onnx(made)


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 1, "cost": 5}',
        '{"format": 1, "schema": 5}',
        '{"format": 1, "schema": {"columns": [["a", [], 1%s]]}}' % ("0" * 400),
        '{"format": 1, "cost": ["quadratic"]}',
    ],
    ids=lambda text: text[:40],
)
def test_a_model_with_a_wrong_description_is_refused_as_a_file_is(text, tmp_path):
    made = model([node("MatMul", "x W")], ["m", 4])
    helper.set_model_props(made, {"mbbp": text})
    (tmp_path / "file").write_bytes(made.SerializeToString())
    for given in (made, tmp_path / "file"):
        with pytest.raises(ValueError, match=r"^model: "):
            mbbp.from_onnx(given)
