"""The command ``mbbp bench``, from its words to its exit code."""

import importlib.util
import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from mbbp.bench import cases, command, machine, measure, peers
from mbbp.bench.implementations import NumpyMatrices
from mbbp.cli import main

pytestmark = pytest.mark.usefixtures("quick", "restored")

QUICK = ["bench", "--sizes", "4,5,3", "--batch-size", "2,4", "--seconds", "0.1"]


def error_of(capsys, words):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("mbbp bench: error: ")
    return err


# ------------------------------------------------------------------------------------------------------------- it works


def test_the_table_of_a_run(held, capsys):
    assert main(QUICK) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for name in ("[4, 5, 3], m = 2", "[4, 5, 3], m = 4"):
        assert f"{name}   step, float32" in out
    for name in ("per-example ", "per-example, float32", "numpy", "mbbp"):
        assert sum(line.startswith(name) for line in out.splitlines()) == 2
    assert "1 thread for every implementation" in out
    assert "roof: " in out


def test_every_file_is_written(held, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    names = {"json": "a.json", "markdown": "a.md", "csv": "a.csv", "plot": "a.png"}
    words = [word for option, name in names.items() for word in (f"--{option}", str(tmp_path / name))]
    assert main([*QUICK, *words]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names.values())
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    made = json.loads((tmp_path / "a.json").read_text())
    assert [case["key"] for case in made["cases"]] == ["step 4-5-3 m2 float32", "step 4-5-3 m4 float32"]
    assert made["machine"]["threads"] == 1
    assert made["settings"] == {"what": "step", "dtype": "float32", "seconds": 0.1, "peers": [], "sweep": None}
    assert f"wrote {tmp_path / 'a.csv'}" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["gradient", "predict", "epoch"])
def test_other_work_and_dtype(held, capsys, tmp_path, what):
    assert main([*QUICK, "--what", what, "--dtype", "float64", "--json", str(tmp_path / "a.json")]) == 0
    case = json.loads((tmp_path / "a.json").read_text())["cases"][0]
    assert (case["what"], case["dtype"]) == (what, "float64")
    assert all(row["speedup"] for row in case["engines"])


def test_a_sweep_reports_how_the_time_grows(held, capsys, monkeypatch):
    monkeypatch.setattr(
        cases,
        "sweep_cases",
        lambda over, sizes, m, dtype, what: [(n, cases.Case((sizes[0], n, 2), m, dtype, what)) for n in (1, 2)],
    )
    assert main(["bench", "--sizes", "4,5,2", "3,5,2", "--sweep", "width", "--seconds", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "growth from step 4-1-2 m10 float32 to step 4-2-2 m10 float32, over the upper half" in out
    assert out.count("time ~ width^") == 8


def test_the_table_of_networks(held, capsys, monkeypatch):
    monkeypatch.setattr(cases, "TABLE", (((2, 3, 1), 4),))
    monkeypatch.setattr(cases, "LARGEST", ((3, 2), 2))
    monkeypatch.setattr(cases, "BEYOND_CACHE", ((50, 2), 20, 40_000))
    monkeypatch.setattr(measure, "SECONDS_BEYOND_CACHE", 0.01)
    assert main(["bench", "--table", "--seconds", "0.1"]) == 0
    out = capsys.readouterr().out
    for name in ("[2, 3, 1], m = 4 ", "[3, 2], m = 2 ", "[50, 2], m = 20, 8 MB of data "):
        assert name in out


def test_the_schema_is_printed(capsys):
    assert main(["bench", "--schema"]) == 0
    assert "us_median" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------- what fails with 1


def test_a_comparison_passes_or_fails(held, capsys, tmp_path):
    path = tmp_path / "old.json"
    assert main([*QUICK, "--json", str(path)]) == 0
    assert main([*QUICK, "--compare", str(path), "--fail-below", "0.001"]) == 0
    assert "0 of 2 cases have less than 0% of the old speed-up" in capsys.readouterr().out
    assert main([*QUICK, "--compare", str(path), "--fail-below", "1000"]) == 1
    assert (
        "2 of 2 cases have less than 100000% of the old speed-up: step 4-5-3 m2 float32, step"
        in capsys.readouterr().out
    )


def test_an_implementation_with_a_wrong_result_fails_the_run(held, capsys, monkeypatch):
    original = NumpyMatrices._sums

    def with_a_sign_error(self, columns):
        nabla_w, nabla_b = original(self, columns)
        return [-nabla_w[0], *nabla_w[1:]], nabla_b

    monkeypatch.setattr(NumpyMatrices, "_sums", with_a_sign_error)
    assert main(QUICK) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("numpy"))
    assert "NOT TIMED: wrong result: differs from the book's loop by" in line


# ---------------------------------------------------------------------------------------------------- what fails with 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sizes", "4"], "sizes: expected"),
        (["--sizes", "4,0,2"], "sizes: expected"),
        (["--batch-size", "0"], "--batch-size: expected"),
        (["--batch-size", ","], "--batch-size: expected at least one whole number, got none"),
        (["--dtype", "int8"], "dtype: expected"),
        (["--peers", "torch,tensorflow"], "--peers: "),
        (["--seconds", "0"], "--seconds: expected"),
        (["--fail-below", "-1"], "--fail-below: expected"),
        (["--seed", "-1"], "--seed: expected"),
        (["--threads", "0"], "--threads: expected"),
        (["--threads", "100000"], "--threads: expected at most "),
        (["--table", "--sweep", "width"], "--table: expected no --sweep, got --sweep width"),
        (["--json", "a.txt"], "--json: expected a name ending in .json"),
        (["--csv", "/no/such/folder/a.csv"], "--csv: expected a folder that can be written to"),
        (["--cold", "--csv", "a.csv"], "--csv: expected only --json with --cold, got --csv a.csv"),
        (["--compare", "/no/such.json"], "/no/such.json"),
    ],
)
def test_errors_are_a_line_before_anything_is_measured(capsys, words, message):
    assert message in error_of(capsys, ["bench", *words])


