"""ONNX models of other programs: what is a multilayer perceptron is read, and all else is named."""

import io
import warnings

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

import mbbp
from tests.exchange.networks import rows

W1 = np.array([[1.0, -2.0, 0.5], [0.25, 1.5, -1.0]], np.float32)
B1 = np.array([0.5, -0.25], np.float32)
X = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)


def model(nodes, constants=None, outputs=("y",), n_in=3, domains=(("", 17), ("ai.onnx.ml", 3))):
    """Return a model with the constants W (2, 3), b and those that are given."""
    constants = {"W": W1, "b": B1, "one": np.float32(1), "half": np.float32(0.5)} | (constants or {})
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["m", n_in])],
        [helper.make_tensor_value_info(one, TensorProto.FLOAT, None) for one in outputs],
        [numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(*one) for one in domains], ir_version=8)


def node(op, inputs, output="y", **attributes):
    domain = "ai.onnx.ml" if op in ("Scaler", "ZipMap", "ArrayFeatureExtractor", "Normalizer") else ""
    return helper.make_node(
        op, inputs.split(), output.split(), name=f"the {op} of {output}", domain=domain, **attributes
    )


GEMM = node("Gemm", "x W b", "z", transB=1)
Z = W1 @ X + B1[:, np.newaxis]
LAYERS = {
    "Gemm": ([node("Gemm", "x W b", transB=1)], Z),
    "Gemm without a bias": ([node("Gemm", "x W", transB=1)], W1 @ X),
    "Gemm, not transposed": ([node("Gemm", "x Wt b")], Z),
    "Gemm with factors": ([node("Gemm", "x W b", transB=1, alpha=0.5, beta=3.0)], 0.5 * W1 @ X + 3 * B1[:, None]),
    "Gemm with one bias": ([node("Gemm", "x W half", transB=1)], W1 @ X + 0.5),
    "MatMul": ([node("MatMul", "x Wt")], W1 @ X),
    "MatMul and Add": ([node("MatMul", "x Wt", "z"), node("Add", "z b")], Z),
    "Add the other way": ([node("MatMul", "x Wt", "z"), node("Add", "b z")], Z),
    "Add of a matrix of one row": ([node("MatMul", "x Wt", "z"), node("Add", "z brow")], Z),
    "a factor and a shift after it": ([GEMM, node("Mul", "z b", "s"), node("Sub", "s half")], Z * B1[:, None] - 0.5),
    "a shift from": ([GEMM, node("Sub", "half z")], 0.5 - Z),
    "Neg": ([GEMM, node("Neg", "z")], -Z),
    "Div": ([GEMM, node("Div", "z half")], Z / 0.5),
    "scaled": (
        [node("Sub", "x v", "c"), node("Div", "c v", "s"), node("Gemm", "s W b", transB=1)],
        W1 @ ((X - [[1], [2], [4]]) / [[1], [2], [4]]) + B1[:, None],
    ),
    "scaled the other way": (
        [node("Mul", "v x", "c"), node("Add", "one c", "s"), node("Gemm", "s W b", transB=1)],
        W1 @ (X * [[1], [2], [4]] + 1) + B1[:, None],
    ),
    "Scaler": (
        [node("Scaler", "x", "s", offset=[1.0, 2.0, 3.0], scale=[2.0, 2.0, 2.0]), node("Gemm", "s W b", transB=1)],
        W1 @ ((X - [[1], [2], [3]]) * 2) + B1[:, None],
    ),
    "what changes nothing": (
        [
            node("Flatten", "x", "f"),
            node("Reshape", "f shape", "r"),
            node("Cast", "r", "c", to=TensorProto.FLOAT),
            node("Gemm", "c W b", "z", transB=1),
            node("Identity", "z", "i"),
            node("Dropout", "i half", "y mask"),
        ],
        Z,
    ),
    "two layers": ([GEMM, node("Gemm", "z W2", transB=1)], (W2 := np.array([[1.0, -1.0]], np.float32)) @ Z),
    "a constant node": (
        [
            node("Constant", "", "Wc", value=numpy_helper.from_array(W1)),
            node("Constant", "", "bc", value_floats=B1.tolist()),
            node("Gemm", "x Wc bc", transB=1),
        ],
        Z,
    ),
    "a constant with another name": ([node("Identity", "W", "Wi"), node("Gemm", "x Wi b", transB=1)], Z),
}
CONSTANTS = {
    "Wt": W1.T,
    "brow": B1[np.newaxis],
    "v": np.array([1, 2, 4], np.float32),
    "shape": np.array([-1, 3]),
    "W2": W2,
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    nodes, expected = LAYERS[name]
    made = model(nodes, CONSTANTS)
    net = mbbp.from_onnx(made)
    assert np.allclose(net.feedforward(X), expected, atol=1e-5)
    ort = pytest.importorskip("onnxruntime")
    found = ort.InferenceSession(made.SerializeToString()).run(["y"], {"x": rows(X)})[0]
    assert np.allclose(net.feedforward(X), found.T, atol=1e-5)


def test_numbers_may_be_stored_in_any_field():
    for make in (
        lambda name, one: helper.make_tensor(name, TensorProto.FLOAT, one.shape, one.ravel().tolist()),
        lambda name, one: helper.make_tensor(name, TensorProto.FLOAT, one.shape, one.tobytes(), raw=True),
    ):
        made = model([node("Gemm", "x W b", transB=1)])
        del made.graph.initializer[:]
        made.graph.initializer.extend([make("W", W1), make("b", B1)])
        net = mbbp.from_onnx(made)
        assert np.array_equal(net.layers[0].W, W1)
        assert np.array_equal(net.layers[0].b[:, 0], B1)


LABELS = {
    "argmax": ([GEMM, node("ArgMax", "z", axis=1)], None),
    "argmax and names": (
        [GEMM, node("ArgMax", "z", "i", axis=1, keepdims=0), node("Gather", "names i")],
        ("no", "yes"),
    ),
    "numbers": ([GEMM, node("ArgMax", "z", "i", axis=-1), node("ArrayFeatureExtractor", "numbers i")], ("3", "5")),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels(name):
    nodes, classes = LABELS[name]
    constants = {"names": np.array(["no", "yes"], object), "numbers": np.array([3, 5])}
    net = mbbp.from_onnx(model(nodes, constants))
    assert net.sizes == (3, 2)
    assert (net.schema and net.schema.classes) == classes


def test_a_label_above_0_is_that_of_squared_hinge():
    nodes = [
        node("Gemm", "x W2", "z", transB=1),
        node("Greater", "z zero", "g"),
        node("Cast", "g", to=TensorProto.INT64),
    ]
    made = model(nodes, {"W2": W1[:1], "zero": np.float32(0)})
    assert mbbp.from_onnx(made).cost_function.name == "squared_hinge"


def test_a_label_by_another_threshold_is_refused():
    nodes = [node("Gemm", "x W2", "z", transB=1), node("Greater", "z t", "g"), node("Cast", "g", to=TensorProto.INT64)]
    with pytest.raises(ValueError, match=r"above \[0.25\]"):
        mbbp.from_onnx(model(nodes, {"W2": W1[:1], "t": np.float32(0.25)}))


REFUSED = {
    "another activation": ([GEMM, node("HardSigmoid", "z")], "the HardSigmoid.*no such operator"),
    "a slope": ([GEMM, node("LeakyRelu", "z", alpha=0.2)], "the LeakyRelu.*alpha is 0.2"),
    "an alpha": ([GEMM, node("Elu", "z", alpha=0.2)], "the Elu.*alpha is 0.2"),
    "LogSoftmax": ([GEMM, node("LogSoftmax", "z")], "the LogSoftmax"),
    "softmax down the columns": ([GEMM, node("Softmax", "z", axis=0)], "the Softmax.*axis is 0"),
    "softmax within": (
        [GEMM, node("Softmax", "z", "s"), node("Gemm", "s W2", transB=1)],
        "softmax in the output layer alone",
    ),
    "two activations": ([GEMM, node("Tanh", "z", "t"), node("Relu", "t")], "the Relu.*after tanh"),
    "no layer": ([node("Identity", "x")], "at least one layer"),
    "an activation first": (
        [node("Tanh", "x", "t"), node("Gemm", "t W b", transB=1)],
        "the Tanh.*before the first layer",
    ),
    "a shift after an activation": (
        [GEMM, node("Tanh", "z", "t"), node("Add", "t half")],
        "the Add.*shifts the outputs",
    ),
    "a factor after an activation": ([GEMM, node("Tanh", "z", "t"), node("Mul", "t half")], "the Mul.*scales the outp"),
    "columns": ([node("MatMul", "W x")], "the MatMul.*columns"),
    "two paths": ([GEMM, node("Add", "z z")], "the Add.*no constant|the Add.*is not the result"),
    "a convolution first": ([node("Conv", "x W", "c"), node("Relu", "c")], "the Conv"),
    "transposed inputs": ([node("Gemm", "x W b", transA=1, transB=1)], "the Gemm.*transA is 1"),
    "weights that do not fit": ([GEMM, node("Gemm", "z W b", transB=1)], "its weights 'W'|takes 3 inputs"),
    "weights used twice": ([node("Gemm", "x S", "z"), node("Gemm", "z S")], "weights 'S' belong to another layer too"),
    "weights that are computed": ([node("Gemm", "x x")], "the Gemm.*no constant"),
    "a factor of 0": ([node("Mul", "x zero", "s"), node("Gemm", "s W b", transB=1)], "the Mul.*by 0"),
    "a division by 0": (
        [node("Div", "x zero", "s"), node("Gemm", "s W b", transB=1)],
        "the Div.*divides an input by 0",
    ),
    "a matrix that is added": ([GEMM, node("Add", "z S")], r"the Add.*shape \(3, 3\)"),
    "a constant of another size": ([GEMM, node("Add", "z v")], "the Add.*3 numbers for 2 neurons"),
    "float16": ([node("Gemm", "x H")], "'H'.*FLOAT16"),
    "mixed dtypes": ([node("Gemm", "x W", "z", transB=1), node("Gemm", "z D")], "float32 in layer 1 and float64 in 2"),
    "a value that is nowhere": ([node("Gemm", "nowhere W b", transB=1)], "the Gemm.*not the result"),
    "an output that is nowhere": ([node("Gemm", "x W b", "z", transB=1)], "the output 'y'"),
    "a rounding": ([GEMM, node("Cast", "z", to=TensorProto.INT64)], "the Cast.*rounds"),
    "another shape": (
        [node("Reshape", "x six", "r"), node("Gemm", "r W b", transB=1)],
        "the Reshape.*one row for each",
    ),
    "argmax over examples": ([GEMM, node("ArgMax", "z", axis=0)], "the ArgMax.*axis is 0"),
    "the last index": ([GEMM, node("ArgMax", "z", axis=1, select_last_index=1)], "the ArgMax.*select_last_index"),
    "argmax of one output": (
        [node("Gemm", "x one_row", "z", transB=1), node("ArgMax", "z", axis=1)],
        "label for 1 outputs",
    ),
    "one value twice": ([GEMM, node("Tanh", "x", "z"), node("Tanh", "z")], "'z' twice"),
    "training": ([GEMM, node("Dropout", "z half true", "y")], "the Dropout.*also while the network is used"),
    "a layer without inputs": ([node("Gemm", "", "y")], "the Gemm"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_converted_is_named(name, tmp_path):
    nodes, message = REFUSED[name]
    constants = CONSTANTS | {
        "S": np.eye(3, dtype=np.float32),
        "zero": np.float32(0),
        "H": np.eye(3, dtype=np.float16),
        "D": np.eye(2),
        "six": np.array([2, 3]),
        "one_row": W1[:1],
        "true": np.array(True),
    }
    made = model(nodes, constants)
    with pytest.raises(ValueError, match=f"^model: .*({message})"):
        mbbp.from_onnx(made)
    (tmp_path / "model").write_bytes(made.SerializeToString())
    with pytest.raises(ValueError, match=message) as caught:
        mbbp.from_onnx(tmp_path / "model")
    assert str(caught.value).startswith("model: expected an ONNX model of a multilayer perceptron, got '")
    assert str(tmp_path / "model") in str(caught.value)


def test_two_inputs_and_outputs_of_several_layers_are_refused():
    made = model([GEMM, node("Tanh", "z")], outputs=("y", "z"))
    with pytest.raises(ValueError, match="outputs of one last layer"):
        mbbp.from_onnx(made)
    made.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["m", 3]))
    with pytest.raises(ValueError, match="expected one input, got 2"):
        mbbp.from_onnx(made)
    with pytest.raises(ValueError, match=r"the Gemm.*takes 3 inputs, and its rows have 4 numbers"):
        mbbp.from_onnx(model([node("Gemm", "x W b", transB=1)], n_in=4))


def test_it_must_be_a_path_or_a_model(tmp_path):
    for wrong in (None, 3, b"bytes", np.eye(2)):
        with pytest.raises(TypeError, match=r"model: expected a path or an onnx\.ModelProto"):
            mbbp.from_onnx(wrong)
    with pytest.raises(FileNotFoundError):
        mbbp.from_onnx(tmp_path / "no such")
    with pytest.raises(IsADirectoryError):
        mbbp.from_onnx(tmp_path)


# ---------------------------------------------------------------------------------------------------- their programs


@pytest.mark.parametrize("opset", [13, 20])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["GELU", "SiLU", "ELU", "ReLU", "Softplus", "LeakyReLU", "Sigmoid", "Tanh"])
def test_pytorchs_exports(name, dtype, opset):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    first, middle = nn.Linear(3, 5), nn.Linear(5, 4, bias=False)
    module = nn.Sequential(nn.Flatten(), first, getattr(nn, name)(), nn.Dropout(), middle, nn.Softmax(-1))
    module = module.to(getattr(torch, dtype)).eval()
    file = io.BytesIO()
    x = torch.randn(9, 3, dtype=getattr(torch, dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (x,), file, dynamo=False, opset_version=opset, dynamic_axes=None)
    net = mbbp.from_onnx(onnx.load_from_string(file.getvalue()))
    expected = module(x).detach().numpy().T
    assert net.dtype == dtype
    assert np.abs(net.feedforward(x.numpy().T) - expected).max() <= (1e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu", "identity"])
@pytest.mark.parametrize("classes", [["no", "yes"], [3, 5, 8]], ids=str)
def test_exports_of_scikit_learns_classifiers(classes, activation, zipmap):
    pytest.importorskip("skl2onnx")
    from skl2onnx import to_onnx
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    y = np.array(classes)[np.arange(30) % len(classes)]
    samples = np.random.default_rng(0).standard_normal((30, 3)).astype(np.float32)
    theirs = make_pipeline(StandardScaler(), MLPClassifier((4,), activation=activation, max_iter=3, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(samples, y)
        net = mbbp.from_onnx(to_onnx(theirs, samples[:1], options={"zipmap": zipmap}))
    expected = theirs.predict_proba(samples)
    assert net.schema.classes == tuple(map(str, classes))
    assert np.abs(net.feedforward(samples.T) - expected[:, -net.sizes[-1] :].T).max() < 1e-6
    assert np.array_equal(np.array(net.schema.classes)[net.classify(samples.T)], theirs.predict(samples).astype(str))


def test_exports_of_scikit_learns_regressors():
    pytest.importorskip("skl2onnx")
    from skl2onnx import to_onnx
    from sklearn.neural_network import MLPRegressor

    samples = np.random.default_rng(0).standard_normal((30, 3)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(samples, samples[:, 0])
        net = mbbp.from_onnx(to_onnx(theirs, samples[:1]))
    assert np.abs(net.feedforward(samples.T) - theirs.predict(samples)).max() < 1e-6
