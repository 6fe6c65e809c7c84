"""Every source gives the same examples, and a training on them the same numbers."""

import numpy as np
import pytest

import mbbp
from tests.chunking.problem import N_IN, SMALL, N, fitted, network, numbers, rows


def pairs(X, y, size=50):
    return [(X[i : i + size], y[i : i + size]) for i in range(0, len(X), size)]


def npy(folder, X, y):
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", y)
    return folder / "x.npy", folder / "y.npy"


def from_npy(folder, X, y):
    return mbbp.chunks(*npy(folder, X, y), memory=SMALL)


def from_npy_in_fortran_order(folder, X, y):
    return from_npy(folder, np.asfortranarray(X), y)


def from_a_memory_map(folder, X, y):
    x, target = npy(folder, X, y)
    return mbbp.chunks(np.load(x, mmap_mode="r"), target, memory=SMALL)


def from_arrays(folder, X, y):
    return mbbp.chunks(X, y, memory=SMALL)


def from_arrays_of_another_byte_order(folder, X, y):
    np.save(folder / "x.npy", X.astype(">f4"))
    return mbbp.chunks(folder / "x.npy", y, memory=SMALL)


def from_npz(folder, X, y):
    np.savez(folder / "d.npz", X=X, y=y)
    return mbbp.chunks(folder / "d.npz", memory=SMALL)


def from_compressed_npz(folder, X, y):
    np.savez_compressed(folder / "d.npz", x=X, label=y)
    return mbbp.chunks(str(folder / "d.npz"), target="label", memory=SMALL)


def from_folder_of_npz(folder, X, y):
    (folder / "all").mkdir()
    for i, (a, b) in enumerate(pairs(X, y)):
        np.savez(folder / "all" / f"{i:03}.npz", data=a, y=b)
    return mbbp.chunks(folder / "all", memory=SMALL)


def from_folders_of_npy(folder, X, y):
    for name, whole in (("xs", X), ("ys", y)):
        (folder / name).mkdir()
        for i in range(0, N, 100):
            np.save(folder / name / f"{i:03}.npy", whole[i : i + 100])
    return mbbp.chunks(folder / "xs", folder / "ys", memory=SMALL)


def table(X, y):
    arrow = pytest.importorskip("pyarrow")
    return arrow.table({**{f"c{i}": X[:, i] for i in range(N_IN)}, "y": y})


def from_parquet(folder, X, y):
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(table(X, y), folder / "t.parquet", row_group_size=60)
    return mbbp.chunks(folder / "t.parquet", target="y", memory=SMALL)


def from_parquet_with_a_column_of_lists(folder, X, y):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    lists = arrow.FixedSizeListArray.from_arrays(np.ravel(X), N_IN)
    parquet.write_table(arrow.table({"X": lists, "y": y}), folder / "t.pq", row_group_size=60)
    return mbbp.chunks([folder / "t.pq"], target="y", memory=SMALL)


def from_dask_array(folder, X, y):
    array = pytest.importorskip("dask.array")
    return mbbp.chunks(array.from_array(X, chunks=(60, 3)), array.from_array(y, chunks=70), memory=SMALL)


def from_dask_frame(folder, X, y):
    frame, pandas = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
    whole = pandas.DataFrame(X, columns=list("abcd")).assign(y=y)
    return mbbp.chunks(frame.from_pandas(whole, npartitions=7), target="y", memory=SMALL)


def from_function(folder, X, y):
    return mbbp.chunks(lambda: iter(pairs(X, y, 7)), memory=SMALL)


class Again:
    def __init__(self, pairs):
        self.pairs = pairs

    def __iter__(self):
        return iter(self.pairs)


def from_iterable(folder, X, y):
    return mbbp.chunks(Again(pairs(X, y)), memory=SMALL)


def from_sequence(folder, X, y):
    return mbbp.chunks(pairs(X, y), memory=SMALL)