def test_a_comparison_with_nothing_in_common_is_an_error(held, capsys, tmp_path):
    path = tmp_path / "old.json"
    assert main([*QUICK, "--json", str(path)]) == 0
    capsys.readouterr()
    words = ["bench", "--sizes", "2,2", "--compare", str(path)]
    assert "--compare: expected a run that timed one of these cases, got one that timed none" in error_of(capsys, words)


@pytest.mark.parametrize("words", [["--sizes", "4,x"], ["--what", "nothing"], ["--sweep", "nothing"]])
def test_words_that_cannot_be_parsed(capsys, words):
    with pytest.raises(SystemExit) as exit_:
        main(["bench", *words])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


# ---------------------------------------------------------------------------------------------------------------- peers


def test_peers_that_are_not_installed_are_reported(held, capsys, monkeypatch):
    found = importlib.util.find_spec
    hidden = ("torch", "jax", "sklearn")
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None if name in hidden else found(name))
    assert main([*QUICK, "--peers", "all"]) == 0
    out = capsys.readouterr().out
    for name in ("torch", "torch, compiled", "jax", "sklearn"):
        lines = [line for line in out.splitlines() if line.startswith(name + "  ") or line.startswith(name + " *")]
        assert len(lines) == 2
        assert all(line.endswith("not installed") for line in lines)


def test_a_peer_that_cannot_be_imported_is_reported(held, capsys, monkeypatch, tmp_path):
    (tmp_path / "mbbp_broken_peer.py").write_text("raise OSError('libmissing.so\\n is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(peers.Jax, "package", "mbbp_broken_peer")
    assert main([*QUICK, "--peers", "jax"]) == 0
    assert "cannot be imported: OSError: libmissing.so is missing" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------------- its process


def test_the_command_runs_in_a_held_process(capfd, tmp_path):
    program = tmp_path / "sitecustomize.py"
    program.write_text(
        "import os, sys\n"
        "names = 'MBBP_BENCH_THREADS', 'OPENBLAS_NUM_THREADS'\n"
        "print('child', *map(os.environ.get, names), file=sys.stderr)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    environment.pop(machine.HELD, None)
    words = ["bench", "--sizes", "3,2", "--batch-size", "2", "--what", "predict", "--seconds", "0.01"]
    done = subprocess.run(
        [sys.executable, "-m", "mbbp", *words], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "child 1 1" in done.stderr
    assert "[3, 2], m = 2   predict, float32" in done.stdout
    if hasattr(os, "sched_setaffinity"):
        assert "1 thread for every implementation, pinned to core " in done.stdout


def test_the_exit_code_of_the_held_process_is_the_commands(monkeypatch):
    run = command._run_held
    assert run([sys.executable, "-c", "raise SystemExit(1)"], dict(os.environ)) == 1
    assert run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], dict(os.environ)) == 137
    asked = []
    monkeypatch.setattr(command, "_run_held", lambda words, environment: asked.append((words, environment)) or 5)
    monkeypatch.delenv(machine.HELD, raising=False)
    assert main(QUICK) == 5
    assert asked[0][0] == [sys.executable, "-m", "mbbp", *QUICK]
    assert asked[0][1][machine.HELD] == "1"


HEARS_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "mbbp", *sys.argv[1:]])
"""


def on_a_terminal(words):
    """Start the command with a terminal as its standard error; return the process and the terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        # a test run in the background ignores Ctrl-C, and so would this process: HEARS_CTRL_C sets the default again
        [sys.executable, "-c", HEARS_CTRL_C, *words],
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def read_until(terminal, words=None):
    """Return the text on the terminal, up to some words or to its end."""
    seen = ""
    while words is None or words not in seen:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:  # on Linux: the other end is closed
            break
        if not part:
            break
        seen += part.decode()
    return seen


posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX terminals and signals")


@posix
@pytest.mark.parametrize("whole_group", [True, False])
def test_ctrl_c_ends_it_in_one_line(whole_group):
    process, terminal = on_a_terminal(["bench", "--sizes", "200,200,10", "--seconds", "100"])
    read_until(terminal, "checking")
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert read_until(terminal).endswith("\r\x1b[Kmbbp bench: interrupted\r\n")
    os.close(terminal)


@posix
def test_a_terminal_shows_what_is_being_done_and_is_cleared_at_the_end():
    process, terminal = on_a_terminal(
        ["bench", "--sizes", "3,2", "--batch-size", "2", "--what", "predict", "--seconds", "0.01"]
    )
    seen = read_until(terminal)
    out = process.communicate()[0].decode()
    os.close(terminal)
    assert "[3, 2], m = 2: checking mbbp" in seen
    assert "round 5 of 5" in seen
    assert seen.endswith("\r\x1b[K")
    assert "checking" not in out


def test_the_command_line_starts_without_the_comparison():
    code = "import mbbp.cli, sys; print(sorted(m for m in sys.modules if m.startswith('mbbp.bench')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['mbbp.bench', 'mbbp.bench.command']"


def test_the_help_prints_no_default_that_says_nothing(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "(default: 45.0)" in text
    for nothing in ("None", "False", ")", "["):
        assert f"(default: {nothing}" not in text


def test_the_help_counts_the_cases_of_the_table(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    words = {10: "ten", 11: "eleven", 12: "twelve"}
    assert f"measure {words[len(cases.TABLE) + 2]} cases: networks from tiny" in " ".join(
        capsys.readouterr().out.split()
    )
