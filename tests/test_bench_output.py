"""What a comparison says: statistics, tables, JSON, growth, pictures, and the comparison with an earlier run."""

import argparse
import copy
import csv
import io
import json
import math

import numpy as np
import pytest

from mbbp.bench import growth, plots, record, table
from mbbp.bench.cases import Case, sweep_cases
from mbbp.bench.compare import check_in_common, compare
from mbbp.bench.results import CaseResult, Result

ROOF = {"float32": 100.0, "float64": 50.0}
MACHINE = {
    "date": "2030-01-01T00:00:00+00:00",
    "processor": "A Processor",
    "cores": 4,
    "cores_allowed": 4,
    "pinned_to": [2],
    "threads": 1,
    "system": "Linux",
    "python": "3.12.1",
    "versions": {"mbbp": "0.1.0", "numpy": "2.0.0"},
    "blas": {"name": "openblas", "version": "0.3", "kernel": "Zen", "threads": 1},
    "seed": 7,
}
OPTIONS = argparse.Namespace(what="step", dtype="float32", seconds=45.0, peers=["sklearn"], sweep=None)


def result(engine, us, dtype="float32", cost="quadratic", **more):
    return Result(engine, dtype, cost, difference=1e-6, us=us, first_call_seconds=1.25, **more)


def case_result(m=10, us=27.1, sizes=(784, 30, 10)):
    return CaseResult(
        Case(sizes, m),
        [
            Result("per-example", "float64", "quadratic", 0.0, us=[550.0, 540.0, 560.0], first_call_seconds=0.003),
            result("mbbp", [us] * 5, bytes_per_step=1234),
            result("sklearn", [400.0, 500.0, 600.0], cost="cross_entropy"),
            Result("torch", "float32", "quadratic", refused="not installed"),
            Result("broken", "float32", "quadratic", 0.5, "computes something else: differs by 0.5", is_wrong=True),
        ],
    )


def made(results=None, growths=()):
    return record.make_record(results or [case_result()], MACHINE, OPTIONS, ROOF, list(growths))


# ----------------------------------------------------------------------------------------------------------- statistics


def test_the_statistics_of_a_result():
    one = result("mbbp", [4.0, 1.0, 2.0, 3.0, 5.0])
    assert (one.median, one.minimum) == (3.0, 1.0)
    assert one.spread == pytest.approx((4.5 - 1.5) / 3)
    assert one.uncertainty == pytest.approx(0.93 / math.sqrt(5))
    assert result("mbbp", [1.0, 2.0]).spread == math.inf
    assert math.isnan(Result("x", "float32", "quadratic").median)
    assert math.isnan(Result("x", "float32", "quadratic").minimum)


def test_the_uncertainty_is_what_a_simulation_finds():
    rng = np.random.default_rng(0)
    off = [np.median(100 + rng.standard_normal(51)) - 100 for _ in range(2000)]
    stated = [result("x", list(100 + rng.standard_normal(51))).uncertainty * 100 for _ in range(200)]
    assert np.mean(stated) == pytest.approx(np.std(off), rel=0.15)


def test_the_figures_of_a_case():
    one = case_result()
    book, mbbp = one.results[:2]
    assert one.of("mbbp") is mbbp
    assert one.of("torch") is None
    assert one.speedup(mbbp) == pytest.approx(550 / 27.1)
    assert one.speedup(book) == 1.0
    assert one.gflops(mbbp) == pytest.approx(958_800 / 27.1 / 1e3)
    assert one.examples_per_second(mbbp) == pytest.approx(10 / 27.1e-6)
    assert math.isnan(CaseResult(one.case, [mbbp]).speedup(mbbp))


# --------------------------------------------------------------------------------------------------------------- tables


