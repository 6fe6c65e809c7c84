"""A search in a folder goes on after any end of the process, with the same result, to the bit."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import mbbp
from mbbp.tuning import choice, folder, log_uniform, running
from tests.many.test_fit_many import no_press_before, press  # noqa: F401
from tests.tuning.searches import HALVING, SPACE, X, Y, all_of, find, long_search

ROOT = Path(__file__).parents[2]


class Killed(BaseException):
    """The process has ended."""


@pytest.fixture(autouse=True)
def no_wait_for_the_disk(monkeypatch):
    """Do not wait until what is written is on the disk: no test cuts the power."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


WRITERS = ("save", "append", "remove", "keep", "begin")


def kill_before(monkeypatch, step):
    """Let nothing be written to a folder from a step on; return how many steps there were."""
    lock, done = threading.Lock(), []

    def writer(real):
        def write(*given):
            with lock:
                done.append(real)
                if len(done) > step:
                    raise Killed
            return real(*given)

        return write

    for name in WRITERS:
        monkeypatch.setattr(folder.Folder, name, writer(getattr(folder.Folder, name)))
    return done


def names_in(path):
    return sorted(str(one.relative_to(path)) for one in path.rglob("*"))


@pytest.mark.parametrize("more", [{"n_candidates": 5}, HALVING], ids=["random", "halving"])
def test_it_goes_on_after_an_end_at_any_step(more, tmp_path):
    expected = find(**more)
    step, is_whole = 0, False
    while not is_whole:
        path = tmp_path / str(step)
        with pytest.MonkeyPatch.context() as patch:
            kill_before(patch, step)
            with contextlib.suppress(Killed):
                find(file=path, **more)
                is_whole = True
        assert all_of(find(file=path, **more)) == all_of(expected)
        best = expected.candidates[0]
        network = f"networks/{best.number}-{best.rungs - 1}.mbbp"
        assert names_in(path) == ["networks", network, "records.txt", "search.json"]
        assert mbbp.load(path / network).theta.tobytes() == expected.best_network.theta.tobytes()
        step += 1
    assert step >= 7  # five records at least, what was asked, and a network


def test_it_goes_on_from_any_part_of_the_records(tmp_path):
    expected = find(file=tmp_path / "whole", **HALVING)
    content = (tmp_path / "whole" / "records.txt").read_bytes()
    lines = content.splitlines(keepends=True)
    ends = np.cumsum([0, *map(len, lines)])
    for n in sorted({*ends, *(ends[1:] - 1), *(ends[:-1] + 7), *(ends[1:] - 20)}):
        path = tmp_path / str(n)
        shutil.copytree(tmp_path / "whole", path)  # the networks that the last rungs began with are gone
        (path / "records.txt").write_bytes(content[:n])
        assert all_of(find(file=path, **HALVING)) == all_of(expected)
        assert sorted((path / "records.txt").read_bytes().splitlines()) == sorted(content.splitlines())
        shutil.rmtree(path)


def test_a_block_that_was_not_written_is_as_a_torn_line(tmp_path):
    expected = find(file=tmp_path / "s", **HALVING)
    with (tmp_path / "s" / "records.txt").open("ab") as file:
        file.write(b"\0" * 100 + b"\n" + b"\0" * 50)
    assert all_of(find(file=tmp_path / "s", **HALVING)) == all_of(expected)


def test_networks_that_are_lost_are_trained_again(tmp_path):
    expected = find(file=tmp_path / "s", **HALVING)
    (network,) = (tmp_path / "s" / "networks").iterdir()
    network.write_bytes(network.read_bytes()[:-100])
    assert all_of(find(file=tmp_path / "s", **HALVING)) == all_of(expected)
    network.unlink()
    assert all_of(find(file=tmp_path / "s", **HALVING)) == all_of(expected)


def test_a_search_that_is_over_trains_nothing(tmp_path, monkeypatch):
    expected = find(file=tmp_path / "s")
    monkeypatch.setattr("mbbp.tuning.running.train_all", None)
    assert all_of(find(file=str(tmp_path / "s"))) == all_of(expected)


def test_a_random_search_goes_on_with_more_candidates(tmp_path):
    find(file=tmp_path / "s", n_candidates=4)
    result = find(file=tmp_path / "s", n_candidates=9)
    assert all_of(result) == all_of(find(n_candidates=9)) == all_of(find(file=tmp_path / "s", n_candidates=9))
    with pytest.raises(ValueError, match=r"file: .* n_candidates was 9, is 4"):
        find(file=tmp_path / "s", n_candidates=4)
    find(file=tmp_path / "h", **HALVING)
    with pytest.raises(ValueError, match=r"file: .* n_candidates was 9, is 10"):
        find(file=tmp_path / "h", **{**HALVING, "n_candidates": 10})


