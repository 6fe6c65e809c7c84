"""The race between the estimators: the same losses, times in turns, tables, and what the command refuses."""

import importlib
import json
import math
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import mbbp.sklearn
from mbbp.bench import fit, fit_data, fit_table, record
from mbbp.bench.fit import OURS, THEIRS, FitResult, Race, RowResult
from mbbp.bench.fit_data import Problem
from mbbp.cli import main
from tests.bench.helpers import MACHINE
from tests.bench.test_command import error_of
from tests.conftest import JIT

pytestmark = [
    pytest.mark.usefixtures("restored"),
    pytest.mark.skipif(not JIT, reason="these trainings need compiled kernels"),
]

SMALL = (
    Problem("some classes", 3, lambda: fit_data.classes(300)),
    Problem("some numbers", 2, lambda: fit_data.numbers(200), is_regression=True),
)


@pytest.fixture
def small(monkeypatch):
    """Have two small data sets, and one that is missing."""

    def missing():
        raise FileNotFoundError("no files")

    monkeypatch.setattr(fit_data, "PROBLEMS", (*SMALL, Problem("missing", 1, missing)))
    monkeypatch.setattr(fit, "BATCH_SIZES", (200, 20))
    monkeypatch.setattr(fit, "SECONDS_PER_SEED", 1e-6)
    monkeypatch.setattr(fit, "TURNS", 2)


@pytest.fixture
def wrong(monkeypatch):
    """Have an estimator of ours whose losses are wrong."""

    class Wrong(mbbp.sklearn.MLPClassifier):
        def fit(self, X, y):
            super().fit(X, y)
            self.loss_curve_ = [loss * (1 + 1e-5) for loss in self.loss_curve_]
            return self

    monkeypatch.setattr(mbbp.sklearn, "MLPClassifier", Wrong)


def fit_result(ours, problem=SMALL[0], difference=1e-12):
    return FitResult(
        problem,
        32,
        difference,
        {THEIRS: [1.0, 2.0, 3.0], OURS: ours},
        {THEIRS: [0.9, 0.8, 0.7], OURS: [0.9, 0.8, 0.7]},
    )


# ---------------------------------------------------------------------------------------------------------- the command


