"""Ctrl-C: pressed once, training ends after the running epoch; pressed twice, it ends at once."""

import io
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

import mbbp
from mbbp.interrupts import Interrupts
from mbbp.kernels.lowlevel.jit import _uninterrupted
from mbbp.progress import Progress
from tests.problems import N, figures, labelled, network

NOTICE = "mbbp: ending after this epoch; Ctrl-C again to end at once"


def train(net=None, epochs=9, **options):
    net = net or network()
    net.fit(*labelled(), epochs=epochs, batch_size=1, optimizer="adam", **options)
    return net


@pytest.fixture
def interrupt(monkeypatch):
    """Return a function that arranges for Ctrl-C to be pressed so many times in the middle of one epoch."""

    def arrange(times, epoch=3):
        seen = 0

        def advance(self, examples):
            nonlocal seen
            before, seen = seen, seen + examples
            middle = (epoch - 1) * N + N // 2
            if before < middle <= seen:
                assert seen < epoch * N
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Progress, "advance", advance)
        # so that advance is called within an epoch
        monkeypatch.setattr(mbbp.methods.mini_batches, "SECONDS_BETWEEN_LOOKS", 1e-12)

    return arrange


@pytest.fixture(autouse=True)
def restored_handler(monkeypatch):
    """Install a handler, and check after each test that it is installed again."""

    def handler(number, frame):
        raise AssertionError("the training did not handle Ctrl-C")

    before = signal.signal(signal.SIGINT, handler)
    monkeypatch.setattr(Interrupts, "_last_press", -10.0)  # of the test before
    yield
    found = signal.signal(signal.SIGINT, before)
    assert found is handler


# ----------------------------------------------------------------------------------------------------- in this process


def test_once_ends_the_training_after_the_running_epoch(interrupt, capsys):
    interrupt(1)
    net = train()
    assert figures(net.history) == figures(train(epochs=3).history)
    assert net.theta.tobytes() == train(epochs=3).theta.tobytes()
    assert net.history.was_interrupted
    assert not train(epochs=3).history.was_interrupted
    printed = capsys.readouterr()
    assert printed.err.strip() == NOTICE
    assert printed.out == ""


def test_twice_ends_it_at_once_with_the_last_whole_epoch(interrupt):
    interrupt(2)
    net = network()
    with pytest.raises(KeyboardInterrupt):
        train(net)
    assert figures(net.history) == figures(train(epochs=2).history)
    assert net.theta.tobytes() == train(epochs=2).theta.tobytes()
    assert net.optimizer_state.steps == 2 * N
    assert train(net, epochs=2).theta.tobytes() == train(epochs=4).theta.tobytes()  # as without an interruption


def test_in_a_callback_it_ends_the_training_after_that_epoch():
    def press(net, row):
        if row.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    rows = []
    net = train(callbacks=[press, lambda net, row: rows.append(row)])
    assert rows == list(net.history)
    assert net.history["epoch"] == [1, 2]


def test_the_best_parameters_are_restored_after_it(interrupt):
    interrupt(1)
    net = train(early_stopping=mbbp.EarlyStopping("epoch", patience=100))  # the first epoch is the best
    assert len(net.history) == 3
    assert net.theta.tobytes() == train(epochs=1).theta.tobytes()


def test_an_error_restores_the_handler_too():
    with pytest.raises(ZeroDivisionError):
        train(callbacks=lambda net, row: 1 / 0)  # restored_handler checks


def test_wherever_it_is_pressed_three_times_the_epochs_are_whole(restored_handler):
    """Press Ctrl-C at every line of the training, one line in each run."""
    by_epochs = {n: (train(epochs=n) if n else network()).theta.tobytes() for n in range(4)}
    methods = mbbp.methods
    modules = (mbbp.training, methods.method, methods.mini_batches, mbbp.interrupts, mbbp.stopping)
    files = [module.__file__ for module in modules]
    handler = signal.getsignal(signal.SIGINT)
    line, ended = 0, []
    while line < len(ended) + 1:
        net, seen = network(), 0
        Interrupts._last_press = -10.0

        def trace(frame, event, _, line=line):
            nonlocal seen
            if event == "line" and frame.f_code.co_filename in files and signal.getsignal(signal.SIGINT) != handler:
                seen += 1
                if seen == line + 1:
                    for _ in range(3):
                        signal.raise_signal(signal.SIGINT)
            return trace

        sys.settrace(trace)
        try:
            train(net, epochs=3)
            ended.append("whole")
        except KeyboardInterrupt:
            ended.append("at once")
        finally:
            sys.settrace(None)
        assert net.theta.tobytes() == by_epochs[len(net.history)], line
        assert net.optimizer_state is None or int(net.optimizer_state.steps[0]) == N * len(net.history)
        assert signal.getsignal(signal.SIGINT) is handler
        if seen <= line:  # the training has fewer lines than that
            break
        line += 1
    assert {"whole", "at once"} == set(ended)
    assert line > 100