def test_without_a_seed_it_takes_that_of_the_folder(tmp_path):
    first = find(file=tmp_path / "s", rng=None)
    assert all_of(find(file=tmp_path / "s", rng=None)) == all_of(first)


def test_it_goes_on_after_ctrl_c(tmp_path, no_press_before):  # noqa: F811
    class Press:
        def __init__(self, callback):
            self.callback = callback

        def __call__(self, net, row):
            self.callback(net, row)
            time.sleep(0.01 if row.epoch > 40 else 0)

        def __repr__(self):
            return "Press"

    more = {**HALVING, "epochs": 120, "file": tmp_path / "s"}
    result = find(callbacks=Press(press(1, 43)), **more)
    assert result.was_interrupted
    mbbp.interrupts.Interrupts._last_press = -100.0
    whole = find(callbacks=Press(lambda net, row: None), **more)
    assert not whole.was_interrupted
    assert all_of(whole) == all_of(find(**{**more, "file": None}))


@pytest.mark.filterwarnings("ignore:.*candidates diverged")
def test_one_that_diverged_and_one_that_stopped_are_not_trained_again(tmp_path):
    space = {**SPACE, "learning_rate": choice(0.1, 0.5, 1e200), "optimizer": "sgd", "hidden": 4}
    more = {**HALVING, "space": space, "activation": ["tanh", "identity"], "early_stopping": 1, "epochs": 60}
    expected = find(**more)
    assert expected.diverged
    assert any(one.epochs < expected.rungs[one.rungs - 1] for one in expected.candidates if one.rungs > 1)
    for step in range(0, 40, 3):
        with pytest.MonkeyPatch.context() as patch:
            kill_before(patch, step)
            with contextlib.suppress(Killed):
                find(file=tmp_path / str(step), **more)
        assert all_of(find(file=tmp_path / str(step), **more)) == all_of(expected)


def test_ctrl_c_while_the_best_network_is_trained_again(tmp_path, no_press_before):  # noqa: F811
    class Press:
        is_pressing = False

        def __call__(self, net, row):
            if self.is_pressing and row.epoch == 1:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.3)

    callback = Press()
    whole = find(file=tmp_path / "s", callbacks=callback)
    shutil.rmtree(tmp_path / "s" / "networks")
    callback.is_pressing = True
    result = find(file=tmp_path / "s", callbacks=callback)
    assert (result.was_interrupted, result.best_network) == (True, None)
    assert result.candidates == whole.candidates
    mbbp.interrupts.Interrupts._last_press = -100.0
    callback.is_pressing = False
    assert all_of(find(file=tmp_path / "s", callbacks=callback)) == all_of(whole)


def make(settings):
    return mbbp.Network([4, settings["n"], 3], dtype="float64", rng=settings["rng"])


def test_networks_that_a_function_makes_are_made_again(tmp_path):
    space = {"n": choice(3, 5, 7), "learning_rate": log_uniform(0.1, 1)}
    more = {"make": make, "validation_split": 0.3, "rng": 0, **HALVING}
    expected = mbbp.search(space, X, Y, **more)
    with pytest.MonkeyPatch.context() as patch:
        kill_before(patch, 20)
        with pytest.raises(Killed):
            mbbp.search(space, X, Y, file=tmp_path / "s", **more)
    assert all_of(mbbp.search(space, X, Y, file=tmp_path / "s", **more)) == all_of(expected)


def test_a_network_that_a_file_cannot_hold_is_refused_before_the_training(tmp_path):
    class Strange(np.random.PCG64):
        pass

    def strange(settings):
        return mbbp.Network([4, 3], rng=np.random.Generator(Strange(settings["rng"])))

    with pytest.raises(ValueError, match=r"generator"):
        mbbp.search({"n": choice(3, 5)}, X, Y, make=strange, validation_split=0.3, file=tmp_path / "s")
    assert names_in(tmp_path) == []


def _swish(z):
    return z / (1.0 + np.exp(-z))


def _swish_prime(z):
    s = 1.0 / (1.0 + np.exp(-z))
    return s + z * s * (1.0 - s)


