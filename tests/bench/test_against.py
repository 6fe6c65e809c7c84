"""The comparison with the commit before: what counts as a loss, and that a planted one is found."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import against

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ratios(monkeypatch):
    """Replace the processes by ratios that are given, one for each comparison, and return that list."""
    left = []

    class Nothing:
        def close(self):
            pass

    monkeypatch.setattr(against, "start", lambda *_: [Nothing(), Nothing()])
    monkeypatch.setattr(against, "compare", lambda *_: (1.0, left.pop(0)))
    return left


@pytest.mark.parametrize(
    ("given", "is_lost"),
    [
        ([1.04], False),
        ([1.3, 1.02], False),
        ([1.2, 1.2, 1.2, 1.01], False),
        ([1.2, 1.15, 1.11, 1.2], True),
        ([1.08, 1.07, 1.07, 1.07], False),
    ],
)
def test_a_loss_counts_if_every_trial_finds_it(given, is_lost, ratios):
    ratios += given
    (row,) = against.measure([], [], [((2, 3, 1), 4)], 1.0)
    assert row["is_lost"] == is_lost
    assert row["ratio"] == min(given)
    assert ratios == []


def test_each_tree_has_the_fastest_turn_of_all_trials(monkeypatch, ratios):
    times = [(1.2, 1.3), (1.0, 1.4), (1.1, 1.15), (1.1, 1.16)]
    monkeypatch.setattr(against, "compare", lambda *_: times.pop(0))
    (row,) = against.measure([], [], [((2, 3, 1), 4)], 1.0)
    assert (row["old"], row["new"], row["is_lost"]) == (1.0, 1.15, True)


def test_only_shapes_that_seem_to_have_lost_are_measured_again(ratios):
    ratios += [1.0, 1.2, 1.04]
    rows = against.measure([], [], [((2, 3, 1), 4), ((4, 3, 1), 4)], 1.0)
    assert [row["is_lost"] for row in rows] == [False, False]
    assert ratios == []


def test_without_the_commit_the_floors_are_the_gate(monkeypatch, capsys):
    ran = []

    def run(command, **_):
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(against, "git", lambda *_: None)
    monkeypatch.setattr(against.subprocess, "run", run)
    assert against.main(["a-tag"]) == 0
    assert "a-tag is not in this repository; the floors" in capsys.readouterr().out
    assert "benchmarks/test_regression.py" in ran[0]


def test_the_shapes_are_those_of_the_table():
    from mbbp.bench.cases import LARGEST, TABLE

    assert [*TABLE, LARGEST] == against.SHAPES


@pytest.mark.parametrize("shape", against.SHAPES[:-1], ids=str)
def test_a_slow_down_of_15_percent_is_found(shape, tmp_path):
    rows = against.measure([ROOT, ROOT], [tmp_path] * 2, [shape], 8.0, slower_by=0.15)  # nearly as long as in a run
    assert rows[0]["is_lost"], rows


@pytest.mark.parametrize("shape", against.QUICK, ids=str)
def test_no_false_alarm_on_a_loaded_machine(shape, tmp_path):
    load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        for _ in range(14):
            rows = against.measure([ROOT, ROOT], [tmp_path] * 2, [shape], 0.5)
            assert not rows[0]["is_lost"], rows
    finally:
        for process in load:
            process.kill()
            process.wait()
