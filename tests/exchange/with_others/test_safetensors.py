"""safetensors: what is written is read, by mbbp to the bit, and by the other programs; nothing else is."""

import json
import time
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("safetensors")

import safetensors.numpy

import mbbp
from tests.exchange.networks import DTYPES, EVERY_ACTIVATION, OUTPUT_COSTS, SCALINGS, SCHEMAS, assert_same, inputs, made
from tests.mutations import FEW, MANY, mutations, unclear_errors
from tests.test_damaged_files import show


def round_trip(net, tmp_path):
    mbbp.to_safetensors(net, tmp_path / "net.safetensors")
    return mbbp.from_safetensors(tmp_path / "net.safetensors")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("hidden", "output"), EVERY_ACTIVATION)
def test_every_activation_comes_back(hidden, output, dtype, tmp_path):
    net = made(hidden=hidden, output=output, dtype=dtype, scaling=SCALINGS["standardized"])
    assert_same(round_trip(net, tmp_path), net)


@pytest.mark.parametrize(
    ("output", "cost"), [(output, cost) for output, costs in OUTPUT_COSTS.items() for cost in costs]
)
def test_every_cost_comes_back(output, cost, tmp_path):
    net = made(output=output, cost=cost)
    assert_same(round_trip(net, tmp_path), net)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("sizes", [(3, 3), (3, 4, 5, 6, 3)], ids=str)
def test_scaling_schema_dropout_and_metadata_come_back(sizes, schema, scaling, tmp_path):
    net = made(sizes, scaling=SCALINGS[scaling], dropout=0.25)
    net.schema = SCHEMAS[schema]
    net.metadata = {"made by": "me", "é\0\ud800": "\n"}
    found = round_trip(net, tmp_path)
    assert_same(found, net)
    X = inputs(net).astype("float64")
    assert np.array_equal(found.feedforward(X), net.feedforward(X))  # inputs that are scaled in float64


def test_the_smallest_network(tmp_path):
    assert_same(round_trip(made((1, 1), output="identity"), tmp_path), made((1, 1), output="identity"))


def test_outputs_are_in_the_targets_own_units(tmp_path):
    net = made(output="identity")
    net.schema = mbbp.Schema(targets=["a", "b", "c"], target_scaling=mbbp.Scaling([1, 2, 3], [10, 20, 30]))
    found, X = round_trip(net, tmp_path), inputs(net)
    expected = net.schema.target_scaling.undo(net.feedforward(X))
    assert np.allclose(found.feedforward(X), expected, atol=1e-6)
    assert found.schema == mbbp.Schema(targets=["a", "b", "c"])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_tensors_are_named_as_documented_and_computed_with_as_documented(dtype, tmp_path):
    net = made(dtype=dtype, scaling=SCALINGS["standardized"])
    mbbp.to_safetensors(net, tmp_path / "net")
    tensors, X = safetensors.numpy.load_file(tmp_path / "net"), inputs(net)
    a = (X.T.astype("f8") - tensors["scaling.mean"]) * tensors["scaling.factor"]
    z = np.tanh(a @ tensors["layers.0.weight"].T + tensors["layers.0.bias"]) @ tensors["layers.1.weight"].T
    z = z + tensors["layers.1.bias"]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    assert np.allclose((e / e.sum(axis=1, keepdims=True)).T, net.feedforward(X), atol=1e-6)
    assert {one.dtype.name for name, one in tensors.items() if name.startswith("layers")} == {dtype}


def test_pytorch_loads_them_into_its_own_modules(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    net = made(hidden="relu")
    mbbp.to_safetensors(net, tmp_path / "net")
    layers = torch.nn.ModuleList([torch.nn.Linear(3, 5), torch.nn.Linear(5, 3)])
    module = torch.nn.Module()
    module.layers = layers
    module.load_state_dict(load_file(tmp_path / "net"))
    a = torch.softmax(layers[1](torch.relu(layers[0](torch.from_numpy(inputs(net).T.copy())))), 1)
    assert np.allclose(a.detach().numpy().T, net.feedforward(inputs(net)), atol=1e-6)


def test_jax_loads_them(tmp_path):
    pytest.importorskip("jax")
    from safetensors.flax import load_file

    net = made()
    mbbp.to_safetensors(net, tmp_path / "net")
    assert np.array_equal(load_file(tmp_path / "net")["layers.1.weight"], net.layers[1].W)


def test_what_cannot_be_saved_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"net: expected a built-in cost for to_safetensors, got a custom one: mine"):
        mbbp.to_safetensors(made(output="tanh", cost=mbbp.Cost("mine", lambda a, y: a, lambda a, y: y)), tmp_path / "a")
    mine = mbbp.Activation("mine", lambda z: z, lambda z: 1.0)
    with pytest.raises(
        ValueError, match="net: expected built-in activations for to_safetensors, got custom ones: mine"
    ):
        mbbp.to_safetensors(mbbp.Network([1, 1], [mine]), tmp_path / "a")
    with pytest.raises(TypeError, match="net: expected"):
        mbbp.to_safetensors("net", tmp_path / "a")
    with pytest.raises(OSError, match="folder"):
        mbbp.to_safetensors(made(), tmp_path / "no such" / "a")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_opened_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        mbbp.from_safetensors(tmp_path / "no such")
    with pytest.raises(IsADirectoryError):
        mbbp.from_safetensors(tmp_path)


def parts_of(content):
    """Return the header of a file as a dict, and its numbers as bytes."""
    n = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + n]), content[8 + n :]


def joined(header, numbers):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


