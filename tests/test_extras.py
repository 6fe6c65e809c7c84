"""Packages that may be missing: the message helps after any install, and hides no other error."""

import sys

import pytest

from mbbp.extras import load_extra, missing_extra


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("matplotlib.figure", "plot: needs matplotlib; pip install matplotlib"),
        ("sklearn.base", "plot: needs sklearn; pip install scikit-learn"),
        ("no_such_package_at_all", "plot: needs no_such_package_at_all; pip install no_such_package_at_all"),
    ],
)
def test_a_missing_package_is_named_with_what_to_install(module, message, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError) as caught:
        load_extra("plot", module)
    assert str(caught.value) == message
    assert caught.value.name == module.partition(".")[0]


def test_the_reason_is_told():
    assert str(missing_extra("a", "b", "c")) == "a: needs b, because c; pip install b"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("import no_such_package_at_all", "no_such_package_at_all"),
        ("raise ImportError('built for NumPy 1')", "NumPy 1"),
    ],
)
def test_a_package_that_is_there_but_broken_tells_its_own_error(content, error, tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text(content, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=error) as caught:
        load_extra("plot", "broken_package")
    assert "pip install" not in str(caught.value)
