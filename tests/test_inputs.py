"""Arguments of any kind give the same results as plain arrays, and are not changed."""

import re
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core import event

import mbbp
from tests.conftest import JIT

DTYPES = ["float32", "float64"]
M = 9
# Small whole numbers, which every dtype below can hold.
PLAIN_X = np.random.default_rng(2).integers(0, 2, (4, M)).astype(np.float64)
LABELS = np.arange(M) % 3
PLAIN_Y = np.eye(3)[:, LABELS]


def read_only(array):
    array.flags.writeable = False
    return array


def unaligned(array):
    moved = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    assert not moved.flags.aligned
    return moved


def apart(array):
    """Return the array as every third row and second column of a larger one that holds NaN."""
    room = np.full((3 * array.shape[0], 2 * array.shape[1]), np.nan, array.dtype)
    room[::3, ::2] = array
    return room[::3, ::2]


KINDS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": apart,
    "backwards": lambda array: array[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": lambda array: read_only(array.copy()),
    "unaligned": unaligned,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "little-endian": lambda array: array.astype(array.dtype.newbyteorder("<")),
    "float16": lambda array: array.astype(np.float16),
    "float32": lambda array: array.astype(np.float32),
    "float64": lambda array: array.astype(np.float64),
    "long double": lambda array: array.astype(np.longdouble),
    "int64": lambda array: array.astype(np.int64),
    "int8": lambda array: array.astype(np.int8),
    "bool": lambda array: array.astype(bool),
    "lists": lambda array: array.tolist(),
    "tuples": lambda array: tuple(map(tuple, array.tolist())),
    "a frame": pandas.DataFrame,
    "a frame's transpose": lambda array: pandas.DataFrame(array.T).T,
    "a frame of several dtypes": lambda array: pandas.DataFrame(array).astype({0: int, 1: np.uint8, 2: np.float32}),
    "a broadcast view": lambda array: np.broadcast_to(array, (2, *array.shape))[1],
}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def everything(net, X, Y):
    """Return all results of a network for some examples; arrays as bytes."""
    g = net.gradient(X, Y, with_respect_to_input=True)
    layers = [x for layer in net.layers for x in (layer.z, layer.a, layer.delta)]
    arrays = [g.theta, g.inputs, net.feedforward(X), net.classify(X), *net.activations(X), *layers]
    return [array.tobytes("F") for array in arrays], g.cost, net.cost(X, Y)


def build(dtype, cost="quadratic", scaling=None):
    return mbbp.Network([4, 5, 3], "sigmoid", cost, dtype, rng=0, scaling=scaling)


@kinds
@dtypes
def test_inputs_and_targets_of_any_kind(kind, dtype):
    net = build(dtype)
    X, Y = kind(PLAIN_X.astype(dtype)), kind(PLAIN_Y.astype(dtype))
    before = np.array(X).tobytes(), np.array(Y).tobytes()
    assert everything(net, X, Y) == everything(net, PLAIN_X, PLAIN_Y)
    assert (np.array(X).tobytes(), np.array(Y).tobytes()) == before


@kinds
@dtypes
def test_training_on_any_kind(kind, dtype):
    net, plain = build(dtype), build(dtype)
    X, Y = kind(PLAIN_X.astype(dtype)), kind(PLAIN_Y.astype(dtype))
    before = np.array(X).tobytes(), np.array(Y).tobytes()
    net.fit(X, Y, epochs=2, batch_size=4, validation_data=(X, Y))
    plain.fit(PLAIN_X, PLAIN_Y, epochs=2, batch_size=4, validation_data=(PLAIN_X, PLAIN_Y))
    assert net.theta.tobytes() == plain.theta.tobytes()
    assert net.history["validation_cost"] == plain.history["validation_cost"]
    assert (np.array(X).tobytes(), np.array(Y).tobytes()) == before


