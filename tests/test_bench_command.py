"""The command ``mbbp bench``, from its words to its exit code."""

import importlib.util
import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

import mbbp
from mbbp.bench import cases, cold, command, machine, peers
from mbbp.bench import measure as measuring
from mbbp.bench.engines import NumpyMatrices
from mbbp.cli import main
from tests.conftest import JIT

QUICK = ["bench", "--sizes", "4,5,3", "--batch-size", "2,4", "--seconds", "0.1"]


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Short samples, and whatever is set for a process set back."""
    threads = mbbp.get_threads()
    pin, allowed = getattr(os, "sched_setaffinity", None), getattr(os, "sched_getaffinity", lambda _: None)(0)
    monkeypatch.setattr(measuring, "SECONDS_PER_SAMPLE", 0.0005)
    monkeypatch.setattr(cases, "EXAMPLES", 64)
    yield
    mbbp.set_threads(threads)
    if pin is not None:
        pin(0, allowed)


@pytest.fixture
def held(monkeypatch):
    """As in the process that the command starts."""
    monkeypatch.setenv(machine.HELD, "1")
    monkeypatch.setenv(machine.STARTED, str(time.time()))


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
    for engine in ("per-example ", "per-example, float32", "numpy", "mbbp"):
        assert sum(line.startswith(engine) for line in out.splitlines()) == 2
    assert "1 thread for every engine" in out
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


def test_a_sweep_says_how_the_time_grows(held, capsys, monkeypatch):
    monkeypatch.setattr(
        cases,
        "sweep_cases",
        lambda over, sizes, m, dtype, what: [(n, cases.Case((sizes[0], n, 2), m, dtype, what)) for n in (1, 2)],
    )
    assert main(["bench", "--sizes", "4,5,2", "3,5,2", "--sweep", "width", "--seconds", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "growth from step 4-1-2 m10 float32 to step 4-2-2 m10 float32, over the upper half" in out
    assert out.count("time ~ width^") == 8


def test_the_table_of_nine(held, capsys, monkeypatch):
    monkeypatch.setattr(cases, "TABLE", (((2, 3, 1), 4),))
    monkeypatch.setattr(cases, "LARGEST", ((3, 2), 2))
    assert main(["bench", "--table", "--seconds", "0.1"]) == 0
    assert "[2, 3, 1], m = 4" in capsys.readouterr().out


def test_the_schema_is_printed(capsys):
    assert main(["bench", "--schema"]) == 0
    assert "us_median" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------- what fails with 1


def test_a_comparison_passes_or_fails(held, capsys, tmp_path):
    path = tmp_path / "old.json"
    assert main([*QUICK, "--json", str(path)]) == 0
    assert main([*QUICK, "--compare", str(path), "--fail-below", "0.001"]) == 0
    assert "0 of 2 kept less than 0%" in capsys.readouterr().out
    assert main([*QUICK, "--compare", str(path), "--fail-below", "1000"]) == 1
    assert "2 of 2 kept less than 100000%: step 4-5-3 m2 float32, step 4-5-3 m4 float32" in capsys.readouterr().out


def test_an_engine_that_computes_something_else_fails_the_run(held, capsys, monkeypatch):
    original = NumpyMatrices._backward

    def with_a_sign_error(self, columns):
        nabla_w, nabla_b = original(self, columns)
        return [-nabla_w[0], *nabla_w[1:]], nabla_b

    monkeypatch.setattr(NumpyMatrices, "_backward", with_a_sign_error)
    assert main(QUICK) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("numpy"))
    assert "NOT TIMED: computes something else: differs from the book's loop by" in line


# ---------------------------------------------------------------------------------------------------- what fails with 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sizes", "4"], "at least two layers"),
        (["--sizes", "4,0,2"], "sizes"),
        (["--batch-size", "0"], "--batch-size: 1 or more is wanted, got 0"),
        (["--batch-size", ","], "--batch-size: at least one"),
        (["--dtype", "int8"], "dtype: 'float32' or 'float64' is wanted"),
        (["--peers", "torch,tensorflow"], "--peers: unknown name 'tensorflow'; known are all, jax, sklearn, torch"),
        (["--seconds", "0"], "--seconds"),
        (["--fail-below", "-1"], "--fail-below"),
        (["--seed", "-1"], "--seed"),
        (["--threads", "0"], "--threads"),
        (["--threads", "100000"], "--threads: there are "),
        (["--table", "--sweep", "width"], "--table"),
        (["--json", "a.txt"], "--json: a name ending .json is wanted"),
        (["--csv", "/no/such/folder/a.csv"], "--csv: cannot write to the folder"),
        (["--cold", "--csv", "a.csv"], "--csv: --cold has only --json"),
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
    assert "the old run timed none of these cases" in error_of(capsys, words)


@pytest.mark.parametrize("words", [["--sizes", "4,x"], ["--what", "nothing"], ["--sweep", "nothing"]])
def test_words_that_cannot_be_parsed(capsys, words):
    with pytest.raises(SystemExit) as exit_:
        main(["bench", *words])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


# ---------------------------------------------------------------------------------------------------------------- peers


def test_peers_that_are_not_installed_are_said_so(held, capsys, monkeypatch):
    found = importlib.util.find_spec
    hidden = ("torch", "jax", "sklearn")
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None if name in hidden else found(name))
    assert main([*QUICK, "--peers", "all"]) == 0
    out = capsys.readouterr().out
    for name in ("torch", "torch, compiled", "jax", "sklearn"):
        lines = [line for line in out.splitlines() if line.startswith(name + "  ") or line.startswith(name + " *")]
        assert len(lines) == 2
        assert all(line.endswith("not installed") for line in lines)


def test_a_peer_that_cannot_be_imported_is_said_so(held, capsys, monkeypatch, tmp_path):
    (tmp_path / "mbbp_broken_peer.py").write_text("raise OSError('libmissing.so\\n is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(peers.Jax, "package", "mbbp_broken_peer")
    assert main([*QUICK, "--peers", "jax"]) == 0
    assert "cannot be imported: OSError: libmissing.so is missing" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------------- the machine


def test_the_environment_holds_every_library(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--some_flag")
    environment = machine.held_environment(2)
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        assert environment[f"{name}_NUM_THREADS"] == "2"
    wanted = "--some_flag --xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads=2"
    assert environment["XLA_FLAGS"] == wanted
    monkeypatch.delenv("XLA_FLAGS")
    assert machine.held_environment(2)["XLA_FLAGS"].startswith("--")  # or XLA would take it for a file's name
    assert "--xla_cpu_multi_thread_eigen=false" in machine.held_environment(1)["XLA_FLAGS"]
    assert not machine.is_held(2)
    monkeypatch.setenv(machine.HELD, "2")
    assert machine.is_held(2)
    assert not machine.is_held(1)
    assert machine.seconds_so_far() == 0.0
    monkeypatch.setenv(machine.STARTED, str(time.time() - 5))
    assert 5 <= machine.seconds_so_far() < 60


def test_where_cores_cannot_be_pinned_the_run_goes_on(held, capsys, monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert machine.pin(1) is None
    monkeypatch.setattr(machine, "available_cores", lambda: 1)
    assert "NOT pinned" in _header(machine.describe(1, None, 0))


def _header(described):
    from mbbp.bench.table import header

    return header(described)


def test_refusing_to_be_pinned_is_no_crash(monkeypatch):
    def refuse(*_):
        raise OSError("not permitted")

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 5}, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
    assert machine.pin(2) is None


def test_the_machine_is_described_without_what_it_does_not_tell(monkeypatch):
    monkeypatch.setattr(machine, "Path", lambda _: open("/no/such/file"))  # noqa: PTH123, SIM115
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    described = machine.describe(1, [0], 3)
    assert described["processor"]
    assert described["blas"]["kernel"] is None
    assert described["versions"]["numpy"]
    assert described["seed"] == 3


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
        assert "1 thread for every engine, pinned to core " in done.stdout


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
    """Start the command with a terminal for what it says on the side; return the process and the terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        # what is started in the background ignores Ctrl-C, and so would its children: a terminal's do not
        [sys.executable, "-c", HEARS_CTRL_C, *words],
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def read_until(terminal, wanted=None):
    """Return what is on the terminal, up to some words or to its end."""
    seen = ""
    while wanted is None or wanted not in seen:
        try:
            part = os.read(terminal, 1 << 16)
        except OSError:  # how Linux says that nobody writes any more
            break
        if not part:
            break
        seen += part.decode()
    return seen