def test_the_table_is_aligned_and_readable():
    text = table.as_text([case_result(), case_result(m=32, us=81.25)], MACHINE, ROOF)
    lines = text.splitlines()
    assert "A Processor, 4 cores; Linux" in lines[0]
    assert "1 thread for every engine, pinned to core 2; seed 7; 2030-01-01" in text
    assert "BLAS openblas 0.3, kernel Zen" in text
    assert "roof: 100.0 GFLOP/s in float32, 50.0 GFLOP/s in float64" in text
    assert "[784, 30, 10], m = 32   step, float32, 3,068,160 flops" in lines
    row = next(line for line in lines if line.startswith("mbbp "))
    figures = ("27.1 us", "27.1 us", "0.0%", "369,000", "20.3x", "35.4", "35%", "1,234", "1e-06", "1.25 s")
    assert [word.strip() for word in row[9:].split("  ") if word.strip()] == list(figures)
    heading = next(line for line in lines if line.startswith("engine"))
    for end in ("median", "examples/s", "speed-up", "difference", "first call"):
        assert row[heading.index(end) + len(end) - 1] != " "
    assert next(line for line in lines if line.startswith("torch")).split("  ", 1)[1].strip() == "not installed"
    assert "NOT TIMED: computes something else: differs by 0.5" in text
    assert "sklearn *" in text
    assert "* has no quadratic cost" in text
    assert not any(line != line.rstrip() for line in lines)


def test_what_is_not_known_is_a_dash():
    only = CaseResult(Case((2, 3, 1), 4), [result("mbbp", [5.0])])
    cells = table.cells(only, only.results[0], {})
    assert cells[3] == cells[5] == cells[7] == cells[8] == "-"
    assert "* has" not in table.as_text([only], MACHINE, ROOF)


def test_a_machine_that_cannot_be_pinned_says_so():
    other = MACHINE | {"pinned_to": None, "threads": 2, "blas": MACHINE["blas"] | {"kernel": None}}
    assert "2 threads for every engine, NOT pinned: this system does not allow it" in table.header(other)
    assert "kernel" not in table.header(other)
    assert "pinned to cores 0, 1;" in table.header(MACHINE | {"pinned_to": [0, 1], "threads": 2})


def test_durations_have_three_digits():
    given = [math.nan, 0.0123, 0.9996, 12.345, 999.4, 999.6, 1234.5, 2.5e6]
    shown = ["-", "12.3 ns", "1.00 us", "12.3 us", "999 us", "1.00 ms", "1.23 ms", "2.50 s"]
    assert [table.duration(us) for us in given] == shown


def test_markdown_has_a_table_for_each_case():
    text = table.as_markdown([case_result(), case_result(m=32)], MACHINE, ROOF)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 * 7
    assert {row.count("|") for row in rows} == {len(table.HEADINGS) + 1}
    assert "| mbbp | 27.1 us |" in text
    assert "sklearn \\*" in text
    assert "| torch | not installed |" in text


def test_csv_has_a_row_for_each_engine_of_each_case():
    rows = list(csv.DictReader(io.StringIO(table.as_csv([case_result(), case_result(m=32)], ROOF))))
    assert len(rows) == 10
    assert rows[1]["key"] == "step 784-30-10 m10 float32"
    assert (rows[1]["sizes"], rows[1]["batch_size"], rows[1]["engine"]) == ("784-30-10", "10", "mbbp")
    assert float(rows[1]["us_median"]) == 27.1
    assert rows[1]["rounds"] == "5"
    assert rows[0]["engine_dtype"] == "float64"
    assert (rows[3]["refused"], rows[3]["us_median"]) == ("not installed", "")


# ----------------------------------------------------------------------------------------------------------------- JSON


def test_the_json_says_everything_and_comes_back(tmp_path):
    path = tmp_path / "out.json"
    written = made()
    record.write_record(path, written)
    read = record.load_record(path)
    assert read == json.loads(json.dumps(written))
    assert read["schema"] == 1
    assert read["machine"] == MACHINE
    assert read["roof_gflops"] == ROOF
    engines = {row["engine"]: row for row in read["cases"][0]["engines"]}
    assert engines["mbbp"]["speedup"] == pytest.approx(550 / 27.1)
    assert engines["mbbp"]["share_of_roof"] == pytest.approx(engines["mbbp"]["gflops"] / 100)
    assert engines["per-example"]["share_of_roof"] == pytest.approx(engines["per-example"]["gflops"] / 50)
    assert engines["broken"]["is_wrong"] is True
    assert record.speedups(read, "torch") == {"step 784-30-10 m10 float32": None}


