"""The tables: for a terminal, as Markdown and as CSV."""

import csv
import io
import math

from mbbp.bench import table
from mbbp.bench.cases import Case
from mbbp.bench.results import CaseResult
from tests.bench.helpers import MACHINE, ROOF, case_result, result


def test_the_table_is_aligned_and_readable():
    text = table.as_text([case_result(), case_result(m=32, us=81.25)], MACHINE, ROOF)
    lines = text.splitlines()
    assert "A Processor, 4 cores; Linux" in lines[0]
    assert "1 thread for every implementation, pinned to core 2; seed 7; 2030-01-01" in text
    assert "BLAS openblas 0.3, kernel Zen" in text
    assert "roof: 100.0 GFLOP/s in float32, 50.0 GFLOP/s in float64" in text
    assert "[784, 30, 10], m = 32   step, float32, 3,068,160 flops" in lines
    row = next(line for line in lines if line.startswith("mbbp "))
    figures = ("27.1 us", "27.1 us", "0.0%", "369,000", "20.3x", "35.4", "35%", "1,234", "1e-06", "1.25 s")
    assert [word.strip() for word in row[9:].split("  ") if word.strip()] == list(figures)
    heading = next(line for line in lines if line.startswith("implementation"))
    for end in ("median", "examples/s", "speed-up", "difference", "first call"):
        assert row[heading.index(end) + len(end) - 1] != " "
    assert next(line for line in lines if line.startswith("torch")).split("  ", 1)[1].strip() == "not installed"
    assert "NOT TIMED: wrong result: differs by 0.5" in text
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
    assert "2 threads for every implementation, NOT pinned: this system does not allow it" in table.header(other)
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


def test_csv_has_a_row_for_each_implementation_of_each_case():
    rows = list(csv.DictReader(io.StringIO(table.as_csv([case_result(), case_result(m=32)], ROOF))))
    assert len(rows) == 10
    assert rows[1]["key"] == "step 784-30-10 m10 float32"
    assert (rows[1]["sizes"], rows[1]["batch_size"], rows[1]["engine"]) == ("784-30-10", "10", "mbbp")
    assert float(rows[1]["us_median"]) == 27.1
    assert rows[1]["rounds"] == "5"
    assert rows[0]["engine_dtype"] == "float64"
    assert (rows[3]["refused"], rows[3]["us_median"]) == ("not installed", "")
