"""PyTorch: modules become networks and networks modules, with the same outputs; all else is named."""

import copy
import io
import warnings

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

import mbbp
from mbbp.exchange import torch_modules
from tests.exchange.networks import DTYPES, EVERY_ACTIVATION, SCALINGS, difference, inputs, made, rows, tolerance


def outputs(module, net, m=9):
    x = torch.from_numpy(rows(inputs(net, m)))
    with torch.no_grad():
        return module(x).numpy().T


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("hidden", "output"), EVERY_ACTIVATION)
def test_every_activation_goes_there_and_back(hidden, output, dtype):
    net = made(hidden=hidden, output=output, dtype=dtype)
    module = mbbp.to_torch(net)
    X = inputs(net)
    assert difference(outputs(module, net), net.feedforward(X)) <= tolerance(net)
    back = mbbp.from_torch(module)
    assert back.dtype == net.dtype
    assert np.array_equal(back.feedforward(X), net.feedforward(X))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("m", [1, 1000])
def test_every_scaling_goes_there_and_back(m, scaling, dtype):
    net = made(dtype=dtype, scaling=SCALINGS[scaling], dropout=[0.25, 0.5])
    module, X = mbbp.to_torch(net), inputs(net, m)
    assert difference(outputs(module, net, m), net.feedforward(X)) <= tolerance(net)
    back = mbbp.from_torch(module)
    assert np.array_equal(back.feedforward(X), net.feedforward(X))
    assert back.dropout == net.dropout


@pytest.mark.parametrize("sizes", [(1, 1), (1, 1, 1), (2, 7, 1), (5, 4, 3, 2, 3)], ids=str)
def test_shapes(sizes):
    net = made(sizes, output="identity")
    assert difference(outputs(mbbp.to_torch(net), net), net.feedforward(inputs(net))) <= tolerance(net)
    assert np.array_equal(mbbp.from_torch(mbbp.to_torch(net)).theta, net.theta)


def test_the_module_is_as_documented():
    net = made((3, 5, 4), scaling=0.5, dropout=0.5)
    module = mbbp.to_torch(net)
    assert list(dict(module.named_children())) == [
        "scaling",
        "linear1",
        "activation1",
        "dropout2",
        "linear2",
        "activation2",
    ]
    assert not module.training
    assert [name for name, _ in module.named_parameters()] == [
        *("linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"),
    ]
    assert torch.equal(module.linear1.weight, torch.from_numpy(net.layers[0].W.copy()))
    module.linear1.weight.data.zero_()
    assert net.layers[0].W.any()  # they are copies
    module.train()
    x = torch.ones(500, 3)
    assert not torch.equal(module(x), module(x))


@pytest.mark.parametrize("output", ["softmax", "exp"])
def test_script_state_copies_pickles_and_training(output):
    net = made(output=output, scaling=SCALINGS["standardized"], dropout=0.1)
    module, X = mbbp.to_torch(net), inputs(net)
    expected = outputs(module, net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is to be replaced by something else, some day
        scripted = torch.jit.script(module)
    assert np.array_equal(outputs(scripted, net), expected)
    other = mbbp.to_torch(made(output=output, scaling=SCALINGS["factors"], dropout=0.1))
    other.load_state_dict(module.state_dict())
    assert np.array_equal(outputs(other, net), expected)
    assert np.array_equal(outputs(copy.deepcopy(module), net), expected)
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    assert np.array_equal(outputs(torch.load(file, weights_only=False), net), expected)
    module(torch.from_numpy(rows(X))).sum().backward()
    assert module.linear1.weight.grad is not None
    assert module.double()(torch.from_numpy(rows(X)).double()).dtype == torch.float64


MODULES = {
    "a Linear": lambda: nn.Linear(3, 4),
    "without a bias": lambda: nn.Linear(3, 4, bias=False),
    "Linear, Linear": lambda: nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2)),
    "nested": lambda: nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(3, 5), nn.ReLU()),
        nn.Sequential(nn.Sequential(nn.Linear(5, 2)), nn.Tanh()),
    ),
    "Identity": lambda: nn.Sequential(nn.Identity(), nn.Linear(3, 5), nn.Identity(), nn.Sigmoid(), nn.Identity()),
    "Softmax": lambda: nn.Sequential(nn.Linear(3, 5), nn.Softmax(-1)),
    "Dropout before relu": lambda: nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.25), nn.ReLU(), nn.Linear(5, 2)),
    "a Softplus of large inputs": lambda: nn.Sequential(nn.Linear(3, 50), nn.Softplus()),
    "a Softplus with a large threshold": lambda: nn.Sequential(nn.Linear(3, 50), nn.Softplus(threshold=30)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MODULES)
