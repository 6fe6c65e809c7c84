"""Keras: models become networks with the same outputs; all else is named."""

from functools import partial

import numpy as np
import pytest

pytest.importorskip("keras")

import keras
from keras import layers

import mbbp
from tests.exchange.networks import DTYPES

pytestmark = pytest.mark.filterwarnings("ignore")  # of Keras, and of what it calls


IS_JAX = keras.backend.backend() == "jax"


def tolerance(model, dtype):
    """Return how far the outputs may be apart.

    Keras 3.15 multiplies matrices of float64 in float32 with PyTorch, and computes tanh in float32 with JAX.
    """
    has_tanh = any(getattr(getattr(one, "activation", None), "__name__", "") == "tanh" for one in model.layers)
    return 1e-14 if dtype == "float64" and IS_JAX and not has_tanh else 2e-6


@pytest.fixture(autouse=True)
def settings():
    """Give every test the same numbers, and leave Keras as it was."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.utils.set_random_seed(0)
    if IS_JAX:
        import jax

        x64 = jax.config.jax_enable_x64
        jax.config.update("jax_enable_x64", True)
    yield
    if IS_JAX:
        jax.config.update("jax_enable_x64", x64)
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def use(dtype):
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)


def dense(n, activation=None, **more):
    return layers.Dense(n, activation=activation, bias_initializer="random_normal", **more)


def assert_same(model, dtype="float32", scale=1.0):
    net = mbbp.from_keras(model)
    x = (scale * np.random.default_rng(0).standard_normal((50, 3))).astype(dtype)
    expected = keras.ops.convert_to_numpy(model(x, training=False)).T
    assert net.dtype == dtype
    found = net.feedforward(x.T)
    kernels = [one for one in model.get_weights() if one.ndim == 2]
    assert all(np.array_equal(one.W, kernel.T) for one, kernel in zip(net.layers, kernels, strict=True))
    assert np.abs(found - expected).max() <= tolerance(model, dtype) * max(1, np.abs(expected).max())
    return net


NAMES = ["linear", "sigmoid", "tanh", "relu", "gelu", "silu", "elu", "softplus", "exponential"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_every_activation(name, dtype):
    use(dtype)
    model = keras.Sequential([keras.Input((3,)), dense(5, name), layers.Dropout(0.25), dense(2, "softmax")])
    net = assert_same(model, dtype)
    assert net.dropout == (0.0, 0.25)
    assert net.cost_function.name == "log_likelihood"


LAYERS = {
    "Activation": lambda: [dense(4), layers.Activation("tanh")],
    "ReLU": lambda: [dense(4), layers.ReLU(), dense(2)],
    "ReLU with a slope": lambda: [dense(4), layers.ReLU(negative_slope=0.01)],
    "LeakyReLU": lambda: [dense(4), layers.LeakyReLU(negative_slope=0.01)],
    "ELU": lambda: [dense(4), layers.ELU()],
    "Softmax": lambda: [dense(4), layers.Softmax()],
    "no bias": lambda: [layers.Dense(4, use_bias=False, activation="relu")],
    "Flatten": lambda: [layers.Flatten(), dense(4), layers.Identity()],
    "Rescaling": lambda: [layers.Rescaling(0.5, offset=1.0), dense(4)],
    "nested": lambda: [keras.Sequential([dense(4, "relu"), dense(3)]), dense(2)],
    "linear layers": lambda: [dense(4), dense(3), dense(1)],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, dtype):
    use(dtype)
    assert_same(keras.Sequential([keras.Input((3,)), *LAYERS[name]()]), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_normalization_becomes_the_scaling(dtype):
    use(dtype)
    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(1).standard_normal((40, 3)).astype(dtype) * [1, 10, 0.1] + [0, 5, 1])
    net = assert_same(keras.Sequential([keras.Input((3,)), norm, layers.Rescaling(2.0), dense(4, "relu")]), dtype)
    assert net.scaling.mean.shape == (3,)
    given = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 4.0, 0.0])
    assert_same(keras.Sequential([keras.Input((3,)), given, dense(4, "relu")]), dtype, scale=1e-3)


def test_a_functional_chain():
    inputs = keras.Input((3,))
    hidden = layers.Dropout(0.5)(dense(5, "relu")(inputs))
    net = assert_same(keras.Model(inputs, dense(2, "sigmoid")(hidden)))
    assert net.cost_function.name == "cross_entropy"


FLATTENED = {
    "one axis of 1": ((1, 4), lambda: []),
    "pictures": ((2, 5), lambda: [layers.Rescaling(1 / 255, offset=0.5), layers.Identity()]),
    "dropout": ((5, 2), lambda: [layers.Dropout(0.5)]),
    "numbers for each feature": (
        (2, 2),
        lambda: [layers.Normalization(axis=(1, 2), mean=[[1.0, 2], [3, 4]], variance=[[1.0, 2], [3, 4]])],
    ),
    "one number for all": ((2, 2, 2), lambda: [layers.Normalization(axis=None, mean=1.0, variance=2.0)]),
}


@pytest.mark.parametrize("name", FLATTENED)
def test_inputs_with_several_axes_are_flattened(name):
    shape, before = FLATTENED[name]
    model = keras.Sequential([keras.Input(shape), *before(), layers.Flatten(), dense(4, "relu"), dense(2, "softmax")])
    x = np.random.default_rng(0).standard_normal((20, *shape)).astype("float32")
    expected = keras.ops.convert_to_numpy(model(x, training=False)).T
    found = mbbp.from_keras(model).feedforward(x.reshape(20, -1).T)
    assert np.abs(found - expected).max() <= 2e-6


def two_paths():
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Add()([dense(3)(inputs), inputs]))


def shared():
    inputs, layer = keras.Input((3,)), dense(3, "tanh")
    return keras.Model(inputs, layer(layer(inputs)))


def with_an_operation():
    inputs = keras.Input((3,))
    return keras.Model(inputs, dense(3)(2 * dense(3)(inputs)))


def an_operation_last():
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.ops.tanh(dense(3)(inputs)))


def two_outputs():
    inputs = keras.Input((3,))
    return keras.Model(inputs, [dense(3)(inputs), dense(2)(inputs)])


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def own():
    model = Own()
    model(np.zeros((1, 3)))
    return model


class TwiceSequential(keras.Sequential):
    def call(self, x, **more):
        return super().call(x, **more) * 2


class TwiceModel(keras.Model):
    def call(self, x, **more):
        return super().call(x, **more) * 2


def a_functional_class():
    inputs = keras.Input((3,))
    return TwiceModel(inputs, dense(2)(inputs))


class Shapeless(layers.Layer):
    def call(self, x):
        raise NotImplementedError


def shapeless(*inputs):
    model = keras.Sequential([*inputs, Shapeless()])
    model.build((None, 3))
    return model


def linear(z):
    return 2 * z


def relu(z):
    return 2 * z


def with_its_own_call(index):
    model = keras.Sequential([keras.Input((3,)), keras.Sequential([dense(2)]), layers.Activation("tanh")])
    one = {"model": model, "within": model.layers[0].layers[0], "last": model.layers[-1]}[index]
    one.call = lambda x, **_: 2 * x
    return model


def chain(*more):
    return lambda: keras.Sequential([keras.Input((3,)), *[one() if callable(one) else one for one in more]])


REFUSED = {
    "a convolution": (lambda: keras.Sequential([keras.Input((3, 1)), layers.Conv1D(1, 1), layers.Flatten()]), "Conv1D"),
    "batch normalization": (chain(lambda: dense(2), layers.BatchNormalization), r"\(BatchNormalization\): mbbp has no"),
    "a slope": (chain(lambda: dense(2), layers.LeakyReLU), "negative_slope is 0.3"),
    "an alpha": (chain(lambda: dense(2), lambda: layers.ELU(alpha=0.5)), "alpha is 0.5"),
    "a largest value": (chain(lambda: dense(2), lambda: layers.ReLU(max_value=6)), "largest value"),
    "leaky_relu": (chain(lambda: dense(2, "leaky_relu")), "slope 0.2"),
    "another activation": (chain(lambda: dense(2, "mish")), "activation is 'mish'"),
    "a function": (chain(lambda: dense(2, lambda z: z)), "activation is '<lambda>'"),
    "a function named linear": (
        chain(lambda: dense(2, linear)),
        r"\(Dense\): its activation is a function of one's own named 'linear'",
    ),
    "an Activation named linear": (
        chain(lambda: dense(2), lambda: layers.Activation(linear)),
        r"\(Activation\): its activation is a function of one's own named 'linear'",
    ),
    "a function named relu": (chain(lambda: dense(2, relu)), "a function of one's own named 'relu'"),
    "another axis": (chain(lambda: dense(2), lambda: layers.Softmax(axis=0)), "axis is 0"),
    "two activations": (chain(lambda: dense(2, "relu"), lambda: layers.Activation("tanh")), "tanh after relu"),
    "noise": (chain(lambda: layers.GaussianNoise(0.1), lambda: dense(2)), r"\(GaussianNoise\)"),
    "two paths": (two_paths, "no chain"),
    "a layer twice": (shared, "no chain|not that of its last layer"),
    "an operation": (with_an_operation, "no chain|not that of its last layer"),
    "an operation last": (an_operation_last, "not that of its last layer"),
    "two outputs": (two_outputs, "1 inputs and 2 outputs"),
    "a class of one's own": (own, r"\(Own\)"),
    "a Sequential with its own call": (
        lambda: TwiceSequential([keras.Input((3,)), dense(2)]),
        r"\(TwiceSequential\): it is neither a keras.Sequential nor what keras.Model\(inputs, outputs\) makes",
    ),
    "such a Sequential within": (
        chain(lambda: TwiceSequential([keras.Input((3,)), dense(2)])),
        r"\(TwiceSequential\): mbbp has no such layer",
    ),
    "a functional model with its own call": (a_functional_class, r"\(TwiceModel\): it is neither"),
    **{
        f"a call of its own, {index}": (partial(with_its_own_call, index), rf"\({kind}\): its call is its own, not")
        for index, kind in (("model", "Sequential"), ("within", "Dense"), ("last", "Activation"))
    },
    "float16": (chain(lambda: layers.Dense(2, dtype="float16")), "float16"),
    "mixed": (chain(lambda: layers.Dense(2, dtype="mixed_float16")), "computes in float16"),
    **{
        f"float16, {make.__name__}": (
            chain(lambda: dense(2), partial(make, *more, dtype="float16")),
            rf"\({make.__name__}\): it computes in float16, and mbbp in float32, as the weights are",
        )
        for make, *more in (
            *((layers.Activation, "tanh"), (layers.Softmax,), (layers.Rescaling, 2.0), (layers.Identity,)),
            *((layers.ReLU,), (layers.Flatten,), (layers.Dropout, 0.5)),
        )
    },
    "float16 first": (
        chain(lambda: layers.Rescaling(2.0, dtype="float16"), lambda: dense(2)),
        r"\(Rescaling\): it computes in float16",
    ),
    "float16 within": (
        chain(lambda: keras.Sequential([dense(2), layers.Activation("tanh", dtype="float16")])),
        r"\(Activation\): it computes in float16",
    ),
    "float64 of float32": (
        chain(lambda: dense(2), lambda: layers.Activation("tanh", dtype="float64")),
        r"\(Activation\): it computes in float64, and mbbp in float32",
    ),
    "inputs of float16": (
        lambda: keras.Sequential([keras.Input((3,), dtype="float16"), dense(2)]),
        r"\(Sequential\): it takes inputs as float16, and mbbp takes float32 or float64",
    ),
    "inputs of int32": (
        lambda: keras.Sequential([keras.Input((3,), dtype="int32"), dense(2)]),
        r"\(Sequential\): it takes inputs as int32",
    ),
    "two axes": (
        lambda: keras.Sequential([keras.Input((5, 4)), dense(3)]),
        r"\(Dense\): it takes inputs of the shape \(None, 5, 4\), and mbbp \(None, features\); put a Flatten",
    ),
    "a Flatten that is too late": (
        lambda: keras.Sequential([keras.Input((1, 4)), dense(3), layers.Softmax(axis=1), layers.Flatten()]),
        r"\(Dense\): it takes inputs of the shape \(None, 1, 4\)",
    ),
    "two axes within": (
        lambda: keras.Sequential([keras.Input((1, 4)), keras.Sequential([layers.Dropout(0.1), dense(3)])]),
        r"\(Dense\): it takes inputs of the shape \(None, 1, 4\)",
    ),
    "two axes of a functional model": (
        lambda: keras.Model(one := keras.Input((1, 4)), dense(3)(one)),
        r"\(Dense\): it takes inputs of the shape \(None, 1, 4\)",
    ),
    "numbers of one of two axes": (
        lambda: keras.Sequential([keras.Input((2, 4)), layers.Rescaling([1.0, 2, 3, 4]), layers.Flatten(), dense(3)]),
        r"\(Rescaling\): its numbers have the shape \(4,\) for inputs of the shape \(None, 2, 4\)",
    ),
    "numbers for examples": (
        lambda: keras.Sequential(
            [keras.Input(batch_shape=(3, 3)), layers.Rescaling([[1.0], [2.0], [3.0]]), dense(2)],
        ),
        r"\(Rescaling\): its numbers have the shape \(3, 1\)",
    ),
    "a layer without a shape": (shapeless, r"\(Sequential\): a layer of its own does not tell|\(Shapeless\)"),
    "inverted": (chain(lambda: layers.Normalization(mean=1.0, variance=2.0, invert=True), lambda: dense(2)), "inverts"),
    "a scale of 0": (chain(lambda: layers.Rescaling(0.0), lambda: dense(2)), "its scale is 0"),
    "no layer": (chain(), "."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_converted_is_named(name):
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"^model: .*({message})"):
        mbbp.from_keras(make())


def test_it_must_be_built():
    with pytest.raises(ValueError, match=r"^model: expected a model that is built"):
        mbbp.from_keras(keras.Sequential([layers.Dense(2)]))


@pytest.mark.parametrize("wrong", [None, 3, "net", keras.Model], ids=str)
def test_it_must_be_a_model(wrong):
    with pytest.raises(TypeError, match=r"model: expected a keras\.Model"):
        mbbp.from_keras(wrong)
