"""The history: its values, and its forms: sequence, dict, DataFrame and plot."""

import json
import re
import sys
import time

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import mbbp
from mbbp import Epoch, History
from tests.problems import N, continuous, epoch, figures, history_of, labelled, mini_batches, network

VALIDATION = labelled(n=200, seed=1)
THREE = History([epoch(i, training_cost=4.0 / i, training_accuracy=0.2 * i) for i in (1, 2, 3)])


# --------------------------------------------------------------------------------------------------------- the figures


@pytest.mark.parametrize("batch_size", [1, 5, N])
@pytest.mark.parametrize("clip_norm", [None, 1e-3])
def test_training_figures_are_as_the_mini_batches_met_them(batch_size, clip_norm):
    X, y = labelled()
    net, twin = network(), network()
    batches = mini_batches(net.rng, N, batch_size, 1)
    costs, right = [], 0
    for batch in batches:
        costs += [mbbp.reference.cost(twin, X[:, batch], y[batch]) * len(batch)]
        right += (twin.classify(X[:, batch]) == y[batch]).sum()
        gradient = mbbp.reference.gradient(twin, X[:, batch], y[batch]).theta
        twin.fit(X[:, batch], y[batch], epochs=1, batch_size=N, learning_rate=0.5, clip_norm=clip_norm)
    row = net.fit(X, y, epochs=1, batch_size=batch_size, learning_rate=0.5, clip_norm=clip_norm)[0]
    assert row.training_cost == pytest.approx(sum(costs) / N, rel=1e-12)
    assert row.training_accuracy == right / N
    assert row.gradient_norm == pytest.approx(np.linalg.norm(gradient), rel=1e-12)  # before clipping


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_gradients_norm_is_measured_for_every_optimizer(optimizer):
    net = network()
    norm = np.linalg.norm(net.gradient(*labelled()).theta)
    assert net.fit(*labelled(), epochs=1, batch_size=N, optimizer=optimizer)[0].gradient_norm == pytest.approx(norm)


def test_l2_is_in_no_recorded_figure():
    rows = [network().fit(*labelled(), epochs=1, batch_size=N, l2=l2)[0] for l2 in (0.0, 9.0)]
    assert figures(rows[:1]) == figures(rows[1:])


def test_validation_figures_are_those_of_the_network_after_the_epoch():
    seen = []

    def look(net, row):
        seen.append((net.cost(*VALIDATION), net.accuracy(*VALIDATION)))
        assert row.validation_cost == pytest.approx(mbbp.reference.cost(net, *VALIDATION), rel=1e-12)
        assert row.validation_accuracy == (net.classify(VALIDATION[0]) == VALIDATION[1]).mean()

    history = network().fit(*labelled(), epochs=3, learning_rate=0.5, validation_data=VALIDATION, callbacks=look)
    assert list(zip(history["validation_cost"], history["validation_accuracy"], strict=True)) == seen
    assert len(set(history["validation_cost"])) == 3


@pytest.mark.parametrize(
    ("problem", "validation_data", "unmeasured"),
    [
        (labelled, VALIDATION, []),
        (labelled, None, ["validation_cost", "validation_accuracy"]),
        (continuous, continuous(), ["training_accuracy", "validation_accuracy"]),
        (continuous, None, ["training_accuracy", "validation_cost", "validation_accuracy"]),
    ],
)
def test_what_is_not_measured_is_none(problem, validation_data, unmeasured):
    row = network().fit(*problem(), epochs=1, validation_data=validation_data)[0]
    of_other_methods = list(Epoch._field_defaults)
    assert [name for name, value in row._asdict().items() if value is None] == unmeasured + of_other_methods


def test_time_is_that_of_the_training_alone():
    X, y = labelled()
    began = time.perf_counter()
    history = network().fit(X, y, epochs=3, callbacks=lambda net, row: time.sleep(0.05))
    assert 0 < sum(history["seconds"]) < time.perf_counter() - began - 0.15
    for row in history:
        assert row.examples_per_second == pytest.approx(N / row.seconds)


