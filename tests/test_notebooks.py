"""The notebooks run from start to end, show their figures, and are stored without outputs."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import JIT

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIGURES = {
    "01-from-one-neuron-to-matrices": 8,
    "02-the-four-equations": 11,
    "03-one-backward-pass-for-a-mini-batch": 6,
    "04-learning-and-why-it-slows-down": 12,
    "05-the-big-picture": 8,
    "06-coming-from-scikit-learn": 5,
    "07-fitting-a-function": 8,
    "08-many-networks-at-once": 5,
}
"""The least number of figures that each notebook shows."""

PROGRESS_BAR = "application/vnd.jupyter.widget-view+json"  # of a training that takes long
STRIP = "jupyter nbconvert --clear-output --inplace notebooks/*.ipynb"
all_notebooks = pytest.mark.parametrize("name", FIGURES)


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)


def prose_of(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def links_in(text):
    """Return the targets of all links to files of the repository."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


def without_code(text):
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


@pytest.mark.skipif(
    not JIT, reason="they train networks and measure speed, which takes many minutes without compiled kernels"
)
@all_notebooks
def test_it_runs_from_start_to_end(name, tmp_path, monkeypatch):
    # without the user's Jupyter kernels, settings and start-up files
    for variable in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    paths = [str(FOLDER), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    work = tmp_path / "work"
    work.mkdir()
    notebook = read(name)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(work)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    warnings = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert not warnings, "".join(warnings)
    shown = [output.data for output in outputs if output.output_type in ("display_data", "execute_result")]
    figures = [data for data in shown if "image/png" in data]
    others = [data.get("text/plain", data) for data in shown if "image/png" not in data and PROGRESS_BAR not in data]
    assert not others, f"a cell shows the value of its last line: {others}"
    assert len(figures) >= FIGURES[name]
    assert list(work.iterdir()) == [], "a notebook has left files"


def test_every_notebook_is_in_this_table():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(FIGURES)


@all_notebooks
def test_it_is_valid_and_has_no_outputs(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    for cell in notebook.cells:
        assert cell.source.strip(), f"cell {cell.id} is empty"
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None), f"cell {cell.id} has outputs; {STRIP}"


@all_notebooks
def test_its_text_contains_no_measured_number(name):
    """A cell prints each measured number. A number in the text would be wrong after the next change."""
    for text in prose_of(read(name)):
        bare = without_code(text)
        bare = re.sub(r"\$\$.*?\$\$|\$[^$]*\$", "", bare, flags=re.DOTALL)  # formulas
        bare = re.sub(r"\]\([^)]*\)", "]", bare)  # targets of links
        bare = re.sub(r"\(\d\d?\)|\bBP\d\b", "", bare)  # numbers of equations
        bare = re.sub(r"\b([Cc]hapter|layer) \d", "", bare)
        assert not re.search(r"\d", bare), bare


@all_notebooks
def test_its_text_has_no_formal_errors(name):
    texts = prose_of(read(name))
    assert re.match(r"# [A-Z]", texts[0])
    for text in texts:
        bare = without_code(text)
        assert bare.count("$") % 2 == 0, f"a formula has no end: {text}"
        assert not re.search(r"\b(TODO|FIXME|XXX)\b|\b(\w+) \2\b|[ \t]$", bare, re.MULTILINE), text
        assert max(map(len, text.splitlines())) <= 120, text
        for target in links_in(text):
            assert (FOLDER / target).is_file(), target
    assert sum(len(re.findall(r"^# ", without_code(text), re.MULTILINE)) for text in texts) == 1


def test_the_readme_links_each_notebook_and_says_how_to_clear_outputs():
    section = README.partition("\n## Notebooks\n")[2].partition("\n## ")[0]
    linked = [target for target in links_in(section) if target.startswith("notebooks/")]
    assert linked == [*(f"notebooks/{name}.ipynb" for name in FIGURES), "notebooks/README.md"]
    for name in FIGURES:
        title = prose_of(read(name))[0].splitlines()[0].removeprefix("# ")
        assert f"[{title}](notebooks/{name}.ipynb)" in README
    assert STRIP in README