posix = pytest.mark.skipif(sys.platform == "win32", reason="terminals and signals are POSIX's")


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
def test_a_terminal_sees_what_goes_on_and_then_no_trace_of_it():
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


# ----------------------------------------------------------------------------------------------------------------- cold


def test_cold_starts_are_measured_in_processes(held, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(cold, "RUNS", 2)
    monkeypatch.setitem(cold._PROGRAMS, "mbbp", ("import mbbp", "import os; os.environ['NUMBA_CACHE_DIR']"))
    monkeypatch.setitem(cold._PROGRAMS, "jax", ("import json", "raise OSError('no such thing')"))
    monkeypatch.setitem(cold._PROGRAMS, "sklearn", ("import json", "pass"))
    found = importlib.util.find_spec
    places = {"torch": None, "jax": found("json"), "sklearn": found("json")}
    monkeypatch.setattr(cold.importlib.util, "find_spec", lambda name: places[name] if name in places else found(name))
    assert main(["bench", "--cold", "--peers", "all", "--json", str(tmp_path / "a.json")]) == 0
    out = capsys.readouterr().out
    assert "torch                     not installed" in out
    assert "jax                       fails: OSError: no such thing" in out
    rows = json.loads((tmp_path / "a.json").read_text())["cold"]
    assert [(row["engine"], row.get("note")) for row in rows[:2]] == [
        ("mbbp", "empty cache"),
        ("mbbp", "compiled before"),
    ]
    assert all(row["import_seconds"] > 0 for row in rows if "refused" not in row)
    assert rows[-1]["runs"] == 2


@pytest.mark.parametrize("name", ["mbbp", "torch", "jax", "sklearn"])
def test_the_programs_of_cold_starts_run(name):
    if name != "mbbp":
        pytest.importorskip(name)
    times = cold._run(name, dict(os.environ))
    assert len(times) == 2
    assert all(seconds > 0 for seconds in times)


def test_the_command_line_starts_without_the_comparison():
    code = "import mbbp.cli, sys; print(sorted(m for m in sys.modules if m.startswith('mbbp.bench')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['mbbp.bench', 'mbbp.bench.command']"


@pytest.mark.skipif(not JIT, reason="measures compiled code")
def test_the_times_are_those_of_net_fit_and_of_the_reference_loop_by_hand(monkeypatch):
    """Loosely, since a test may run on a busy machine: it is the scale and the unit that this would catch."""
    import numpy as np

    from mbbp.bench.cases import Case, make_examples
    from mbbp.bench.engines import ENGINES
    from mbbp.bench.measure import measure_case

    monkeypatch.setattr(measuring, "SECONDS_PER_SAMPLE", 0.01)
    monkeypatch.setattr(cases, "EXAMPLES", 2048)
    case = Case((200, 30, 10), 10)
    rows, targets = make_examples(case, 0).rows("float32")
    mbbp.set_threads(1)
    net = mbbp.Network(case.sizes, rng=0)
    net.fit(rows.T, targets.T, epochs=2, batch_size=10, progress=False)
    net.fit(rows.T, targets.T, epochs=30, batch_size=10, progress=False)
    by_hand = np.min(net.history["seconds"][2:]) / (2048 / 10) * 1e6
    assert 1 / 4 < measure_case(case, ENGINES, 0.5, 0).of("mbbp").minimum / by_hand < 4
