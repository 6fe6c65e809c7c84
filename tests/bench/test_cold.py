"""Cold starts, measured in new processes."""

import importlib.util
import json
import os

import pytest

from mbbp.bench import cold
from mbbp.cli import main
from mbbp.kernels.lowlevel import prebuilt

pytestmark = pytest.mark.usefixtures("restored")


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
    assert f"{'torch':<34}  not installed" in out
    assert f"{'jax':<34}  fails: OSError: no such thing" in out
    rows = json.loads((tmp_path / "a.json").read_text())["cold"]
    installed = [("mbbp", "installed kernels"), ("mbbp, float64", "installed kernels")]
    compiled = [("mbbp", "empty cache"), ("mbbp", "compiled before")]
    expected = compiled if prebuilt.why_not() else [*installed, *compiled]
    assert [(row["engine"], row.get("note")) for row in rows[: len(expected)]] == expected
    assert all(row["import_seconds"] > 0 for row in rows if "refused" not in row)
    assert rows[-1]["runs"] == 2


@pytest.mark.parametrize("name", list(cold._PROGRAMS))
def test_the_programs_of_cold_starts_run(name):
    if not name.startswith("mbbp"):
        pytest.importorskip(name)
    times = cold._run(name, dict(os.environ))
    assert len(times) == 3
    assert all(seconds > 0 for seconds in times)