@dtypes
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_bytes_are_the_numbers_that_they_are(order, dtype, rng):
    pixels = rng.integers(0, 256, (4, M)).astype(np.uint8)
    numbers = pixels.astype(dtype)
    X = np.repeat(pixels, 2, axis=1)[:, ::2] if order == "strided" else np.asarray(pixels, order=order)
    assert everything(build(dtype), X, LABELS) == everything(build(dtype), numbers, LABELS)
    net, plain = build(dtype), build(dtype)
    net.fit(X, LABELS, epochs=2, batch_size=4, validation_data=(X, LABELS))
    plain.fit(numbers, LABELS, epochs=2, batch_size=4, validation_data=(numbers, LABELS))
    assert net.theta.tobytes() == plain.theta.tobytes()
    ours, theirs = net.gradient(X, LABELS), mbbp.reference.gradient(net, X, LABELS)
    np.testing.assert_allclose(ours.theta, theirs.theta, rtol=0, atol=1e-6 if dtype == "float32" else 1e-12)


def test_the_chapter_scales_as_the_network_does(rng):
    net = build("float64", scaling=1 / 255)
    pixels = rng.integers(0, 256, (4, M)).astype(np.uint8)
    gradient = net.gradient(pixels, LABELS).theta
    np.testing.assert_allclose(mbbp.chapter2.backpropagation(net, pixels, LABELS).theta, gradient, rtol=0, atol=1e-13)
    _, activations = mbbp.chapter2.feedforward_by_matrix(net, pixels)
    np.testing.assert_allclose(activations[3], net.feedforward(pixels), rtol=0, atol=1e-13)
    expected = str(mbbp.diagnose(build("float64"), pixels * (1 / 255), LABELS))
    assert str(mbbp.diagnose(net, pixels, LABELS)) == expected


def test_bytes_are_not_copied():
    pixels = np.zeros((M, 4), np.uint8)
    assert np.shares_memory(build("float32").engine.examples(pixels.T, LABELS).inputs, pixels)


@pytest.mark.parametrize(
    ("X", "message"),
    [(np.zeros((3, M), np.uint8), r"X: expected shape \(4, m\)"), (np.zeros(4, np.uint8), "one example per column")],
)
def test_bytes_of_the_wrong_shape(X, message):
    with pytest.raises(ValueError, match=message):
        build("float32").feedforward(X)