def test_networks_with_custom_parts_are_read_again(tmp_path):
    swish = mbbp.Activation("swish", _swish, _swish_prime)
    more = {**HALVING, "activation": choice([swish, swish, "sigmoid"], ["tanh", swish, "sigmoid"])}
    space = {**SPACE, "hidden": [3, 2], "activation": more.pop("activation")}
    expected = find(space=space, **more)
    with pytest.MonkeyPatch.context() as patch:
        kill_before(patch, 25)
        with pytest.raises(Killed):
            find(space=space, file=tmp_path / "s", **more)
    again = find(space=space, file=tmp_path / "s", **more)
    assert again.table() == expected.table()
    assert again.best_network.theta.tobytes() == expected.best_network.theta.tobytes()


PROGRAM = "import sys; from tests.tuning.searches import long_search; long_search(sys.argv[1])"


def n_lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_search_of_200_candidates_that_is_killed_ends_with_the_same_table(tmp_path):
    path, records = tmp_path / "search", tmp_path / "search" / "records.txt"
    for least in (50, 230):  # in the first rung, and in the second one
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], cwd=ROOT)
        while n_lines(records) < least:
            assert process.poll() is None
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert 230 <= n_lines(records) < 300
    expected = long_search(None)
    assert len(expected.candidates) == 200
    assert all_of(long_search(path)) == all_of(expected)
    assert n_lines(records) == 200 + 100 + 50


# ------------------------------------------------------------------------------------------------------------ refusals

OTHER = [
    ({"n_candidates": 5}, r"n_candidates was 6, is 5"),
    ({"epochs": 4}, r"epochs was 3, is 4"),
    ({"method": "halving"}, r"method was random, is halving; eta was None, is 3"),
    ({"monitor": "training_cost"}, r"monitor was validation_cost, is training_cost"),
    ({"rng": 6}, r"rng was 5, is 6"),
    ({"validation_split": 0.2}, r"argument\['validation_split'\] was 0.3, is 0.2"),
    ({"l2": 0.2}, r"argument\['l2'\] was None, is 0.2"),
    ({"space": {**SPACE, "learning_rate": log_uniform(0.01, 2)}}, r"space\['learning_rate'\] was log_uniform\(0.01"),
    ({"space": {**SPACE, "l2": 0.1}}, r"space\['l2'\] was None, is 0.1"),
    ({"callbacks": print}, r"argument\['callbacks'\] was None, is builtins.print"),
]