def test_every_field_stands_in_the_schema():
    written = made([case_result()], growth.growths(swept()))
    fields = {*written, *written["machine"], *written["settings"], *written["cases"][0], *written["growth"][0]}
    for engine in written["cases"][0]["engines"]:
        fields |= engine.keys()
    assert [field for field in sorted(fields) if field not in record.SCHEMA] == []


def test_what_is_infinite_is_null(tmp_path):
    one = CaseResult(
        Case((2, 3, 1), 4), [result("mbbp", [5.0]), Result("x", "float32", "quadratic", math.inf, "x", True)]
    )
    record.write_record(tmp_path / "out.json", made([one]))
    rows = json.loads((tmp_path / "out.json").read_text())["cases"][0]["engines"]
    assert rows[0]["spread"] is rows[0]["speedup"] is rows[1]["difference"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON: "),
        ("\xff\xfe", "is no JSON: "),
        ("[]", "is no record of mbbp bench"),
        ("{}", "is no record of mbbp bench"),
        ('{"schema": 2}', "has schema 2, this version reads 1"),
        ('{"schema": 1}', "is a damaged record of mbbp bench (KeyError: 'cases')"),
        ('{"schema": 1, "cases": 3}', "is a damaged record"),
        ('{"schema": 1, "cases": [{"engines": [{"engine": "mbbp"}]}]}', "is a damaged record"),
        ('{"schema": 1, "cases": [{"key": "a", "engines": [{"engine": "mbbp", "speedup": "x"}]}]}', "is a damaged"),
        ('{"schema": 1, "cold": []}', "is a record of mbbp bench --cold, which cannot be compared"),
    ],
)
def test_a_file_that_is_no_such_record_is_refused_in_a_line(tmp_path, text, message):
    path = tmp_path / "old.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"old\.json: ") as error:
        record.load_record(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# ----------------------------------------------------------------------------------------------------------- comparison


def test_a_regression_is_named_and_an_improvement_is_none():
    old = made([case_result(m=1), case_result(m=10), case_result(m=32)])
    new = made([case_result(m=1, us=30.0), case_result(m=10, us=40.0), case_result(m=32, us=10.0)])
    found = compare(old, new, 0.8)
    assert found.regressed == ["step 784-30-10 m10 float32"]
    assert found.ratios["step 784-30-10 m32 float32"][0] == pytest.approx(2.71)
    text = found.as_text()
    assert "step 784-30-10 m10 float32             20.3x ->     13.8x     68%  REGRESSED" in text
    assert text.endswith("1 of 3 kept less than 80%: step 784-30-10 m10 float32")
    assert compare(old, new, 0.6).regressed == []


def test_seconds_are_not_compared():
    slower_machine = copy.deepcopy(case_result())
    for one in slower_machine.results:
        one.us = [3 * us for us in one.us]
    assert compare(made(), made([slower_machine]), 0.99).regressed == []


def test_cases_of_one_side_only_are_said_and_pass():
    found = compare(made([case_result(m=1), case_result(m=10)]), made([case_result(m=10), case_result(m=32)]), 0.8)
    assert (found.only_old, found.only_new) == (["step 784-30-10 m1 float32"], ["step 784-30-10 m32 float32"])
    assert found.regressed == []
    assert "step 784-30-10 m1 float32          only in the old run" in found.as_text()
    assert "step 784-30-10 m32 float32         only in this run" in found.as_text()


def test_what_was_timed_and_now_is_not_has_regressed():
    new = case_result()
    new.results[1].us = []
    found = compare(made(), made([new]), 0.8)
    assert found.regressed == ["step 784-30-10 m10 float32"]
    assert "REGRESSED: it was timed, and now is not" in found.as_text()
    back = compare(made([new]), made(), 0.8)
    assert (back.only_new, back.regressed) == (["step 784-30-10 m10 float32"], [])


def test_with_nothing_in_common_nothing_can_pass():
    check_in_common(made(), ["step 784-30-10 m10 float32", "other"])
    with pytest.raises(ValueError, match="the old run timed none of these cases"):
        check_in_common(made(), ["other"])


# --------------------------------------------------------------------------------------------------------------- growth


def swept(over="width"):
    results = []
    for place, case in sweep_cases(over, (20, 30, 5), 10, "float32", "step"):
        times = {"per-example": 1000 + 2 * place, "mbbp": 0.5 * place**1.5, "cubic": place**3.0}
        rows = [result(name, [us, us + 1, us + 2]) for name, us in times.items()]
        rows.append(Result("torch", "float32", "quadratic", refused="not installed"))
        results.append(CaseResult(case, rows, place, over))
    return results


def test_the_exponent_is_that_of_the_upper_half():
    places = [1, 2, 4, 8, 16, 32]
    assert growth.exponent(places, [5.0 * x**1.7 for x in places]) == pytest.approx(1.7)
    with_fixed_costs = [100.0 if x < 8 else 3.0 * x**2 for x in places]
    assert growth.exponent(places, with_fixed_costs) == pytest.approx(2.0)
    assert growth.exponent(places[::-1], with_fixed_costs[::-1]) == pytest.approx(2.0)
    assert growth.exponent([1, 10], [1.0, 100.0]) == pytest.approx(2.0)
    assert math.isnan(growth.exponent([3], [1.0]))
    assert math.isnan(growth.exponent([3, 3], [1.0, 2.0]))


@pytest.mark.parametrize("over", ["width", "depth", "batch"])
def test_the_growth_of_every_engine_is_found_from_its_fastest_rounds(over):
    found = growth.growths(swept(over))
    assert [one["sweep"] for one in found] == [over]
    exponents = found[0]["exponents"]
    assert exponents["mbbp"] == pytest.approx(1.5)
    assert exponents["cubic"] == pytest.approx(3)
    assert exponents["per-example"] < 0.6
    assert "torch" not in exponents
    assert f"  mbbp                   time ~ {over}^1.50" in growth.as_text(found)
    assert growth.growths([case_result()]) == []


def test_sweeps_of_several_networks_stay_apart():
    other = swept()
    for one in other:
        one.case = Case((50, *one.case.sizes[1:]), 10)
    assert [one["from"] for one in growth.growths(swept() + other)] == [
        "step 20-8-5 m10 float32",
        "step 50-8-5 m10 float32",
    ]


# -------------------------------------------------------------------------------------------------------------- picture


def panels(results):
    pytest.importorskip("matplotlib")
    return plots.draw(results).axes


def test_the_picture_of_mini_batches():
    (axes,) = panels([case_result(m) for m in (1, 10, 100)])
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_xlabel() == "examples in a mini-batch, m"
    assert axes.get_ylabel() == "speed-up over per-example"
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == ["per-example", "mbbp", "sklearn (cross-entropy)"]
    np.testing.assert_allclose(lines["mbbp"].get_xdata(), [1, 10, 100])
    np.testing.assert_allclose(lines["mbbp"].get_ydata(), [550 / 27.1] * 3)


@pytest.mark.parametrize(("over", "label"), plots.AXES.items())
def test_the_picture_of_a_sweep(over, label):
    results = swept(over)
    (axes,) = panels(results)
    assert axes.get_xlabel() == label
    assert "time for one step (us)" in axes.get_ylabel()
    assert axes.lines[1].get_xdata().tolist() == [one.place for one in results]
    assert axes.lines[1].get_ydata().tolist() == [one.results[1].minimum for one in results]


def test_the_picture_of_many_networks_and_of_several():
    (axes,) = panels([case_result(sizes=(n, 3, 2)) for n in (4, 5, 6)])
    assert axes.get_xticklabels()[0].get_text() == "[4, 3, 2]\nm = 10"
    several = panels([case_result(m, sizes=(n, 3, 2)) for n in (4, 5, 6, 7) for m in (1, 2)])
    assert [axes.get_title().split("\n")[0] for axes in several] == [f"[{n}, 3, 2]" for n in (4, 5, 6, 7)]


def test_there_is_no_picture_of_nothing():
    pytest.importorskip("matplotlib")
    nothing = CaseResult(Case((2, 3, 1), 4), [Result("torch", "float32", "quadratic", refused="not installed")])
    with pytest.raises(ValueError, match="--plot: nothing was timed"):
        plots.draw([nothing])