def anonymous_memory():
    """Return how many bytes of this process's memory do not belong to a file."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(re.search(r"RssAnon:\s+(\d+)", status)[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system has no /proc/self/status")
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_large_memory_mapped_file_is_not_copied(dtype, tmp_path):
    n = (1 << 28) // 784 // np.dtype(dtype).itemsize if JIT else 4000  # 256 MB, a sparse file
    rows = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", dtype, (n, 784))
    net = mbbp.Network([784, 4, 2], rng=0)
    net.fit(rows[:10].T, np.zeros(10, int), epochs=1, progress=False)
    before = anonymous_memory()
    net.fit(rows.T, np.zeros(n, int), epochs=1, batch_size=100, progress=False)
    assert anonymous_memory() - before < 64e6


LABEL_KINDS = {
    "int8": lambda labels: labels.astype(np.int8),
    "uint64": lambda labels: labels.astype(np.uint64),
    "whole floats": lambda labels: labels.astype(np.float32),
    "big-endian": lambda labels: labels.astype(">i4"),
    "strided": lambda labels: np.repeat(labels, 3)[::3],
    "backwards": lambda labels: labels[::-1].copy()[::-1],
    "read-only": lambda labels: read_only(labels.copy()),
    "a list": list,
    "a series": pandas.Series,
    "a series with another index": lambda labels: pandas.Series(labels, index=labels + 100),
    "unit vectors": lambda labels: np.eye(3)[:, labels],
}


@pytest.mark.parametrize("kind", LABEL_KINDS.values(), ids=LABEL_KINDS)
@dtypes
def test_labels_of_any_kind(kind, dtype):
    net = build(dtype)
    assert everything(net, PLAIN_X, kind(LABELS)) == everything(net, PLAIN_X, LABELS)


def test_a_frame_of_categories_is_refused_by_name():
    with pytest.raises(
        TypeError,
        match=r"X: expected real numbers, got .* in row .*, column 1; for columns of text, pandas.get_dummies",
    ):
        build("float32").feedforward(pandas.DataFrame(PLAIN_X).astype({0: "category", 1: str}))


@dtypes
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_mapped_files(dtype, mode, tmp_path):
    net = build(dtype)
    for name, array in (("X", PLAIN_X), ("Y", PLAIN_Y)):
        np.save(tmp_path / f"{name}.npy", array.T.astype(dtype, "C"))  # one example per row, as in a file of data
    rows, targets = (np.load(tmp_path / f"{name}.npy", mmap_mode=mode) for name in "XY")
    assert np.shares_memory(net.engine.examples(rows.T, targets.T).inputs, rows)
    assert everything(net, rows.T, targets.T) == everything(net, PLAIN_X, PLAIN_Y)
    net.fit(rows.T, targets.T, epochs=1)
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), PLAIN_X.T)


@dtypes
def test_a_raw_memory_map(dtype, tmp_path):
    mapped = np.memmap(tmp_path / "X.raw", dtype, "w+", shape=(M, 4))
    mapped[:] = PLAIN_X.T
    net = build(dtype)
    assert everything(net, mapped.T, PLAIN_Y) == everything(net, PLAIN_X, PLAIN_Y)


@dtypes
def test_rows_of_the_right_dtype_are_not_copied(dtype):
    net = build(dtype)
    rows, targets = PLAIN_X.T.astype(dtype, order="C"), PLAIN_Y.T.astype(dtype, order="C")
    examples = net.engine.examples(rows.T, targets.T)
    assert np.shares_memory(examples.inputs, rows)
    assert np.shares_memory(examples.targets, targets)
    assert not any(array.flags.writeable for array in examples[:4])
    assert rows.flags.writeable
    assert targets.flags.writeable


@pytest.mark.parametrize("method", ["feedforward", "activations"])
def test_results_are_no_views_of_the_input(method):
    net = mbbp.Network([4, 4], "identity", rng=0)
    X = np.asfortranarray(PLAIN_X, np.float32)
    found = getattr(net, method)(X)
    for array in found if isinstance(found, list) else [found]:
        assert array.flags.writeable
        assert not np.shares_memory(array, X)


@given(
    start=st.integers(0, 3), step=st.sampled_from([-3, -1, 1, 2]), rows=st.permutations(range(4)), fortran=st.booleans()
)
def test_any_view_equals_its_copy(start, step, rows, fortran):
    net = build("float32")
    whole = np.array(np.random.default_rng(3).standard_normal((4, 20)), np.float32, order="F" if fortran else "C")
    view = whole[rows, :][:, start::step] if step > 0 else whole[:, ::step][rows]
    np.testing.assert_array_equal(net.feedforward(view), net.feedforward(view.copy()))


class Compilations(event.Listener):
    """Collects the names of the functions that Numba compiles."""

    def __init__(self):
        self.names = []

    def on_start(self, event):
        self.names.append(event.data["dispatcher"].py_func.__name__)

    def on_end(self, event):
        pass


@pytest.mark.skipif(not JIT, reason="compiles")
def test_each_kernel_is_compiled_once_a_dtype_whatever_it_was_given():
    def use(dtype, sizes, m, kind):
        net = mbbp.Network(sizes, dtype=dtype, rng=0)
        X, Y = (KINDS[kind](np.ones((n, m), dtype)) for n in (sizes[0], sizes[-1]))
        everything(net, X, Y)
        net.gradient(X, Y, example_weights=np.ones(m), with_respect_to_input=True)
        net.fit(X, Y, epochs=1, validation_data=(X, Y))

    for dtype in DTYPES:
        use(dtype, [4, 5, 3], 2, "C")
    listener = Compilations()
    with event.install_listener("numba:compile", listener):
        for dtype in DTYPES:
            for sizes in ([4, 5, 3], [4, 1], [1, 2, 1], [1, 1]):
                for m in (1, 2, 9):
                    for kind in ("C", "F", "strided", "read-only", "int64"):
                        use(dtype, sizes, m, kind)
    assert listener.names == []


# -------------------------------------------------------------------------------------------------------------- tables


def frame():
    rng = np.random.default_rng(3)
    return pandas.DataFrame(
        {
            "colour": ["red", "green", "blue"] * 5,
            "age": rng.integers(1, 90, 15),
            "height": rng.standard_normal(15),
            "smokes": rng.random(15) < 0.5,
        }
    )


NUMERIC_FRAMES = {
    "bool and float": lambda table: pandas.get_dummies(table),
    "nullable": lambda table: pandas.get_dummies(table).convert_dtypes(),
    "nullable bool": lambda table: table[["smokes"]].astype("boolean"),
    "categories that are numbers": lambda table: table[["age", "height"]].astype({"age": "category"}),
    "objects": lambda table: table[["age", "height"]].astype(object),
    "extended floats": lambda table: table[["height"]].astype("Float64"),
}


@pytest.mark.parametrize("convert", NUMERIC_FRAMES.values(), ids=NUMERIC_FRAMES)
def test_a_frame_of_numbers_of_any_kind(convert):
    table = convert(frame())
    expected = np.array([[float(value) for value in row] for row in table.to_numpy(object)]).T
    net = mbbp.Network([table.shape[1], 3], scaling="standardize", rng=0)
    net.fit(table.T, np.arange(15) % 3, epochs=1)
    np.testing.assert_array_equal(net.feedforward(table.T), net.feedforward(expected))
    np.testing.assert_array_equal(net.feedforward(table.to_numpy().T), net.feedforward(expected))


BAD_FRAMES = {
    "text": (lambda table: table, "got 'red' in row 0, column 0; for columns of text, pandas.get_dummies"),
    "a missing value": (
        lambda table: table[["age"]].astype("Int64").mask(table[["age"]] == table["age"].max()),
        "got <NA> in row 0, column .*; fill missing values, for example with frame.fillna",
    ),
    "a missing object": (
        lambda table: table[["height"]].astype(object).where(table.index.to_numpy()[:, None] != 4, None),
        "got None in row 0, column 4; fill missing values",
    ),
    "dates": (
        lambda table: table[["age"]].assign(day=pandas.Timestamp("2026-01-01")),
        "got Timestamp.* in row 1, column 0; take for example the days since a date",
    ),
    "only dates": (
        lambda table: pandas.DataFrame({"day": [pandas.Timestamp("2026-01-01")] * 15}),
        "got dtype datetime64.*; take for example the days since a date",
    ),
}


@pytest.mark.parametrize(("convert", "message"), BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_a_frame_of_something_else_is_refused_by_place(convert, message):
    table = convert(frame())
    net = mbbp.Network([table.shape[1], 3])
    with pytest.raises(TypeError, match=f"X: expected real numbers, {message}"):
        net.feedforward(table.T)


def test_labels_of_text_get_a_hint_that_works():
    X, names = PLAIN_X, np.array(["setosa", "versicolor", "virginica"])[LABELS]
    for y in (names, names.astype(object), pandas.Series(names), names.tolist()):
        with pytest.raises(TypeError, match=r"y: .*classes, y = numpy.unique\(y, return_inverse=True\)"):
            build("float32").fit(X, y)
    classes, y = np.unique(names, return_inverse=True)
    net = build("float32")
    net.fit(X, y, epochs=1)
    assert set(classes[net.classify(X)]) <= set(classes)


@pytest.mark.parametrize("output", ["identity", "tanh", "relu"])
def test_numbers_for_a_single_output_may_be_a_vector(output):
    y = np.linspace(-2, 5, M)
    flat, matrix = (mbbp.Network([4, 5, 1], ["tanh", output], rng=0) for _ in range(2))
    flat.fit(PLAIN_X, y, epochs=2)
    matrix.fit(PLAIN_X, y[None], epochs=2)
    assert flat.theta.tobytes() == matrix.theta.tobytes()
    assert flat.cost(PLAIN_X, y) == flat.cost(PLAIN_X, y[None])
    assert flat.trainer().step(PLAIN_X, y) == matrix.trainer().step(PLAIN_X, y[None])
    for ask in (
        lambda: flat.accuracy(PLAIN_X, y),
        lambda: flat.accuracy(PLAIN_X, y * 0),
        lambda: flat.classify(PLAIN_X),
    ):
        with pytest.raises(ValueError, match="expected a network that was trained on classes, got one"):
            ask()


def test_a_column_of_targets_gets_a_hint():
    with pytest.raises(ValueError, match=r"y: expected shape \(1, m\), got .*; for rows of samples pass y.T"):
        mbbp.Network([4, 1], "identity").fit(PLAIN_X, np.ones((M, 1)))
    with pytest.raises(ValueError, match=r"y: .* for labels pass y.ravel\(\)"):
        build("float32").fit(PLAIN_X, LABELS[:, None])


def test_several_labels_for_an_example_have_no_accuracy():
    Y = np.array([[1, 0, 1], [1, 1, 0]] * M)[:M].T
    with pytest.raises(ValueError, match="y: expected labels or unit vectors, got other targets"):
        build("float32").accuracy(PLAIN_X, Y)
