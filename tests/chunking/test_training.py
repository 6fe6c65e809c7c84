"""A training on chunks: the same numbers for the same seed, Ctrl-C, checkpoints, and what goes wrong while it reads."""

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import mbbp
from mbbp.chunking.pools import Pools
from mbbp.methods.chunked import ChunkedMiniBatches
from tests.chunking.problem import SMALL, N, fitted, network, rows
from tests.problems import figures


def data(**options):
    return mbbp.chunks(*rows(), **{"memory": SMALL, "chunk_bytes": 900} | options)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert [one.name for one in threading.enumerate() if one.name == "mbbp reader"] == []


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("slow", ["reader", "training", None])
def test_the_same_seed_gives_the_same_bits_whatever_the_thread_does(slow, threads, monkeypatch):
    expected = fitted(data())
    X, y = rows()

    class Slow:
        def __iter__(self):
            for i in range(0, N, 37):
                if slow == "reader" and random.random() < 0.5:
                    time.sleep(0.001)
                yield X[i : i + 37], y[i : i + 37]

    run = ChunkedMiniBatches.run_all

    def wait(self, order, step):
        if slow == "training":
            time.sleep(0.002)
        return run(self, order, step)

    monkeypatch.setattr(ChunkedMiniBatches, "run_all", wait)
    mbbp.set_threads(threads)
    try:
        assert fitted(data()).theta.tobytes() == expected.theta.tobytes()
        stream = mbbp.chunks(Slow(), memory=SMALL)
        assert fitted(stream).theta.tobytes() == fitted(mbbp.chunks(lambda: [(X, y)], memory=SMALL)).theta.tobytes()
    finally:
        mbbp.set_threads(None)


class OpenOnce:
    """Pairs from a source that can be open only once at the same time, such as a file that its object holds."""

    def __init__(self, n):
        self.data, self.is_open, self.passes = rows(n), False, 0

    def __iter__(self):
        if self.is_open:
            raise RuntimeError("open twice")
        self.is_open, self.passes = True, self.passes + 1
        X, y = self.data
        for i in range(0, len(y), 30):
            yield X[i : i + 30], y[i : i + 30]
        time.sleep(0.05)  # to close may take a while
        self.is_open = False


@pytest.mark.parametrize("n", [480, 470, 481])
def test_a_source_is_gone_through_by_one_thread_at_a_time(n):
    source, sizes = OpenOnce(n), []
    of = Pools.of

    def pools(self, order):
        for pool in of(self, order):
            sizes.append(pool.n)
            yield pool

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pools, "of", pools)
        net = fitted(mbbp.chunks(source, memory=SMALL), epochs=4)
    assert n != 480 or set(sizes) == {120}  # a whole number of pools: the last one is full before the source ends
    assert (len(net.history), source.passes) == (4, 5)
    assert net.theta.tobytes() == fitted(mbbp.chunks(lambda: [source.data], memory=SMALL), epochs=4).theta.tobytes()


def test_data_that_are_also_for_validation_are_gone_through_by_one_thread_at_a_time():
    source = OpenOnce(470)
    data = mbbp.chunks(source, memory=SMALL)
    net = fitted(data, validation_data=data)
    assert (len(net.history), source.passes) == (3, 8)  # each is looked at first
    assert net.theta.tobytes() == fitted(mbbp.chunks(OpenOnce(470), memory=SMALL)).theta.tobytes()


def test_a_further_call_goes_on_as_one_call_would():
    net = fitted(data(), epochs=2)
    net.fit(data(), epochs=3)
    once = fitted(data(), epochs=5)
    assert net.theta.tobytes() == once.theta.tobytes()
    assert figures(net.history) == figures(once.history)


def test_a_callback_that_draws_numbers_changes_what_is_read_next():
    """What was read ahead is read again. A training with a generator of its own does not notice callbacks."""
    settings = {"epochs": 4, "callbacks": lambda net, row: net.rng.random()}
    one, two = fitted(data(), **settings), fitted(data(), **settings)
    assert one.theta.tobytes() == two.theta.tobytes() != fitted(data(), epochs=4).theta.tobytes()
    net = network()
    for _ in range(4):
        net.fit(data(), epochs=1)
        net.rng.random()
    assert net.theta.tobytes() == one.theta.tobytes()


