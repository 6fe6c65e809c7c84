"""Damaged files: every reader refuses them by one kind of error, which names the file, or reads something sound.

Damage to the bytes of an archive is nearly always found by its checksums. So its contents are damaged as well, before
the archive is made.
"""

import contextlib
import copy
import dataclasses
import gzip
import io
import json
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

import mbbp
from mbbp.datasets import load_npz, read_idx
from mbbp.fileformat.archive import ARRAYS, _digest
from mbbp.nielsen import network2
from mbbp.npz import open_npz
from mbbp.stopping import Best
from tests.datasets.idx_files import idx
from tests.mutations import FEW, MANY, mutations, unclear_errors
from tests.problems import continuous

pytestmark = pytest.mark.filterwarnings("ignore")  # NumPy and Python warn of what stands in damaged headers

how_many = pytest.mark.parametrize("n", [FEW, pytest.param(MANY, marks=pytest.mark.nightly)])


def show(faults, n):
    """Return the kinds of faults and one file of each, for the message of a failing test."""
    kinds = {}
    for fault, content in faults:
        kinds.setdefault(fault.split("(")[0], []).append((fault, content[:2000]))
    return {f"{kind}: {len(found)} of {n}": found[0] for kind, found in kinds.items()}


def archive(members, method=zipfile.ZIP_STORED):
    """Return the bytes of an archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as opened:
        for name, content in members.items():
            opened.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def of_text(text):
    """Return a damaged text as an array."""
    return npy(np.array(text.decode(errors="replace")))


def damaged_members(members, n, method=zipfile.ZIP_STORED, **texts):
    """Yield n archives in turn: with damaged bytes, with each member damaged, and with each text damaged."""
    whole = archive(members, method)
    kinds = [mutations(whole, n)]
    kinds += [
        (archive(members | {name: content}, method) for content in mutations(members[name], n, seed=i))
        for i, name in enumerate(members)
    ]
    kinds += [
        (archive(members | {name: of_text(text)}, method) for text in mutations(content, n, seed=100))
        for name, content in texts.items()
    ]
    for i in range(n):
        yield next(kinds[i % len(kinds)])


def signed(members):
    """Return the members with the right checksum, as a file has them whose writer meant harm."""
    members = {name: content for name, content in members.items() if name != "checksum"}
    arrays = {}
    for name, content in members.items():
        try:
            arrays[name] = np.load(io.BytesIO(content))
        except Exception:  # the reader finds that too
            return members | {"checksum": npy(np.zeros(32, np.uint8))}
    return members | {"checksum": npy(np.frombuffer(_digest(arrays), np.uint8))}


def trained():
    """Return a network that has something in every part of a file."""
    net = mbbp.Network([4, 5, 3], "tanh", mbbp.costs.huber(0.5), scaling="standardize", dropout=0.25, rng=0)
    net.schema = mbbp.Schema(
        [mbbp.Column("a", fill=1), mbbp.Column("b", ["x", "y", "z"], "y")], targets=["p", "q", "r"]
    )
    net.schema = dataclasses.replace(net.schema, target_scaling=mbbp.Scaling([1, 2, 3], [0.5, 1, 2]))
    net.metadata = {"author": "somebody"}
    net.fit(*continuous(), epochs=3, optimizer="adam", early_stopping=9)
    net._unfinished = Best(mbbp.EarlyStopping(patience=9), -0.5, 2, net.theta.copy())
    return net


@how_many
def test_network(n, tmp_path):
    net = trained()
    mbbp.save(net, tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as file:
        members = {name: npy(file[name]) for name in file.files}
        text = file["header"].tobytes()
    assert set(members) == {*ARRAYS, "header", "checksum"}
    inner = [name for name in members if name != "checksum"]
    kinds = [mutations(archive(members), n)]
    kinds += [
        (archive(signed(members | {name: content})) for content in mutations(members[name], n, seed=i))
        for i, name in enumerate(inner)
    ]
    # the description is what most of the reader is about
    described = (npy(np.frombuffer(content, np.uint8)) for content in mutations(text, n, seed=100))
    kinds += [(archive(signed(members | {"header": content})) for content in described)] * 8

    def is_sound(loaded):
        outputs = loaded.feedforward(np.zeros((4, 2)))
        with contextlib.suppress(mbbp.DivergedError):  # the moments may be any numbers
            loaded.fit(np.zeros((4, 2)), np.zeros((3, 2)), epochs=1, learning_rate=1e-9)
        mbbp.save(loaded, tmp_path / "again.npz")
        return outputs.shape == (3, 2) and np.isfinite(loaded.theta).all()

    damaged = (next(kinds[i % len(kinds)]) for i in range(n))
    faults = unclear_errors(mbbp.load, tmp_path / "damaged.npz", damaged, is_sound)
    assert not faults, show(faults, n)


@how_many
def test_network_of_an_older_version(n, tmp_path):
    header = {"format": 2, "sizes": [4, 5, 3], "activation": ["tanh", "tanh"], "cost": "quadratic", "scaling": None}
    members = {"header": npy(np.array(json.dumps(header))), "theta": npy(np.ones(43, np.float32))}

    def is_sound(loaded):
        return len(loaded.theta) == 43 and np.isfinite(loaded.theta).all()

    damaged = damaged_members(members, n, header=json.dumps(header).encode())
    faults = unclear_errors(mbbp.load, tmp_path / "damaged.npz", damaged, is_sound)
    assert not faults, show(faults, n)


@how_many
@pytest.mark.parametrize("labels", [[3, 1, 1, 3, 2], ["a", "bc", "", "a", "d"], [0.5, 1, 1, 0.5, 2]], ids=str)
def test_arrays(labels, n, tmp_path):
    regression = labels[0] == 0.5
    members = {"X": npy(np.arange(10.0).reshape(5, 2)), "y": npy(np.array(labels))}

    def is_sound(data):
        return data.x_train.shape[1] == data.y_train.shape[-1] and np.isfinite(data.x_train).all()

    damaged = damaged_members(members, n, zipfile.ZIP_DEFLATED)
    faults = unclear_errors(
        lambda path: load_npz(path, regression=regression, test_fraction=0), tmp_path / "damaged.npz", damaged, is_sound
    )
    assert not faults, show(faults, n)


@how_many
@pytest.mark.parametrize("layer", ["plain", "compressed", "compressed after the damage"])
def test_idx(layer, n, tmp_path):
    content = idx(np.arange(24).reshape(2, 3, 4))
    damaged = mutations(gzip.compress(content, mtime=0) if layer == "compressed" else content, n)
    if layer == "compressed after the damage":
        damaged = map(gzip.compress, damaged)
    faults = unclear_errors(read_idx, tmp_path / "damaged", damaged, lambda array: array.dtype == np.uint8)
    assert not faults, show(faults, n)


@how_many
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_books_json(dtype, n, tmp_path):
    net = network2.Network([3, 2, 2], cost=network2.QuadraticCost)
    net.save(tmp_path / "net.json")
    damaged = mutations((tmp_path / "net.json").read_bytes(), n)

    def is_sound(loaded):
        return all(one.dtype == dtype and np.isfinite(one).all() for one in loaded.weights + loaded.biases)

    faults = unclear_errors(lambda path: network2.load(path, dtype=dtype), tmp_path / "damaged", damaged, is_sound)
    assert not faults, show(faults, n)


# ----------------------------------------------------------------------------------- files that claim what is not there

ZEROS = 100_000_000  # bytes that deflate packs into 100 kB


def npy_header(shape, dtype="<f4", version=(1, 0)):
    """Return the beginning of a .npy file of this shape, without data."""
    text = str({"descr": dtype, "fortran_order": False, "shape": shape})
    size = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + text.encode()


def with_claimed_size(content, size):
    """Return an archive whose directory says that its last member holds this many bytes."""
    at = content.rindex(b"PK\1\2")
    return content[: at + 24] + size.to_bytes(4, "little") + content[at + 28 :]


def header_of(sizes):
    header = {"format": 1, "sizes": sizes, "activation": ["sigmoid"] * (len(sizes) - 1), "cost": "quadratic"}
    return npy(np.array(json.dumps(header)))


SMALL_X = npy(np.zeros((5, 2)))
THETA = npy(np.zeros(3, np.float32))
TERABYTE = npy_header((500_000, 500_000))
LONG_HEADER = b"\x93NUMPY\2\0" + ZEROS.to_bytes(4, "little") + bytes(ZEROS)
LAST = {"optimizer": {"built_in": "Adam", "settings": {}}, "generator": {"bit_generator": "PCG64"}}


def in_todays_format(facts, **arrays):
    """Return an archive with a description and arrays, and the right checksum."""
    text = json.dumps({"format": 3, "sizes": [2, 1], "activation": ["tanh"], "cost": "quadratic"} | facts)
    members = {"header": np.frombuffer(text.encode(), np.uint8), "theta": np.zeros(3, np.float32)} | arrays
    return archive(signed({name: npy(array) for name, array in members.items()}))


def with_members_upon_each_other():
    """Return an archive whose directory has all arrays in the same place."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("header.npy", header_of([2, 1]))
        opened.writestr("theta.npy", npy(np.zeros(1 << 20, np.float32)))
        for name in ARRAYS[1:]:
            again = copy.copy(opened.getinfo("theta.npy"))
            again.filename = f"{name}.npy"
            opened.filelist.append(again)
    return file.getvalue()


