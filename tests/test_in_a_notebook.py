"""What a notebook shows: tables and pictures with no magic word, a progress bar, and no warning and no raw fields."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
SETUP = """
import sys
import time
import mbbp

data = mbbp.datasets.load_digits()
X, y = data.x_train[:, :100], data.y_train[:100]
net = mbbp.Network([64, 5, 10], rng=0)
net.fit(X, y, epochs=1, learning_rate=3.0, progress=False)  # compiles
"""
WITHOUT_WIDGETS = 'import sys\nsys.modules["ipywidgets"] = None'
CELLS = {
    "fit": "history = net.fit(X, y, epochs=20, learning_rate=3.0)\nhistory",
    "diagnose": "diagnosis = mbbp.diagnose(net, X, y)\ndiagnosis",
    "check": "mbbp.check_gradients(net, X[:, :5], y[:5], max_parameters=5)",
    "printed": "print(diagnosis)",
    "network": "net",
    "gradient": "net.gradient(X, y)",
    "curve": "history.plot()",
    "bars": "diagnosis.plot()",
    "long fit": "history = net.fit(X, y, epochs=8, learning_rate=3.0, callbacks=lambda *_: time.sleep(0.2))",
    "hidden": "history = net.fit(X, y, epochs=4, callbacks=lambda *_: time.sleep(0.2), progress=False)",
    "stopped": """
begun = len(net.history)

def stop(net, row):
    time.sleep(0.2)
    if row.epoch == begun + 4:
        raise mbbp.StopTraining

history = net.fit(X, y, epochs=1000, callbacks=stop)
""",
}


def run(tmp_path, *before):
    """Run the cells in a notebook. Return the outputs of each, and the notebook's record of its widgets as text."""
    names = ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR")
    settings = {name: str(tmp_path / name.lower()) for name in names}
    settings["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    sources = [*before, SETUP, *CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.delenv("MPLBACKEND", raising=False)
        NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [cell.outputs for cell in notebook.cells[len(before) + 1 :]]
    return dict(zip(CELLS, outputs, strict=True)), str(notebook.metadata.get("widgets"))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return run(tmp_path_factory.mktemp("notebook"), WITHOUT_WIDGETS)[0]


def one(outputs):
    (output,) = outputs
    return output.data


def test_results_are_shown_in_a_notebook_as_tables(outputs):
    for cell, line in (
        ("fit", r"History\(21 epochs; the last: training cost \S+, training accuracy \S+%\)"),
        ("diagnose", r"Diagnosis\(2 layers, 100 examples: .*\)"),
        ("check", r"GradientCheck\(right: worst relative difference .* allowed \(numeric derivative: central\)\)"),
    ):
        shown = one(outputs[cell])
        assert shown["text/html"].startswith("<div><p>")
        assert "<table>" in shown["text/html"]
        assert re.fullmatch(line, shown["text/plain"])


def test_figures_are_shown_in_a_notebook_as_pictures(outputs):
    for cell in ("curve", "bars"):
        assert len(one(outputs[cell])["image/png"]) > 5000


def test_a_network_is_shown_as_a_table_and_a_gradient_as_a_line(outputs):
    assert "<table>" in one(outputs["network"])["text/html"]
    assert re.fullmatch(r"Gradient\(cost=\S+, norm=\S+, 385 parameters\)", one(outputs["gradient"])["text/plain"])


def test_print_shows_text_in_a_notebook(outputs):
    (output,) = outputs["printed"]
    assert output.name == "stdout"
    assert "saturated: neurons with" in output.text


def test_a_notebook_without_widgets_shows_a_bar_of_characters(outputs):
    assert {output.name for output in outputs["long fit"]} == {"stdout"}
    text = "".join(output.text for output in outputs["long fit"])
    assert re.search(r"\repoch \d/8 +\d+% \|.*\| 00:0\d < 00:0\d, cost [\d.]+, training \d+\.\d+%", text)
    assert text.split("\r")[-1] == ""
    assert text.split("\r")[-2].strip() == ""  # it is cleared at the end


def test_no_bar_is_left_in_a_notebook_by_a_short_training_or_where_it_is_not_wanted(outputs):
    assert [output.output_type for output in outputs["fit"]] == ["execute_result"]
    assert outputs["hidden"] == []


def test_nothing_warns_in_a_notebook(outputs):
    streams = [output for cell in outputs.values() for output in cell if output.output_type == "stream"]
    assert [output.text for output in streams if output.name == "stderr"] == []


def test_a_notebook_with_widgets_shows_one_bar_and_it_does_not_turn_red(tmp_path):
    pytest.importorskip("ipywidgets")
    outputs, widgets = run(tmp_path)
    for cell in ("long fit", "stopped"):
        assert "application/vnd.jupyter.widget-view+json" in one(outputs[cell])
    assert "FloatProgressModel" in widgets
    assert "danger" not in widgets
    assert outputs["hidden"] == []
    assert [output.output_type for output in outputs["fit"]] == ["execute_result"]