@pytest.fixture
def content(tmp_path):
    net = made(scaling=SCALINGS["standardized"], dropout=0.5, cost="log_likelihood")
    net.schema, net.metadata = SCHEMAS["texts"], {"made by": "me"}
    mbbp.to_safetensors(net, tmp_path / "net")
    return (tmp_path / "net").read_bytes()


def changed(content, **facts):
    """Return the file with another description."""
    header, numbers = parts_of(content)
    known = json.loads(header["__metadata__"]["mbbp"]) | facts
    header["__metadata__"]["mbbp"] = json.dumps({name: fact for name, fact in known.items() if fact != "gone"})
    return joined(header, numbers)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"sizes": [3, 6, 3]}, "layers.0"),
        ({"sizes": [3, 5, 3, 3]}, "activations: expected 3 names"),
        ({"sizes": "gone"}, "sizes"),
        ({"sizes": [10**9, 10**9, 3]}, "sizes: expected at most"),
        ({"sizes": [3, 10**9, 3]}, "got F32"),
        ({"activations": ["softmax", "tanh"]}, "softmax in the output layer alone"),
        ({"activations": ["tanh", "nonsense"]}, "nonsense"),
        ({"cost": "nonsense"}, "nonsense"),
        ({"cost": ["quadratic"]}, "cost"),
        ({"cost": "huber", "cost_parameter": "1"}, "cost_parameter"),
        ({"cost": "huber", "cost_parameter": -1.0}, "cost_parameter"),
        ({"cost": "cross_entropy"}, "sigmoid"),
        ({"dtype": "float16"}, "float16"),
        ({"dtype": "float64"}, "F64"),
        ({"format": 2}, "format 2"),
        ({"dropout": [0.5, 2.0]}, "dropout"),
        ({"dropout_seed": -1}, "dropout_seed"),
        ({"schema": {"classes": ["a", "a", "b"]}}, "twice"),
        ({"schema": {"classes": ["a", "b"]}}, "3 classes"),
        ({"schema": []}, "Schema.to_dict"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"activations": None}, "activations"),
    ],
    ids=str,
)
def test_a_description_is_not_believed(facts, message, content, tmp_path):
    (tmp_path / "other").write_bytes(changed(content, **facts))
    with pytest.raises(ValueError, match=r"path: expected a network that mbbp\.to_safetensors wrote, got ") as caught:
        mbbp.from_safetensors(tmp_path / "other")
    assert message in str(caught.value)
    assert str(tmp_path / "other") in str(caught.value)


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["layers.0.weight", "layers.1.bias", "scaling.mean", "scaling.factor"])
def test_numbers_that_are_not_finite_are_refused(name, number, content, tmp_path):
    header, _ = parts_of(content)
    tensors = safetensors.numpy.load(content)
    tensors[name].flat[-1] = number
    (tmp_path / "other").write_bytes(safetensors.numpy.save(tensors, header["__metadata__"]))
    with pytest.raises(ValueError, match="finite"):
        mbbp.from_safetensors(tmp_path / "other")


@pytest.mark.parametrize("change", ["one more", "one less", "no factor", "another file"])
def test_other_tensors_are_refused(change, content, tmp_path):
    metadata, tensors = parts_of(content)[0]["__metadata__"], safetensors.numpy.load(content)
    if change == "one more":
        tensors["more"] = np.zeros(1)
    elif change == "another file":
        metadata = None
    else:
        del tensors["layers.1.bias" if change == "one less" else "scaling.factor"]
    (tmp_path / "other").write_bytes(safetensors.numpy.save(tensors, metadata))
    with pytest.raises(ValueError, match="path: expected a network"):
        mbbp.from_safetensors(tmp_path / "other")


@pytest.mark.parametrize("n", [FEW, pytest.param(MANY, marks=pytest.mark.nightly)])
def test_damaged_files_are_refused_or_sound(n, content, tmp_path):
    header, numbers = parts_of(content)
    text, description = json.dumps(header).encode(), header["__metadata__"]["mbbp"].encode()

    def described(damaged):
        return joined(header | {"__metadata__": {"mbbp": damaged.decode(errors="replace")}}, numbers)

    kinds = [
        mutations(content, n),
        (joined(one, numbers) for one in mutations(text, n, seed=1)),
        (described(one) for one in mutations(description, n, seed=2)),
        (joined(header, one) for one in mutations(numbers, n, seed=3)),
        (one + content[8:] for one in mutations(content[:8], n, seed=4)),
    ]

    def is_sound(net):
        return net.theta.size < 100 and np.isfinite(net.feedforward(np.zeros((net.sizes[0], 2)))).all()

    damaged = (next(kinds[i % len(kinds)]) for i in range(n))
    faults = unclear_errors(mbbp.from_safetensors, tmp_path / "damaged", damaged, is_sound)
    assert not faults, show(faults, n)


TENSOR = {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}
BOMBS = {
    "a tensor of terabytes": lambda content: joined(parts_of(content)[0] | {"layers.0.weight": TENSOR}, bytes(100)),
    "a header of terabytes": lambda content: (10**13).to_bytes(8, "little") + content[8:],
    "a layer of a thousand million neurons": lambda content: changed(content, sizes=[3, 10**9, 3]),
    "500,000 layers": lambda content: changed(content, sizes=[1] * 500_000, activations=["tanh"] * 499_999),
    "a deep description": lambda content: changed(content, schema="x").replace(b'\\"x\\"', b"[" * 5),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_memory_is_taken_for_what_a_file_claims(bomb, content, tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(BOMBS[bomb](content))
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(ValueError, match="bomb") as caught:
            mbbp.from_safetensors(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 30_000_000  # a description of 4 million letters, and its copies
    assert time.process_time() - began < 1
    assert len(str(caught.value)) < 2000