def test_modules(name, dtype):
    torch.manual_seed(0)
    module = MODULES[name]().to(getattr(torch, dtype)).eval()
    net = mbbp.from_torch(module)
    bound = 1e-8 if "Softplus" in name else tolerance(net)
    X = inputs(net, 100) * (60 if "Softplus" in name else 1)
    with torch.no_grad():
        expected = module(torch.from_numpy(rows(X))).numpy().T
    assert np.abs(net.feedforward(X) - expected).max() <= max(bound, tolerance(net) * np.abs(expected).max())


def test_a_module_that_is_there_twice_counts_twice():
    torch.manual_seed(0)
    relu, linear, drop = nn.ReLU(), nn.Linear(4, 4), nn.Dropout(0.25)
    module = nn.Sequential(nn.Linear(3, 4), relu, drop, linear, relu, drop, linear, relu, nn.Linear(4, 2)).eval()
    net = mbbp.from_torch(module)
    assert [layer.activation.name for layer in net.layers] == ["relu", "relu", "relu", "identity"]
    assert net.dropout == (0, 0.25, 0.25, 0)
    assert np.array_equal(net.layers[1].W, net.layers[2].W)
    assert difference(outputs(module, net), net.feedforward(inputs(net))) <= tolerance(net)
    within = nn.Sequential(nn.Linear(3, 4), nn.Sequential(relu, linear), nn.Sequential(relu, linear)).eval()
    net = mbbp.from_torch(within)
    assert difference(outputs(within, net), net.feedforward(inputs(net))) <= tolerance(net)


def test_what_the_modules_become():
    net = mbbp.from_torch(nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2), nn.Softmax(1)))
    assert [layer.activation.name for layer in net.layers] == ["identity", "softmax"]
    assert net.cost_function.name == "log_likelihood"
    net = mbbp.from_torch(
        nn.Sequential(nn.Dropout(0.1), nn.Linear(3, 5), nn.ReLU(), nn.Dropout(0.5), nn.Dropout(0.5), nn.Linear(5, 1))
    )
    assert net.dropout == (0.1, 0.75)
    assert net.cost_function.name == "quadratic"
    module = nn.Linear(2, 2)
    net = mbbp.from_torch(module)
    module.weight.data.zero_()
    assert net.layers[0].W.any()  # they are copies


def hooked():
    module = nn.Linear(3, 2)
    module.register_forward_hook(lambda *_: None)
    return module


def hooked_before():
    module = nn.Sequential(nn.Linear(3, 2))
    module[0].register_forward_pre_hook(lambda *_: None)
    return module


def with_its_own_forward(module, inner=None):
    one = module if inner is None else module[inner]
    one.forward = lambda x: 2 * x
    return module


class WithSteps(nn.Linear):
    def mbbp_steps(self, where):
        yield from ()


def sparse():
    module = nn.Sequential(nn.Linear(3, 2))
    module[0].weight = nn.Parameter(module[0].weight.detach().to_sparse())
    return module