def test_the_race_is_run_by_the_command(held, small, capsys, tmp_path):
    paths = {name: tmp_path / f"a.{ending}" for name, ending in (("json", "json"), ("markdown", "md"))}
    words = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    assert main(["bench", "--what", "fit", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "missing: left out: no files" in out
    for name in ("some classes", "some numbers"):
        assert sum(line.startswith(name) for line in out.splitlines()) == 3  # two mini-batch sizes, and predict
        assert paths["markdown"].read_text(encoding="utf-8").count(f"| {name} |") == 3
    made = json.loads(paths["json"].read_text(encoding="utf-8"))
    assert made["settings"]["dtype"] == "float64"
    assert [(one["data"], one["batch_size"], one["epochs"]) for one in made["fit"]] == [
        ("some classes", 200, 3),
        ("some classes", 20, 3),
        ("some numbers", 200, 2),
        ("some numbers", 20, 2),
    ]
    for one in made["fit"]:
        assert one["difference"] < 1e-9
        assert len(one["seconds"][THEIRS]) == len(one["seconds"][OURS]) == 3
        assert one["scores"][THEIRS] == pytest.approx(one["scores"][OURS])
    assert [one["data"] for one in made["predict_row"]] == ["some classes", "some numbers"]
    assert made["left_out"] == {"missing": "no files"}


def test_mini_batch_sizes_and_the_seed_can_be_chosen(held, small, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_data, "PROBLEMS", SMALL[:1])
    seen = []

    class Recorded(MLPClassifier):
        def fit(self, X, y):
            seen.append((self.batch_size, self.max_iter, self.random_state))
            return super().fit(X, y)

    monkeypatch.setattr(fit, "estimators", lambda problem: {THEIRS: Recorded, OURS: mbbp.sklearn.MLPClassifier})
    assert main(["bench", "--what", "fit", "--batch-size", "50", "--seed", "7"]) == 0
    assert seen[:4] == [(50, 1, 7), (50, 3, 7), (50, 3, 8), (50, 3, 9)]


def test_an_estimator_with_other_losses_is_not_timed_and_fails_the_run(held, small, wrong, capsys, tmp_path):
    path = tmp_path / "a.json"
    assert main(["bench", "--what", "fit", "--json", str(path)]) == 1
    out = capsys.readouterr().out
    assert "some classes, batch 20: NOT TIMED: wrong result: the losses differ by 1e-05" in out
    first = json.loads(path.read_text(encoding="utf-8"))["fit"][0]
    assert first["is_wrong"]
    assert first["ratio"] is None
    assert first["seconds"] == {THEIRS: [], OURS: []}


@pytest.mark.parametrize(
    "words",
    [
        ["--sizes", "4,2"],
        ["--table"],
        ["--dtype", "float32"],
        ["--sweep", "width"],
        ["--cold"],
        ["--peers", "torch"],
        ["--seconds", "3.0"],
        ["--threads", "2"],
        ["--csv", "a.csv"],
        ["--plot", "a.png"],
        ["--compare", "a.json"],
    ],
    ids=lambda words: words[0],
)
def test_other_options_are_refused(capsys, words):
    message = f"{words[0]}: expected only --batch-size, --seed, --json and --markdown with --what fit, got {words[0]}"
    assert message in error_of(capsys, ["bench", "--what", "fit", *words])


def test_without_scikit_learn_it_says_how_to_get_it(capsys, monkeypatch):
    imported = importlib.import_module

    def without(name, *rest):
        if name.startswith("sklearn"):
            raise ModuleNotFoundError(name, name="sklearn")
        return imported(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    assert "--what fit: needs sklearn; pip install scikit-learn" in error_of(capsys, ["bench", "--what", "fit"])


def test_its_record_is_not_one_to_compare_with(tmp_path):
    path = tmp_path / "a.json"
    record.write_record(path, {"schema": record.VERSION} | Race().to_dict())
    with pytest.raises(ValueError, match="expected a record with cases, got one of mbbp bench --what fit"):
        record.load_record(path)


# ------------------------------------------------------------------------------------------------------ the measurement


def test_the_two_take_turns_and_the_fastest_fit_of_each_seed_counts(monkeypatch):
    samples = SMALL[0].load()
    order, now = [], [0.0]

    def timed(kind, name, durations):
        class Timed(kind):
            def fit(self, X, y):
                order.append((name, self.random_state))
                now[0] += durations[len(order) % len(durations)]
                return super().fit(X, y)

        return Timed

    kinds = {
        THEIRS: timed(MLPClassifier, THEIRS, [0.4, 0.5, 0.6]),
        OURS: timed(mbbp.sklearn.MLPClassifier, OURS, [0.1]),
    }
    result = fit.measure_fit(SMALL[0], samples, 100, [0, 1], kinds, clock=lambda: now[0])
    assert order[:2] == [(THEIRS, 0), (OURS, 0)]  # the check
    assert order[2:6] == [(THEIRS, 0), (OURS, 0), (OURS, 0), (THEIRS, 0)]
    assert {seed for _, seed in order} == {0, 1}
    assert result.seconds[OURS] == pytest.approx([0.1, 0.1])
    assert all(seconds in (pytest.approx(0.4), pytest.approx(0.5)) for seconds in result.seconds[THEIRS])


def test_a_difference_in_a_later_fit_is_found():
    class LaterWrong(mbbp.sklearn.MLPClassifier):
        def fit(self, X, y):
            super().fit(X, y)
            if self.max_iter > 1:
                self.loss_curve_[-1] += 0.01
            return self

    kinds = {THEIRS: MLPClassifier, OURS: LaterWrong}
    result = fit.measure_fit(SMALL[0], SMALL[0].load(), 100, [0, 1, 2], kinds)
    assert result.is_wrong
    assert len(result.seconds[OURS]) == 1


def test_another_prediction_is_an_error():
    class Wrong(mbbp.sklearn.MLPClassifier):
        def predict(self, X):
            return super().predict(X) + 1

    with pytest.raises(ArithmeticError, match=r"predict of one row: expected \d as by scikit-learn, got \d"):
        fit.measure_row(SMALL[0].load(), {THEIRS: MLPClassifier, OURS: Wrong})


@pytest.mark.parametrize("losses", [[1.0, 0.5, 0.2], [1.0, math.nan], [math.inf, 0.5]])
def test_curves_that_cannot_be_compared_are_infinitely_different(losses):
    def curve(values):
        return type("Fitted", (), {"loss_curve_": values})

    with np.errstate(invalid="ignore"):
        assert fit._difference({OURS: curve(losses), THEIRS: curve([1.0, 0.5])}) == math.inf


def test_only_the_warning_of_few_epochs_is_silenced():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with fit._alike():
            warnings.warn("few", ConvergenceWarning, stacklevel=1)
            warnings.warn("other", stacklevel=1)
    assert [str(one.message) for one in seen] == ["other"]


def test_both_have_one_thread():
    from threadpoolctl import threadpool_info

    with fit._alike():
        assert mbbp.get_threads() == 1
        assert {one["num_threads"] for one in threadpool_info()} == {1}


# -------------------------------------------------------------------------------------------------------- the data sets


@pytest.mark.parametrize("make", [fit_data.digits, lambda: fit_data.classes(500), lambda: fit_data.numbers(500)])
def test_samples_are_as_users_have_them_and_the_same_in_every_run(make):
    samples, again = make(), make()
    assert samples.X.dtype == samples.X_test.dtype == np.float64
    assert len(samples.X) == len(samples.y)
    assert len(samples.X_test) == len(samples.y_test) > 0
    assert all(np.array_equal(a, b) for a, b in zip(samples, again, strict=True))


def test_the_names_tell_the_sizes():
    small = {one.name: one.load().X.shape for one in fit_data.PROBLEMS if one.load is fit_data.digits}
    assert small == {"digits, 1,437 x 64": (1437, 64)}


def test_mnist_is_not_downloaded(monkeypatch, tmp_path):
    monkeypatch.setenv("MBBP_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="its files were not found; MBBP_DATA can name their folder"):
        fit_data.mnist()


def test_the_first_images_of_mnist_have_pixels_from_0_to_1(monkeypatch):
    images, labels = np.arange(3 * 784, dtype=np.uint8).reshape(3, 28, 28), np.arange(3, dtype=np.uint8)
    monkeypatch.setattr("mbbp.datasets.mnist.mnist_bytes", lambda download: [images, labels, images, labels])
    samples = fit_data.mnist(2)
    assert samples.X.shape == (2, 784)
    assert samples.X_test.shape == (3, 784)
    assert samples.X.dtype == np.float64
    assert (samples.X.min(), samples.X.max()) == (0, 1)
    assert samples.y.tolist() == [0, 1]


# ----------------------------------------------------------------------------------------------------------- the tables


def test_the_tables_are_aligned_and_say_what_was_not_timed():
    race = Race(
        [fit_result([0.1, 0.1, 0.2]), fit_result([], difference=0.5)],
        [RowResult(SMALL[0], {THEIRS: 200.0, OURS: 5.0})],
        {"missing": "no files"},
    )
    lines = fit_table.as_text(race, MACHINE).splitlines()
    assert "A Processor, 4 cores; Linux" in lines[0]
    rows = [line.split() for line in lines if line.startswith("some classes ")]
    assert rows[0] == ["some", "classes", "32", "3", "2.00", "s", "100", "ms", "15.0x", "0.8000", "0.8000"]
    assert rows[1] == ["some", "classes", "32", "3", "-", "-", "-", "-", "-"]
    assert rows[2] == ["some", "classes", "200", "us", "5.00", "us", "40.0x"]
    assert "some classes, batch 32: NOT TIMED: wrong result: the losses differ by 0.5" in lines
    assert "missing: left out: no files" in lines
    assert not any(line != line.rstrip() for line in lines)


def test_markdown_has_both_tables():
    race = Race([fit_result([0.1, 0.1, 0.2])], [RowResult(SMALL[0], {THEIRS: 200.0, OURS: 5.0})])
    rows = [line for line in fit_table.as_markdown(race, MACHINE).splitlines() if line.startswith("|")]
    assert len(rows) == 6
    assert rows[2] == "| some classes | 32 | 3 | 2.00 s | 100 ms | 15.0x | 0.8000 | 0.8000 |"
    assert rows[5] == "| some classes | 200 us | 5.00 us | 40.0x |"
    assert len({row.count("|") for row in rows[:3]}) == len({row.count("|") for row in rows[3:]}) == 1