def test_two_presses_stop_a_program_of_many_short_trainings(monkeypatch):
    """The second one meets the next training."""
    nets = []

    def press(net, row):
        if len(nets) in (3, 4) and row.epoch == 1:
            signal.raise_signal(signal.SIGINT)

    def trainings():
        for _ in range(9):
            nets.append(network())
            train(nets[-1], epochs=2, callbacks=press)

    with pytest.raises(KeyboardInterrupt):
        trainings()
    assert [len(net.history) for net in nets] == [2, 2, 1, 1]
    assert [net.history.was_interrupted for net in nets] == [False, False, True, True]
    nets.clear()
    monkeypatch.setattr(mbbp.interrupts, "SECONDS_OF_A_PAIR", 0.0)
    trainings()
    assert [len(net.history) for net in nets] == [2, 2, 1, 1, 2, 2, 2, 2, 2]


def test_ctrl_c_waits_for_a_compilation():
    reached = []

    def press_and_go_on():
        with _uninterrupted():
            signal.raise_signal(signal.SIGINT)
            reached.append(True)

    with pytest.raises(AssertionError, match="the training did not handle Ctrl-C"):
        press_and_go_on()
    assert reached


def test_a_program_that_ignores_it_trains_on(interrupt):
    interrupt(3)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        net = train(epochs=4)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(net.history) == 4


@pytest.mark.parametrize("error", [None, RuntimeError("reentrant call inside a writer")], ids=repr)
def test_it_is_handled_where_the_notice_cannot_be_written(error, monkeypatch):
    class Terminal(io.StringIO):
        def write(self, text):
            if error:
                raise error
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Terminal())
    with Interrupts() as interrupts:
        assert not interrupts.asked
        signal.raise_signal(signal.SIGINT)
        assert interrupts.asked
    assert (NOTICE in sys.stderr.getvalue()) == (error is None)


def test_another_thread_trains_without_handling_it():
    nets = []
    thread = threading.Thread(target=lambda: nets.append(train(epochs=2)))
    thread.start()
    thread.join()
    assert nets[0].theta.tobytes() == train(epochs=2).theta.tobytes()


# -------------------------------------------------------------------------------------------------- in another process

PROGRAM = """
import json, signal, sys, time
import mbbp
from mbbp.progress import Progress
from tests.problems import labelled, network

def stay(self, examples):
    if len(net.history) == 2:
        print("in the third epoch", flush=True)
        while STAYS:
            time.sleep(0.01)

net = network()
handler = signal.getsignal(signal.SIGINT)
Progress.advance = stay
STAYS = sys.argv[1] == "stays"
ended = "whole"
try:
    net.fit(*labelled(), epochs=10**9, callbacks=lambda net, row: print(f"epoch {row.epoch}", flush=True))
except KeyboardInterrupt:
    ended, STAYS = "at once", False
assert signal.getsignal(signal.SIGINT) is handler
print(json.dumps({
    "ended": ended,
    "epochs": net.history["epoch"],
    "costs": net.history["training_cost"],
    "theta": net.theta.tobytes().hex(),
    "more": len(net.fit(*labelled(), epochs=1, learning_rate=0.01)),
}))
"""


@pytest.fixture
def program():
    """Return a function that starts the program and waits until it prints a given line."""
    started = []

    def start(argument, line):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, argument],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        for printed in process.stdout:
            if printed.strip() == line:
                return process
        raise AssertionError(process.stderr.read())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def outcome(process):
    """Wait for the process to end, and return the last line that it printed, and its stderr."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1]), err


def test_a_signal_from_outside_ends_a_long_training(program):
    process = program("runs", "epoch 5")
    process.send_signal(signal.SIGINT)
    found, err = outcome(process)
    assert err.strip() == NOTICE
    assert found["ended"] == "whole"
    epochs = len(found["epochs"])
    assert epochs >= 5
    assert found["epochs"] == list(range(1, epochs + 1))
    assert found["more"] == epochs + 1
    again = network()
    again.fit(*labelled(), epochs=epochs)
    assert found["costs"] == again.history["training_cost"]
    assert found["theta"] == again.theta.tobytes().hex()


def test_a_second_signal_ends_it_at_once(program):
    process = program("stays", "in the third epoch")
    process.send_signal(signal.SIGINT)
    while NOTICE not in (line := process.stderr.readline()):
        assert line, "it ended before the second signal"
    process.send_signal(signal.SIGINT)
    found, _ = outcome(process)
    again = network()
    again.fit(*labelled(), epochs=2)
    assert found["ended"] == "at once"
    assert found["epochs"] == [1, 2]
    assert found["theta"] == again.theta.tobytes().hex()
    assert found["more"] == 3