def test_a_checkpoint_goes_on(tmp_path):
    path = tmp_path / "net.mbbp"
    kept = []

    def keep(net, row):
        if row.epoch == 3:
            kept.append(path.read_bytes())

    whole = fitted(data(), epochs=5, checkpoint=path, callbacks=keep, optimizer="adam", learning_rate=0.01)
    path.write_bytes(kept[0])  # as it was after two epochs
    net = mbbp.load(path)
    assert len(net.history) == 2
    net.fit(data(), epochs=3, optimizer="adam", learning_rate=0.01)
    assert net.theta.tobytes() == whole.theta.tobytes()
    assert figures(net.history) == figures(whole.history)


def test_early_stopping_on_chunks_for_validation():
    settings = {"epochs": 50, "early_stopping": mbbp.EarlyStopping("validation_cost", patience=2), "learning_rate": 1.0}
    X, y = rows(seed=5)
    nets = [
        fitted(data(), validation_data=given, **settings)
        for given in (mbbp.chunks(X, y, memory=SMALL), mbbp.chunks(X, y), (X.T, y))
    ]
    assert 3 < len(nets[0].history) < 50
    for net in nets[1:]:
        assert net.theta.tobytes() == nets[0].theta.tobytes()
        np.testing.assert_allclose(net.history["validation_cost"], nets[0].history["validation_cost"], rtol=1e-6)
        assert net.history["validation_accuracy"] == nets[0].history["validation_accuracy"]


def test_arrays_are_validated_on_chunks():
    X, y = rows()
    one = fitted(X.T, y, validation_data=data())
    two = fitted(X.T, y, validation_data=(X.T, y))
    np.testing.assert_allclose(one.history["validation_cost"], two.history["validation_cost"], rtol=1e-6)


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c(presses):
    """Once ends the training after the epoch; twice at once, and then the network is as before the epoch."""
    before = mbbp.interrupts.Interrupts._last_press
    calls = []

    def pairs():
        """A pass of the training, in the other thread: the main one gets the signal."""
        calls.append(None)
        X, y = rows()
        for i in range(0, N, 50):
            if len(calls) == 4 and i == 300:  # in the third epoch; the first call is the first pass
                for _ in range(presses):
                    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                    time.sleep(0.05)
            yield X[i : i + 50], y[i : i + 50]

    stream, net = mbbp.chunks(pairs, memory=SMALL), network()
    try:
        if presses == 1:
            net.fit(stream, epochs=10, callbacks=lambda net, row: time.sleep(0.02))
            assert net.history.was_interrupted
        else:
            with pytest.raises(KeyboardInterrupt):
                net.fit(stream, epochs=10)
    finally:
        mbbp.interrupts.Interrupts._last_press = before
    epochs = len(net.history)
    assert 1 <= epochs <= 4
    assert net.theta.tobytes() == fitted(mbbp.chunks(lambda: [rows()], memory=SMALL), epochs=epochs).theta.tobytes()


def test_an_error_while_it_reads_leaves_the_last_epoch():
    passes = []

    def pairs():
        passes.append(None)
        X, y = rows()
        yield X[:400], y[:400]
        if len(passes) == 4:
            raise OSError("the disk is gone")
        yield X[400:], y[400:]

    net = network()
    with pytest.raises(OSError, match="the disk is gone"):
        net.fit(mbbp.chunks(pairs, memory=SMALL), epochs=9)
    assert len(net.history) == 2
    assert net.theta.tobytes() == fitted(mbbp.chunks(lambda: [rows()], memory=SMALL), epochs=2).theta.tobytes()