# ---------------------------------------------------------------------------------------------------------- a sequence


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (0, THREE[0]),
        (-1, epoch(3, training_cost=4.0 / 3, training_accuracy=0.2 * 3)),
        (np.int64(1), THREE[1]),
        (slice(1, None), History([THREE[1], THREE[2]])),
        (slice(0, 0), History()),
        ("epoch", [1, 2, 3]),
        ("training_cost", [4.0, 2.0, 4.0 / 3]),
        ("validation_cost", [None, None, None]),
    ],
    ids=str,
)
def test_it_is_indexed_by_number_slice_and_name(key, found):
    assert THREE[key] == found


def test_it_is_a_sequence():
    assert len(THREE) == 3
    assert [row.epoch for row in THREE] == [1, 2, 3]
    assert THREE[1] in THREE
    assert THREE.index(THREE[1]) == 1
    assert [row.epoch for row in reversed(THREE)] == [3, 2, 1]
    with pytest.raises(IndexError):
        THREE[3]


def test_an_unknown_name_lists_those_that_are_known():
    with pytest.raises(ValueError, match=r"history: expected one of .*, got 'loss'") as caught:
        THREE["loss"]
    assert all(name in str(caught.value) for name in Epoch._fields)


def test_equality_is_of_all_rows():
    assert History(list(THREE)) == THREE
    assert THREE[:2] != THREE
    assert history_of("training_cost", [1.0]) != history_of("training_cost", [2.0])
    assert list(THREE) != THREE


def test_a_slice_is_a_history_of_its_own():
    part = THREE[:]
    part.append(epoch(4))
    assert (len(part), len(THREE)) == (4, 3)


def test_repr_is_one_line_of_the_last_figures():
    assert repr(History()) == "History(no epoch)"
    assert repr(THREE[:1]) == "History(1 epoch; the last: training cost 4, training accuracy 20.00%)"
    both = History([epoch(1, training_cost=1e-3, validation_cost=2.5, validation_accuracy=0.5)])
    assert (
        repr(both) == "History(1 epoch; the last: training cost 0.001, validation cost 2.5, validation accuracy 50.00%)"
    )


def rows_of(html):
    """Return the cells of an HTML table, row by row."""
    rows = re.findall("<tr>(.*?)</tr>", html)
    return [re.findall("<t[hd]>(.*?)</t[hd]>", row) for row in rows]


def test_a_notebook_shows_a_table_of_what_was_measured():
    html = THREE._repr_html_()
    headings, *rows = rows_of(html)
    assert headings == [
        "epoch", "training cost", "training accuracy", "learning rate", "gradient norm", "seconds", "examples/second"
    ]  # fmt: skip
    assert [row[:3] for row in rows] == [["1", "4", "20.00%"], ["2", "2", "40.00%"], ["3", "1.33333", "60.00%"]]
    assert repr(THREE) in html


def test_of_a_long_history_a_notebook_shows_the_first_and_the_last_epochs():
    many = history_of("training_cost", [1.0] * 30)
    assert [row[0] for row in rows_of(many._repr_html_())[1:]] == ["1", "2", "3", "…", "26", "27", "28", "29", "30"]
    assert [row[0] for row in rows_of(many[:9]._repr_html_())[1:]] == [str(i) for i in range(1, 10)]


def test_of_no_epoch_a_notebook_shows_the_text():
    assert History()._repr_html_() is None


@pytest.mark.parametrize(
    ("name", "gains"),
    [("training_cost", [-1.0, -2.0]), ("seconds", [-1.0, -2.0]), ("validation_accuracy", [1.0, 2.0])],
)
def test_gains_grow_with_what_is_better(name, gains):
    assert history_of(name, [1.0, 2.0]).gains(name) == gains
    assert history_of(name, [None]).gains(name) == [-np.inf]


# ------------------------------------------------------------------------------------------------------- other formats


def test_to_dict_is_ready_for_json():
    history = network(dtype="float32").fit(*labelled(), epochs=2, validation_data=VALIDATION)
    back = json.loads(json.dumps(history.to_dict(), allow_nan=False))
    assert list(back) == list(Epoch._fields)
    assert History([Epoch(*row) for row in zip(*back.values(), strict=True)]) == history