def content_of(path):
    return {one.name: one.read_bytes() for one in path.rglob("*") if one.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("search") / "s"
    find(file=path)
    return path


@pytest.mark.parametrize(("more", "message"), OTHER, ids=range(len(OTHER)))
def test_another_search_is_refused_and_changes_nothing(more, message, finished):
    before = content_of(finished)
    with pytest.raises(ValueError, match=f"file: expected a new folder or the same search as in .*{message}"):
        find(file=finished, **more)
    assert content_of(finished) == before


@pytest.mark.parametrize(
    ("name", "one", "other", "message"),
    [
        ("scaling", 1 / 255, 0.00392157, r"argument\['scaling'\] was 0.00392156862745098, is 0.00392157"),
        (
            "scaling",
            mbbp.Scaling(factor=1 / 255),
            mbbp.Scaling(factor=0.00392157),
            r"was Scaling\(factor=0.00392156862745098\), is Scaling\(factor=0.00392157\)",
        ),
        ("cost", mbbp.costs.huber(0.01), mbbp.costs.huber(100), r"was huber\(delta=0.01\), is huber\(delta=100.0\)"),
        (
            "example_weights",
            [0.12345678901234567] * 22 + [1],
            [0.12345678901234567] * 22 + [2],
            r"was \.\.\.[^;]*, 1\], is \.\.\.[^;]*, 2\]$",
        ),
    ],
)
def test_what_differs_is_seen_in_the_message(name, one, other, message, tmp_path):
    more = {"space": {"learning_rate": log_uniform(0.1, 1)}, "sizes": [4, 3], "n_candidates": 1, "file": tmp_path / "s"}
    find(**more, **{name: one})
    with pytest.raises(ValueError, match=message):
        find(**more, **{name: other})


def test_other_data_are_refused(finished):
    common = {"n_candidates": 6, "epochs": 3, "dtype": "float64", "validation_split": 0.3, "rng": 5, "file": finished}
    other = X.copy()
    other[1, 1] += 1e-9
    with pytest.raises(ValueError, match=r"file: .* got another one: X was float64 \(4, 23\) sha256 "):
        mbbp.search(SPACE, other, Y, **common)
    with pytest.raises(ValueError, match=r"file: .* got another one: y was int64 \(23,\)"):
        mbbp.search(SPACE, X, (Y + 1) % 3, **common)
    mbbp.search(SPACE, np.asfortranarray(X), Y, **common)  # another order in memory is the same


def damage_asked(path):
    whole = json.loads((path / "search.json").read_text())
    whole["asked"]["epochs"] = 4
    (path / "search.json").write_text(json.dumps(whole))


def damage_records(path):
    content = bytearray((path / "records.txt").read_bytes())
    content[100] ^= 1
    (path / "records.txt").write_bytes(content)


def repeat_a_record(path):
    lines = (path / "records.txt").read_bytes().splitlines(keepends=True)
    (path / "records.txt").write_bytes(b"".join([*lines[:2], *lines[:2]]))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_asked, "whose search.json is damaged"),
        (lambda path: (path / "search.json").write_text("[]"), "whose search.json is damaged"),
        (lambda path: (path / "search.json").write_bytes(b"\xff"), "whose search.json is damaged"),
        (damage_records, "whose records.txt is damaged in line 1"),
        (repeat_a_record, "expected the records of this search, got others"),
        (lambda path: (path / "search.json").unlink(), "expected a new folder or that of a search"),
    ],
)
def test_a_damaged_folder_is_refused(damage, message, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "s")
    damage(tmp_path / "s")
    with pytest.raises(ValueError, match=f"file: .*{message}"):
        find(file=tmp_path / "s")


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(ValueError, match=r"file: expected a new folder or that of a search, got .* which holds 'a'"):
        find(file=tmp_path)
    with pytest.raises(ValueError, match="file: expected a folder, got the file"):
        find(file=tmp_path / "a")
    with pytest.raises(ValueError, match="file: expected a folder that can be written to"):
        find(file=tmp_path / "b" / "c")
    with pytest.raises(TypeError, match="file: expected a path, got 3"):
        find(file=3)
    assert names_in(tmp_path) == ["a"]


def test_two_at_once_are_refused(tmp_path):
    pytest.importorskip("fcntl")
    caught = []

    def again(net, row):
        if not caught:
            caught.append(None)
            with pytest.raises(ValueError, match="file: expected a search that is not running") as error:
                find(file=tmp_path / "s", callbacks=again)
            caught.append(error)

    find(file=tmp_path / "s", callbacks=again)
    assert len(caught) == 2


@pytest.fixture
def another_process_is_faster(monkeypatch):
    """Let another search be run in the moment after a search has found its folder new, and before it writes."""
    prepare = running.Run.prepare

    def first(other):
        def prepare_late(run):
            prepare(run)
            monkeypatch.setattr(running.Run, "prepare", prepare)
            other()

        monkeypatch.setattr(running.Run, "prepare", prepare_late)

    return first


def test_a_new_folder_is_not_taken_from_another_search_that_begins_at_the_same_time(
    tmp_path, another_process_is_faster
):
    first = []
    another_process_is_faster(lambda: first.append(find(file=tmp_path / "s", epochs=4)))
    with pytest.raises(ValueError, match=r"file: .* got another one: epochs was 4, is 3"):
        find(file=tmp_path / "s")
    assert all_of(find(file=tmp_path / "s", epochs=4)) == all_of(first[0])


def test_the_same_search_that_begins_at_the_same_time_is_gone_on_with(tmp_path, another_process_is_faster):
    another_process_is_faster(lambda: find(file=tmp_path / "s", n_candidates=4))
    assert all_of(find(file=tmp_path / "s")) == all_of(find())


def test_what_a_running_search_was_asked_for_is_not_overwritten(tmp_path, another_process_is_faster):
    pytest.importorskip("fcntl")
    holder = folder.Folder(tmp_path / "s")
    another_process_is_faster(lambda: (holder.lock(), holder.begin({"epochs": 4})))
    with holder, pytest.raises(ValueError, match="file: expected a search that is not running"):
        find(file=tmp_path / "s")
    assert folder.Folder(tmp_path / "s").asked == {"format": folder.FORMAT, "epochs": 4}


def test_nothing_is_written_if_an_argument_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="l2: expected"):
        find(file=tmp_path / "s", l2=-1)
    assert names_in(tmp_path) == []
