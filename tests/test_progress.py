"""The progress bar: shown on a terminal and in a notebook only, unless the caller asks for it."""

import contextlib
import importlib.util
import os
import pty
import re
import sys
import termios
import types

import pytest

from mbbp.progress import Progress
from tests.problems import continuous, epoch, labelled, network


@contextlib.contextmanager
def terminal():
    """Make stderr a terminal, and give a function that reads what was shown there since its last call."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    os.set_blocking(ours, False)

    def read():
        seen = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                seen += os.read(ours, 65536)
        return seen.decode()

    with os.fdopen(theirs, "w") as stderr, contextlib.redirect_stderr(stderr):
        yield read
    os.close(ours)


def fit(progress=None, **options):
    return network().fit(*labelled(), epochs=3, progress=progress, **options)


def test_a_terminal_shows_epoch_cost_and_accuracy():
    with terminal() as read:
        history = fit()
        seen = read()
    for number in (1, 2, 3):
        assert f"epoch {number}/3" in seen
    for row in history:
        assert f"cost {row.training_cost:.4g}, training {row.training_accuracy:.2%}" in seen
    assert "100%" in seen
    assert re.search(r"\d\d:\d\d < ", seen)


def test_the_accuracy_is_that_of_the_validation_data_if_there_are_any():
    with terminal() as read:
        row = fit(validation_data=labelled(n=50, seed=1))[-1]
        seen = read()
    assert f"cost {row.training_cost:.4g}, validation {row.validation_accuracy:.2%}" in seen
    assert "training" not in seen


def test_a_regression_shows_its_cost_only():
    with terminal() as read:
        row = network().fit(*continuous(), epochs=1)[0]
        seen = read()
    assert f"cost {row.training_cost:.4g}" in seen
    assert "training" not in seen


@pytest.mark.parametrize("ending", [contextlib.nullcontext(), pytest.raises(KeyboardInterrupt)], ids=["well", "badly"])
def test_it_is_cleared_when_the_training_ends(ending):
    def fail(net, row):
        if not isinstance(ending, contextlib.nullcontext):
            raise KeyboardInterrupt

    with terminal() as read:
        with ending:
            fit(callbacks=fail)
        *before, last, after = read().split("\r")
    assert any("cost" in text for text in before)
    assert (last.strip(), after) == ("", "")


def test_a_terminal_shows_nothing_if_told_so():
    with terminal() as read:
        fit(progress=False)
        assert read() == ""


@pytest.mark.parametrize("progress", [None, False])
def test_nothing_is_written_where_stderr_is_not_a_terminal(progress, capfd):
    fit(progress=progress)
    assert capfd.readouterr() == ("", "")


def test_it_is_shown_anywhere_if_told_so(capsys):
    row = fit(progress=True)[-1]
    printed = capsys.readouterr()
    assert f"cost {row.training_cost:.4g}" in printed.err
    assert printed.out == ""


def test_it_moves_by_examples():
    with terminal() as read, Progress(None, 2, 10) as bar:
        for share in (25, 50, 75, 100):
            bar.advance(5)
            bar.end_epoch(epoch(1))
            assert f"{share}%" in read()


@pytest.mark.parametrize("has_widgets", [True, False])
def test_outside_a_notebook_the_widgets_are_not_asked_for(has_widgets, monkeypatch, capsys):
    spec = importlib.util.spec_from_loader("ipywidgets", loader=None) if has_widgets else None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    stream = types.SimpleNamespace(OutStream=type("OutStream", (), {}))  # ipykernel is there, but it shows nothing here
    monkeypatch.setitem(sys.modules, "ipykernel.iostream", stream)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    fit(progress=True)
    assert "cost" in capsys.readouterr().err
