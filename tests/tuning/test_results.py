"""The result as a table, a DataFrame and a picture."""

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import mbbp
from mbbp.tuning import CandidateResult, SearchResult
from tests.tuning.searches import HALVING, SPACE, find


def one(number, score, **more):
    facts = {"seed": 0, "rungs": 1, "epochs": 2, "diverged": score is None, "scores": (score, score)}
    return CandidateResult(number, {"hidden": [5, 3], "learning_rate": 0.123456}, score=score, **facts | more)


NET = mbbp.Network([2, 1], rng=0)
THREE = SearchResult((one(4, 0.25), one(0, 0.5), one(1, None)), NET, "validation_cost", (2,))


def test_the_table():
    assert THREE.table() == (
        "candidate  hidden  learning_rate  rungs  epochs  validation_cost\n"
        "4          [5, 3]         0.1235      1       2             0.25\n"
        "0          [5, 3]         0.1235      1       2              0.5\n"
        "1          [5, 3]         0.1235      1       2         diverged"
    )
    assert THREE.table(1).splitlines()[1:] == [THREE.table().splitlines()[1], "and 2 more"]
    assert repr(THREE) == "SearchResult(3 candidates, the best validation cost 0.25, 1 diverged)"
    assert str(THREE) == f"{THREE!r}\n\n{THREE.table()}"
    with pytest.raises(ValueError, match="most: expected 1 or more"):
        THREE.table(0)


def test_a_notebook_shows_the_best():
    many = SearchResult(tuple(one(i, float(i)) for i in range(30)), NET, "training_accuracy", (2,), True)
    found = many._repr_html_()
    assert found.count("<tr>") == 11
    assert "<p>and 20 more</p>" in found
    assert "the best training accuracy 0.00%, interrupted" in found
    assert str(many).endswith("and 20 more")


def test_the_frame():
    frame = find(**HALVING).to_frame()
    assert frame.index.name == "candidate"
    assert list(frame.columns) == [*sorted(SPACE), "rungs", "epochs", "diverged", "score"]
    assert len(frame) == 9
    assert frame.score[frame.rungs == 3].size == 1
    assert SearchResult((), None, "validation_cost", (2,)).to_frame().empty


def test_the_picture(tmp_path):
    result = find(**HALVING)
    figure = result.plot(tmp_path / "search.png")
    assert isinstance(figure, Figure)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == ["epoch", *(name.replace("_", " ") for name in sorted(SPACE))]
    assert {axes.get_ylabel() for axes in shown} == {"validation cost"}
    lines = shown[0].get_lines()
    curves = [tuple(line.get_ydata()) for line in lines if len(line.get_ydata()) > 1]
    assert result.candidates[0].scores in curves
    assert imread(tmp_path / "search.png").shape[0] > 400


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [("a.gif", ValueError, "path: expected a name ending in"), (3, TypeError, "path: expected a path, got 3")],
)
def test_a_path_is_checked_before_the_picture_is_drawn(path, kind, message):
    with pytest.raises(kind, match=message):
        THREE.plot(path)


def test_a_picture_of_many_names_and_of_one_epoch():
    names = [one(i, 1.0, epochs=1, scores=(1.0,)) for i in range(20)]
    named = [
        CandidateResult(i, {"a": f"a name of many letters {i}", "b": [i] * (i % 3)}, 0, 1.0, 1, 1, False, (1.0,))
        for i in range(20)
    ]
    for candidates in (names, named):
        SearchResult(tuple(candidates), NET, "validation_cost", (1,)).plot()