def changes(what):
    """Return data whose second pass differs from the first."""
    X, y = rows()
    later = {
        "more": (np.vstack([X, X]), np.r_[y, y]),
        "fewer": (X[1:], y[1:]),
        "more at the end": (X, y),
        "a label": (X, np.where(np.arange(N) == 300, 3, y)),
        "the kind": (X, np.full((N, 3), 0.5)),
        "the dtype": (X.astype("f8"), y),
    }[what]
    passes = []

    def pairs():
        passes.append(None)
        more = [(X[:1], y[:1])] if what == "more at the end" and len(passes) > 1 else []
        return [(X, y) if len(passes) == 1 else later, *more]

    return mbbp.chunks(pairs, memory=SMALL)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("more", r"X \(source\): expected 503 rows, as in the first pass, got more"),
        ("more at the end", r"X \(source\): expected 503 rows, as in the first pass, got more"),
        ("fewer", r"X \(source\): expected 503 rows, as in the first pass, got 502"),
        ("a label", r"y \(source, rows 0 to 502\): expected labels from 0 to 2, got 3 at position 300"),
        ("the kind", r"X \(source\): expected the kinds of numbers of the first pass, got others"),
        ("the dtype", r"X \(source\): expected the kinds of numbers of the first pass, got others"),
    ],
)
def test_data_that_change_between_two_passes_are_refused(what, message):
    net = network()
    before = net.theta.tobytes()
    with pytest.raises(ValueError, match=message):
        net.fit(changes(what), epochs=2)
    assert (len(net.history), net.theta.tobytes(), net.scaling) == (0, before, "standardize")


def test_a_file_that_becomes_shorter_is_an_error(tmp_path):
    X, y = rows()
    np.save(tmp_path / "x.npy", X)

    def cut(net, row):
        with (tmp_path / "x.npy").open("r+b") as file:
            file.truncate(4000)

    with pytest.raises(ValueError, match=r"X \(x.npy\): expected \d+ bytes more, got the end of the file"):
        fitted(mbbp.chunks(tmp_path / "x.npy", y, memory=SMALL), callbacks=cut)


def test_divergence_is_told_and_the_reading_ends():
    net = network(activation=["tanh", "identity"], scaling=None)
    with pytest.raises(mbbp.DivergedError, match="epoch 1: the cost became NaN or inf"):
        net.fit(data(), epochs=5, learning_rate=1e30)
    assert len(net.history) == 0


def test_callbacks_that_stop_it_and_the_bar(capsys):
    def stop(net, row):
        if row.epoch == 2:
            raise mbbp.StopTraining

    net = fitted(data(), epochs=9, callbacks=stop, progress=True)
    assert len(net.history) == 2
    assert net.history.has_ended
    assert "epoch" in capsys.readouterr().err


LIMITED = """
import resource, sys
import numpy as np, mbbp
from pathlib import Path

folder, memory = Path(sys.argv[1]), 1 << 24
net = mbbp.Network([64, 8, 3], scaling="standardize", rng=0)
def data(n):
    return mbbp.chunks(folder / f"x{n}.npy", folder / f"y{n}.npy", memory=memory if n > 9999 else 1 << 16)
net.fit(data(5000), epochs=1)  # compiles

def used():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmData"))

limit = used() + memory + (20 << 20)  # 8 MiB are the stack of a thread, the others parts that are being read
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.load(folder / "x700000.npy")
except MemoryError:
    print("too large for the memory")
history = net.fit(data(700000), epochs=2)
print(len(history), history[-1].training_accuracy)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit counts other things elsewhere")
def test_ten_times_the_memory_of_data_is_trained_on_in_bounded_memory(tmp_path):
    """64 numbers of 4 bytes and 700,000 examples are more than ten times 16 MiB."""
    rng = np.random.default_rng(0)
    for n in (5000, 700_000):
        y = rng.integers(0, 3, n).astype(np.uint8)
        X = rng.random((n, 64), np.float32)
        X[:, 0] += y
        np.save(tmp_path / f"x{n}.npy", X)
        np.save(tmp_path / f"y{n}.npy", y)
    assert X.nbytes > 10 * 2**24
    root = Path(mbbp.__file__).parent.parent
    found = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, cwd=root, check=False
    )
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert lines[0] == "too large for the memory"
    epochs, accuracy = lines[1].split()
    assert int(epochs) == 3
    assert float(accuracy) > 0.6