def test_to_frame_has_a_row_an_epoch():
    frame = THREE.to_frame()
    assert frame.index.name == "epoch"
    assert list(frame.index) == [1, 2, 3]
    assert list(frame.columns) == list(Epoch._fields[1:])
    assert list(frame["training_cost"]) == THREE["training_cost"]
    assert frame["validation_cost"].isna().all()


@pytest.mark.parametrize(
    ("method", "module", "message"),
    [
        ("to_frame", "pandas", "to_frame: needs pandas; pip install pandas$"),
        ("plot", "matplotlib.figure", "plot: needs matplotlib; pip install matplotlib$"),
    ],
)
def test_without_an_extra_it_says_how_to_get_it(method, module, message, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=message):
        getattr(THREE, method)()


# ------------------------------------------------------------------------------------------------------------- pictures


def lines(axes):
    """Return what an axes shows: the points of each line by its label."""
    return {line.get_label(): np.column_stack(line.get_data()).tolist() for line in axes.lines}


def test_plot_draws_cost_and_accuracy_of_both_data_sets():
    history = History(
        [
            epoch(i, training_cost=1 / i, validation_cost=2 / i, training_accuracy=0.5, validation_accuracy=0.4)
            for i in (1, 2)
        ]
    )
    figure = history.plot()
    assert isinstance(figure, Figure)
    cost, accuracy = figure.axes
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch", "epoch"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["cost", "accuracy (fraction right)"]
    assert lines(cost) == {"training": [[1, 1], [2, 0.5]], "validation": [[1, 2], [2, 1]]}
    assert lines(accuracy) == {"training": [[1, 0.5], [2, 0.5]], "validation": [[1, 0.4], [2, 0.4]]}
    assert cost.get_yscale() == "log"
    assert [text.get_text() for text in cost.get_legend().get_texts()] == ["training", "validation"]


def test_plot_leaves_out_what_was_not_measured():
    (cost,) = history_of("validation_cost", [None, 0.5]).plot().axes
    assert cost.get_ylabel() == "cost"
    assert list(lines(cost)) == ["training", "validation"]
    np.testing.assert_array_equal(lines(cost)["validation"], [[1, np.nan], [2, 0.5]])
    assert list(lines(THREE.plot().axes[0])) == ["training"]


def test_plot_of_a_cost_of_0_is_on_a_linear_scale():
    assert history_of("training_cost", [1.0, 0.0]).plot().axes[0].get_yscale() == "linear"


@pytest.mark.parametrize("n", [1, 2, 3, 30])
def test_the_ticks_of_plot_are_epochs(n):
    figure = history_of("training_cost", [1.0 / (i + 1) for i in range(n)]).plot()
    figure.draw_without_rendering()
    ticks = figure.axes[0].get_xticks()
    assert len(ticks) > 0
    assert all(tick == round(tick) for tick in ticks)


@pytest.mark.parametrize("as_text", [True, False])
def test_plot_writes_a_picture_that_opens(as_text, tmp_path):
    path = tmp_path / "history.png"
    THREE.plot(str(path) if as_text else path)
    picture = imread(path)
    assert picture.shape[0] > 300
    assert picture.shape[1] > 600
    assert len(np.unique(picture)) > 10
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["history.xyz", "history", "history.png.txt", ".png"])
def test_plot_under_an_unknown_ending_is_refused_before_anything_is_drawn(name, tmp_path, monkeypatch):
    monkeypatch.setattr("mbbp.history.new_figure", None)
    with pytest.raises(ValueError, match=r"^path: expected a name ending in \.png or \.svg or \.pdf, got '.*" + name):
        THREE.plot(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_plot_into_no_folder_or_under_no_path_is_refused_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr("mbbp.history.new_figure", None)
    with pytest.raises(ValueError, match=r"^path: expected a folder that can be written to, got "):
        THREE.plot(tmp_path / "nowhere" / "history.png")
    with pytest.raises(TypeError, match=r"^path: expected a path, got 3$"):
        THREE.plot(3)


def test_plot_of_no_epoch_says_so():
    with pytest.raises(ValueError, match="plot: expected a history with at least one epoch, got none"):
        History().plot()