NETWORK_BOMBS = {
    "arrays that lie upon each other": with_members_upon_each_other,
    "a description with many parts": lambda: in_todays_format({"metadata": [[]] * 200_000}),
    "a long description": lambda: in_todays_format({"metadata": "x" * 2_000_000}),
    "a state of another size": lambda: in_todays_format({"training": LAST}, moments=np.zeros((2, 100_000))),
    "a long name of many inputs": lambda: in_todays_format(
        {"schema": {"columns": [["x" * 100_000, [str(i) for i in range(70_000)], None]]}}
    ),
    "300,000 layers": lambda: in_todays_format({"sizes": [1] * 300_000}, theta=np.zeros(599_998, np.float32)),
    "many columns": lambda: in_todays_format({"schema": {"columns": [["", [], None]] * 30_000}}),
    "a compressed array": lambda: archive(
        {"header": header_of([ZEROS // 8, 1]), "theta": npy(np.zeros(ZEROS // 4, np.float32))}, zipfile.ZIP_DEFLATED
    ),
    "an array of a terabyte": lambda: archive({"header": header_of([2, 1]), "theta": TERABYTE}),
    "a member of 4 GB": lambda: with_claimed_size(archive({"header": header_of([2, 1]), "theta": THETA}), 2**32 - 2),
    "500,000 layers": lambda: archive({"header": header_of([1] * 500_000), "theta": npy(np.zeros(999_998))}),
    "a layer of a thousand million neurons": lambda: archive({"header": header_of([10**9, 10**9]), "theta": THETA}),
    "a compressed header": lambda: archive({"header": LONG_HEADER, "theta": THETA}, zipfile.ZIP_DEFLATED),
}
ARRAY_BOMBS = {
    "an array of a terabyte": lambda: archive({"X": TERABYTE, "y": npy(np.zeros(500_000))}),
    "a compressed array of a terabyte": lambda: archive(
        {"X": TERABYTE, "y": npy(np.zeros(500_000))}, zipfile.ZIP_DEFLATED
    ),
    "a member of 4 GB": lambda: with_claimed_size(archive({"y": npy(np.zeros(5)), "X": SMALL_X}), 2**32 - 2),
    "a compressed member of 4 GB": lambda: with_claimed_size(
        archive({"y": npy(np.zeros(5)), "X": npy_header((2**30 - 50, 1), "<f4")}, zipfile.ZIP_DEFLATED), 2**32 - 2
    ),
    "too many labels": lambda: archive({"X": SMALL_X, "y": npy(np.zeros(ZEROS, np.int8))}, zipfile.ZIP_DEFLATED),
    "a long header": lambda: archive({"X": LONG_HEADER, "y": npy(np.zeros(5))}, zipfile.ZIP_DEFLATED),
    "a number of bytes that no integer holds": lambda: archive({"X": npy_header((10**30,) * 3), "y": SMALL_X}),
    "empty numbers": lambda: archive({"X": npy_header((10**15, 1), "<U0"), "y": npy_header((10**15,), "<U0")}),
}
IDX_BOMBS = {
    "compressed": lambda: gzip.compress(idx([1, 2, 3]) + bytes(ZEROS)),
    "a terabyte": lambda: b"\0\0\x08\2" + (10**6).to_bytes(4, "big") * 2 + b"12345",
    "a compressed terabyte": lambda: gzip.compress(b"\0\0\x08\2" + (10**6).to_bytes(4, "big") * 2 + b"12345"),
}
BOMBS = [
    *[pytest.param(mbbp.load, bomb, id=f"network: {name}") for name, bomb in NETWORK_BOMBS.items()],
    *[pytest.param(load_npz, bomb, id=f"arrays: {name}") for name, bomb in ARRAY_BOMBS.items()],
    *[pytest.param(read_idx, bomb, id=f"idx: {name}") for name, bomb in IDX_BOMBS.items()],
]


@pytest.mark.parametrize(("read", "bomb"), BOMBS)
def test_no_memory_is_taken_for_what_a_file_claims(read, bomb, tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(bomb())
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(ValueError, match="bomb") as caught:
            read(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10_000_000
    assert time.process_time() - began < 5  # a fraction of a second, but not on a slow machine
    assert len(str(caught.value)) < 2000


def test_arrays_that_are_not_asked_for_are_not_read(tmp_path):
    path = tmp_path / "more.npz"
    path.write_bytes(archive({"X": SMALL_X, "y": npy(np.arange(5)), "more": b"damaged", "terabyte": TERABYTE}))
    assert load_npz(path, test_fraction=0).x_train.shape == (2, 5)


def test_compressed_arrays_are_read(tmp_path):
    path, X = tmp_path / "more.npz", np.zeros((1000, 1000), np.float32)
    np.savez_compressed(path, X=X, y=np.arange(1000), other=X)
    assert load_npz(path, test_fraction=0).x_train.shape == (1000, 1000)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", ">u4", "|b1", "<U3", ">U2", "|u1"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 0, 3), (2, 3, 4)], ids=str)
def test_what_numpy_writes_is_read(shape, dtype, order, tmp_path):
    path = tmp_path / "a.npz"
    array = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape), order=order).astype(dtype)
    for save in (np.savez, np.savez_compressed):
        save(path, a=array, b=np.ones(3))
        with open_npz(path) as file:
            assert file.names == ("a", "b")
            found = file.read("a")
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        assert np.array_equal(found, array)
        assert found.flags.writeable