REFUSED = {
    "meta": (
        lambda: nn.Sequential(nn.Linear(3, 2, device="meta")),
        r"0 \(Linear\): its numbers are on the device meta",
    ),
    "a scaling on meta": (
        lambda: mbbp.to_torch(made(scaling=0.5)).to("meta"),
        r"scaling \(Scaling\): its numbers are on the device meta",
    ),
    "sparse": (sparse, r"0 \(Linear\): its numbers have the layout torch.sparse_coo, and mbbp takes torch.strided"),
    "a forward of its own": (lambda: with_its_own_forward(nn.Linear(3, 2)), r"the module \(Linear\): its forward is"),
    "a forward within": (
        lambda: with_its_own_forward(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), 1),
        r"1 \(ReLU\): its forward is its own, not that of its class",
    ),
    "a forward of to_torch": (
        lambda: with_its_own_forward(mbbp.to_torch(made(output="exp")), -1),
        r"activation2 \(Exp\): its forward is its own",
    ),
    "steps of its own": (lambda: WithSteps(3, 2), r"the module \(WithSteps\): mbbp has no such module"),
    "a subclass of Exp": (
        lambda: nn.Sequential(nn.Linear(3, 2), type("Own", (torch_modules.Exp,), {})()),
        r"1 \(Own\): mbbp has no such module",
    ),
    "a hook before": (hooked_before, r"0 \(Linear\): it has hooks"),
    "LogSoftmax": (lambda: nn.Sequential(nn.Linear(3, 2), nn.LogSoftmax(1)), r"1 \(LogSoftmax\): mbbp has softmax"),
    "softmax of another dim": (lambda: nn.Sequential(nn.Linear(3, 2), nn.Softmax(0)), r"1 \(Softmax\): its dim is 0"),
    "softmax within": (lambda: nn.Sequential(nn.Linear(3, 3), nn.Softmax(1), nn.Linear(3, 2)), "softmax in the output"),
    "a slope": (lambda: nn.Sequential(nn.Linear(3, 2), nn.LeakyReLU(0.2)), "negative_slope is 0.2"),
    "gelu": (lambda: nn.Sequential(nn.Linear(3, 2), nn.GELU("tanh")), "approximate is 'tanh'"),
    "elu": (lambda: nn.Sequential(nn.Linear(3, 2), nn.ELU(2.0)), "alpha is 2.0"),
    "softplus": (lambda: nn.Sequential(nn.Linear(3, 2), nn.Softplus(2)), "beta is 2"),
    "a threshold": (
        lambda: nn.Sequential(nn.Linear(3, 2), nn.Softplus(threshold=1)),
        r"1 \(Softplus\): its threshold is 1, and mbbp takes 20 or more",
    ),
    "a convolution": (
        lambda: nn.Sequential(nn.Conv1d(1, 1, 1), nn.Linear(3, 2)),
        r"0 \(Conv1d\): mbbp has no such module",
    ),
    "batch normalization": (lambda: nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), r"1 \(BatchNorm1d\)"),
    "nested": (lambda: nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Mish())), r"1.0 \(Mish\)"),
    "no layer": (lambda: nn.Sequential(nn.Flatten()), "at least one layer"),
    "empty": (lambda: nn.Sequential(), "at least one layer"),
    "an activation first": (lambda: nn.Sequential(nn.ReLU(), nn.Linear(3, 2)), r"0 \(ReLU\): relu before the first"),
    "two activations": (lambda: nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Tanh()), r"2 \(Tanh\): tanh after relu"),
    "sizes": (lambda: nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2)), "takes 3 inputs, and the layer before has 2"),
    "half": (lambda: nn.Linear(3, 2).half(), "torch.float16"),
    "mixed": (lambda: nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2).double()), "float32 in layer 1 and float64 in 2"),
    "dropout at the end": (lambda: nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Dropout()), "after the output layer"),
    "dropout before tanh": (lambda: nn.Sequential(nn.Linear(3, 2), nn.Dropout(), nn.Tanh()), "dropout before tanh"),
    "flatten": (lambda: nn.Sequential(nn.Flatten(0), nn.Linear(3, 2)), "flatten all dimensions but the first"),
    "a hook": (hooked, "it has hooks"),
    "a subclass": (lambda: type("Own", (nn.Linear,), {})(3, 2), r"the module \(Own\)"),
    "Transformer": (lambda: nn.LSTM(3, 2), r"\(LSTM\): mbbp has no such module"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_converted_is_named(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"^module: .*{message}"):
        mbbp.from_torch(make())


def test_numbers_that_are_not_finite_are_refused():
    module = nn.Linear(3, 2)
    module.weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"^module: expected finite weights and biases in layer 1"):
        mbbp.from_torch(module)


@pytest.mark.parametrize("wrong", [None, 3, "net", nn.Linear], ids=str)
def test_it_must_be_a_module(wrong):
    with pytest.raises(TypeError, match=r"module: expected a torch\.nn\.Module"):
        mbbp.from_torch(wrong)


def test_it_must_be_a_network():
    with pytest.raises(TypeError, match=r"net: expected an mbbp\.Network"):
        mbbp.to_torch(nn.Linear(1, 1))
    with pytest.raises(ValueError, match="net: expected a network whose scaling is learnt for to_torch"):
        mbbp.to_torch(mbbp.Network([1, 1], scaling="standardize"))
