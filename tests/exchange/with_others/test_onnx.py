"""ONNX: what is written is sound, onnxruntime computes the same with it, and `from_onnx` reads it to the bit."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx")

import onnx

import mbbp
from mbbp.activations import ACTIVATIONS
from tests.exchange.networks import (
    DTYPES,
    EVERY_ACTIVATION,
    HIDDEN,
    OUTPUT_COSTS,
    SCALINGS,
    SCHEMAS,
    assert_same,
    difference,
    inputs,
    made,
    rows,
    tolerance,
)


def run(model, X):
    """Return the outputs of onnxruntime by name, for inputs (n_in, m)."""
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, {"X": rows(X)}), strict=True))


def check(model):
    """Check a model as strictly as onnx can."""
    onnx.checker.check_model(model, full_check=True)
    return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)


def outputs_of(found, net):
    """Return the outputs of the network (n_out, m) from those of the model."""
    values = next(found[name] for name in ("variable", "probabilities", "scores") if name in found)
    return values[:, -1:].T if net.sizes[-1] == 1 else values.T


def assert_model_is_net(net, m=9):
    model = mbbp.to_onnx(net)
    check(model)
    X = inputs(net, m)
    found = run(model, X)
    assert difference(outputs_of(found, net), net.feedforward(X)) <= tolerance(net)
    assert_same(mbbp.from_onnx(model), net)
    return model, X, found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("hidden", "output"), EVERY_ACTIVATION)
def test_every_activation(hidden, output, dtype):
    assert_model_is_net(made(hidden=hidden, output=output, dtype=dtype))


@pytest.mark.parametrize(
    ("output", "cost"), [(output, cost) for output, costs in OUTPUT_COSTS.items() for cost in costs]
)
@pytest.mark.parametrize("n_out", [1, 3])
def test_every_cost(n_out, output, cost):
    assert_model_is_net(made((3, 5, n_out), output=output, cost=cost, dropout=[0.1, 0.2]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_every_scaling(scaling, dtype):
    _, X, _ = assert_model_is_net(made(dtype=dtype, scaling=SCALINGS[scaling]))
    if scaling == "standardized":  # the scaled inputs themselves are the same to the bit
        net = made((3, 3), output="identity", dtype=dtype, scaling=SCALINGS[scaling])
        net.layers[0].W, net.layers[0].b = np.eye(3), np.zeros((3, 1))
        assert np.array_equal(run(mbbp.to_onnx(net), X)["variable"].T, net.feedforward(X))


@pytest.mark.parametrize("m", [1, 2, 5000])
@pytest.mark.parametrize("sizes", [(1, 1), (1, 1, 1), (4, 2), (300, 100, 2), (2, 3, 4, 5, 4, 3)], ids=str)
def test_shapes_and_batches(sizes, m):
    assert_model_is_net(made(sizes, hidden="relu", output="identity", dtype="float64"), m)


@settings(max_examples=15)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    hidden=st.sampled_from(HIDDEN),
    output=st.sampled_from(list(ACTIVATIONS)),
    dtype=st.sampled_from(DTYPES),
    m=st.integers(1, 40),
)
def test_any_network(sizes, hidden, output, dtype, m):
    assert_model_is_net(made(sizes, hidden=hidden, output=output, dtype=dtype), m)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", [*HIDDEN, "exp"])
def test_small_results_keep_their_digits_and_large_inputs_do_no_harm(activation, dtype):
    net = mbbp.Network([1, 1], [activation], "quadratic", dtype)
    net.layers[0].W, net.layers[0].b = [[1]], [[0]]
    net.schema = mbbp.Schema(targets=["y"])
    far = 85 if activation == "exp" else 1e30
    z = np.concatenate([np.geomspace(1e-20, 80, 3001), [0.0, 100.0 if activation != "exp" else 50.0, far]]).astype(
        dtype
    )
    X = np.concatenate([-z, z])[np.newaxis]
    found, expected = run(mbbp.to_onnx(net), X)["variable"].T, net.feedforward(X)
    assert np.isfinite(found).all()
    # beyond 13 (37 in float64), gelu is below the normal numbers, and is flushed to 0 or not
    normal = np.abs(expected) > 100 * np.finfo(dtype).tiny
    error = np.abs(found - expected)[normal] / np.abs(expected)[normal]
    bound = 8 if activation != "gelu" else 8 + 40 * (dtype == "float32") + 300 * (dtype == "float64")
    assert error.max() <= bound * np.finfo(dtype).eps
    assert np.abs(found - expected)[~normal].max(initial=0) <= 200 * np.finfo(dtype).tiny


# ------------------------------------------------------------------------------------------------- labels and names


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_a_classifier_has_a_label_and_probabilities(output, schema):
    net = made(output=output, cost=None)
    net.schema = SCHEMAS[schema]
    net.metadata = {"made by": "é"}
    _, X, found = assert_model_is_net(net)
    assert list(found) == ["label", "probabilities"]
    labels = net.classify(X)
    if schema == "no schema":
        expected = labels
    elif schema == "numbers":
        expected = np.array([10, -3, 7])[labels]
    else:
        expected = np.array(net.schema.classes, object)[labels]
    assert np.array_equal(found["label"], expected)
    assert found["label"].dtype == expected.dtype


@pytest.mark.parametrize("classes", [None, ["no", "yes"], ["0", "5"]], ids=str)
def test_two_classes_by_one_output(classes):
    net = made((3, 5, 1), output="sigmoid", cost="cross_entropy")
    net.schema = None if classes is None else mbbp.Schema(classes=classes)
    _, X, found = assert_model_is_net(net, m=50)
    labels = net.classify(X)
    assert 0 < labels.sum() < 50
    expected = labels if classes is None else np.array([0, 5])[labels] if "5" in classes else np.array(classes)[labels]
    assert np.array_equal(found["label"], expected)
    assert found["probabilities"].shape == (50, 2)
    assert np.allclose(found["probabilities"].sum(axis=1), 1)


@pytest.mark.parametrize("n_out", [1, 3])
def test_scores_are_no_probabilities(n_out):
    net = made((3, 5, n_out), output="identity", cost="squared_hinge")
    _, X, found = assert_model_is_net(net, m=50)
    assert list(found) == ["label", "scores"]
    assert np.array_equal(found["label"], net.classify(X))


def test_numbers_are_called_variable():
    net = made(output="identity")
    net.schema = mbbp.Schema(targets=["a", "b", "c"])
    assert list(assert_model_is_net(net)[2]) == ["variable"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("cost", "output"), [("squared_hinge", "identity"), ("cross_entropy", "sigmoid")])
@pytest.mark.parametrize("n_out", [1, 3])
def test_the_label_is_that_of_classify_also_if_outputs_are_equal_or_tiny(n_out, cost, output, dtype):
    net = made((3, n_out), output=output, cost=cost, dtype=dtype)
    net.layers[0].W, net.layers[0].b = np.eye(3)[:n_out], np.zeros((n_out, 1))
    X = np.array([[0, 0, 0], [1, 1, 0], [0, 1, 1], [-60, -50, -50], [-30, -40, -25], [-30, -20, -19], [-1, 0, 0]]).T
    X = X.astype(dtype)
    assert np.array_equal(run(mbbp.to_onnx(net), X)["label"], net.classify(X))


def fitted(estimator, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        return estimator.fit(X, y)


def test_names_are_those_of_scikit_learns_converter():
    pytest.importorskip("skl2onnx")
    from skl2onnx import to_onnx
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    X = np.random.default_rng(0).standard_normal((30, 3)).astype(np.float32)
    for y in (np.arange(30) % 2, np.array(["a", "b", "c"])[np.arange(30) % 3]):
        theirs = fitted(MLPClassifier((4,), max_iter=2), X, y)
        net = mbbp.from_sklearn(theirs)
        one, two = check(mbbp.to_onnx(net)), to_onnx(theirs, X[:1], options={"zipmap": False})
        for ours, other in zip(one.graph.output, two.graph.output, strict=True):
            assert ours.name == other.name
            assert ours.type.tensor_type.elem_type == other.type.tensor_type.elem_type
            assert [d.dim_value for d in ours.type.tensor_type.shape.dim] == [
                d.dim_value for d in other.type.tensor_type.shape.dim
            ]
        assert one.graph.input[0].name == two.graph.input[0].name
    theirs = fitted(MLPRegressor(hidden_layer_sizes=(4,), max_iter=2), X, X[:, 0])
    net = mbbp.from_sklearn(theirs)
    assert mbbp.to_onnx(net).graph.output[0].name == to_onnx(theirs, X[:1]).graph.output[0].name


def test_the_model_says_what_it_is():
    net = made()
    net.schema, net.metadata = SCHEMAS["texts"], {"made by": "me"}
    model = mbbp.to_onnx(net)
    texts = {one.key: one.value for one in model.metadata_props}
    assert texts["made by"] == "me"
    assert json.loads(texts["input_names"]) == ["a", "c=x", "c=y"]
    assert json.loads(texts["mbbp"])["sizes"] == [3, 5, 3]
    assert model.opset_import[0].version == 17
    assert model.ir_version == 8
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param


def test_outputs_are_in_the_targets_own_units():
    net = made(output="identity", dtype="float64")
    net.schema = mbbp.Schema(target_scaling=mbbp.Scaling([1, 2, 3], [10, 20, 30]))
    X = inputs(net)
    expected = net.schema.target_scaling.undo(net.feedforward(X))
    assert np.allclose(run(mbbp.to_onnx(net), X)["variable"].T, expected, rtol=0, atol=1e-13)


def test_a_custom_cost_is_left_out():
    net = made(output="tanh", cost=mbbp.Cost("mine", lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y)))
    assert mbbp.from_onnx(mbbp.to_onnx(net)).cost_function.name == "quadratic"


# ---------------------------------------------------------------------------------------------------------- the file


def test_a_file_is_written_and_read(tmp_path):
    net = made()
    model = mbbp.to_onnx(net, tmp_path / "net.onnx")
    assert onnx.load(tmp_path / "net.onnx") == model
    assert_same(mbbp.from_onnx(tmp_path / "net.onnx"), net)
    assert_same(mbbp.from_onnx(str(tmp_path / "net.onnx")), net)
    assert (tmp_path / "net.onnx").read_bytes() == model.SerializeToString(deterministic=True)


def test_what_cannot_be_written_is_refused(tmp_path):
    net = made()
    for name, text, message in (("mbbp", "a", "metadata"), ("input_names", "a", "metadata"), ("a", "\ud800", "UTF-8")):
        net.metadata = {name: text}
        with pytest.raises(ValueError, match=f"net: expected .*{message}"):
            mbbp.to_onnx(net)
    with pytest.raises(ValueError, match="net: expected built-in activations for to_onnx"):
        mbbp.to_onnx(mbbp.Network([1, 1], [mbbp.Activation("mine", lambda z: z, lambda z: 1.0)]))
    with pytest.raises(ValueError, match="net: expected a network whose scaling is learnt"):
        mbbp.to_onnx(mbbp.Network([1, 1], scaling="standardize"))
    with pytest.raises(TypeError, match="net: expected"):
        mbbp.to_onnx(None)
    with pytest.raises(OSError, match="folder"):
        mbbp.to_onnx(made(), tmp_path / "no such" / "net.onnx")