SOURCES = [one for name, one in sorted(globals().items()) if name.startswith("from_")]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("source", SOURCES, ids=lambda one: one.__name__)
def test_they_give_all_examples_in_order_and_train(source, tmp_path):
    X, y = rows()
    data = source(tmp_path, X, y)
    found = list(data)
    np.testing.assert_array_equal(np.concatenate([a for a, _ in found], axis=1), X.T)
    np.testing.assert_array_equal(np.concatenate([b for _, b in found]), y)
    assert (data.n, data.n_features) == (N, N_IN)
    ordered = fitted(data, shuffle=False)
    # without a shuffle, the mini-batches are those of a training with arrays
    np.testing.assert_allclose(ordered.theta, fitted(X.T, y, shuffle=False).theta, rtol=0, atol=1e-5)
    assert ordered.history[-1].training_accuracy > 0.5
    one, two = fitted(data), fitted(data)
    assert one.theta.tobytes() == two.theta.tobytes()
    outputs = np.concatenate([one.feedforward(x) for x, _ in data], axis=1)
    np.testing.assert_allclose(outputs, one.feedforward(X.T), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("of_network", ["float32", "float64"])
def test_inputs_of_any_dtype_give_the_numbers_of_arrays(dtype, of_network):
    X, y = (rows()[0] * 10 > 3).astype(dtype) if dtype == "bool" else abs(rows()[0] * 9).astype(dtype), rows()[1]
    options = {"dtype": of_network, "scaling": 0.5}
    few = fitted(mbbp.chunks(X, y, memory=SMALL), options=options, shuffle=False)
    assert few.theta.tobytes() == fitted(X.T, y, options=options, shuffle=False).theta.tobytes()


def test_desired_outputs_weights_and_unit_vectors(tmp_path):
    X, Y = numbers()
    weights = np.random.default_rng(1).random(N)
    np.savez(tmp_path / "d.npz", X=X, y=Y, w=weights)
    data = mbbp.chunks(tmp_path / "d.npz", weights="w", memory=SMALL)
    options = {"scaling": None}
    few = fitted(data, options=options, shuffle=False)
    many = fitted(X.T, Y.T, example_weights=weights, options=options, shuffle=False)
    assert few.theta.tobytes() == many.theta.tobytes()
    assert few.history[-1].training_accuracy is None
    y = rows()[1]
    vectors = np.eye(3)[y]
    few = fitted(mbbp.chunks(X, vectors, memory=SMALL), options=options, shuffle=False)
    assert few.theta.tobytes() == fitted(X.T, y, options=options, shuffle=False).theta.tobytes()
    assert few.history[-1].training_accuracy is not None


@pytest.mark.parametrize("class_weights", ["balanced", [1, 2, 0.5], {1: 3.0}], ids=str)
@pytest.mark.parametrize("with_weights", [False, True])
def test_class_weights(class_weights, with_weights):
    X, y = rows()
    y = y * (np.arange(N) % 5 > 0)  # more of class 0
    weights = np.random.default_rng(1).random(N) if with_weights else None
    options, settings = {"scaling": None}, {"shuffle": False, "class_weights": class_weights}
    few = fitted(mbbp.chunks(X, y, weights=weights, memory=SMALL), options=options, **settings)
    many = fitted(X.T, y, example_weights=weights, options=options, **settings)
    assert few.theta.tobytes() == many.theta.tobytes()
    assert few.history["training_cost"] == many.history["training_cost"]


def test_a_single_output_of_a_regression_takes_a_vector_and_a_column():
    X, Y = numbers()
    nets = []
    for y in (Y[:, 0], Y[:, :1]):
        net = mbbp.Network([N_IN, 5, 1], ["tanh", "identity"], rng=0)
        net.fit(mbbp.chunks(X, y, memory=SMALL), epochs=2)
        nets.append(net)
    assert nets[0].theta.tobytes() == nets[1].theta.tobytes()


def test_targets_of_a_table_with_several_columns(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    X, Y = numbers()
    names = {**{f"c{i}": X[:, i] for i in range(4)}, **{f"t{i}": Y[:, i] for i in range(3)}, "w": np.ones(N)}
    parquet.write_table(arrow.table(names), tmp_path / "t.parquet", row_group_size=90)
    data = mbbp.chunks(tmp_path / "t.parquet", target=["t0", "t1", "t2"], weights="w", memory=SMALL)
    few = fitted(data, options={"scaling": None}, shuffle=False)
    many = fitted(X.T, Y.T, example_weights=np.ones(N), options={"scaling": None}, shuffle=False)
    assert few.theta.tobytes() == many.theta.tobytes()


def test_the_scaling_is_that_of_all_examples():
    X, y = rows(dtype="float64")
    X[:, 2] = 1e6 / 3  # constant: to the bit, and no rounding error of it is made large
    X[:, 1] = 1e8 + X[:, 1]  # a mean that is large beside the deviation
    learnt = fitted(mbbp.chunks(X, y, memory=SMALL)).scaling
    expected = mbbp.Scaling.learn(X.T)
    np.testing.assert_allclose(learnt.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(learnt.factor, expected.factor, rtol=1e-7)
    assert (learnt.mean[2], learnt.factor[2]) == (1e6 / 3, 1.0)


def test_what_is_said_of_them():
    X, y = rows()
    data = mbbp.chunks(X, y, memory=SMALL, chunk_bytes=100)
    assert repr(data) == f"Chunks({data.n_chunks} chunks, memory=8192)"
    with pytest.raises(AttributeError, match=r"Chunks.memory: read-only"):
        data.memory = 3
    net = network(scaling=None)
    with pytest.raises(TypeError, match="X: expected real numbers"):
        net.feedforward(data)
