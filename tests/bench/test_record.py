"""The JSON records."""

import json
import math

import pytest

from mbbp.bench import growth, record
from mbbp.bench.cases import Case
from mbbp.bench.results import CaseResult, Result
from tests.bench.helpers import MACHINE, ROOF, case_result, made, result, swept


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
        ("{", "expected JSON, got another format ("),
        ("\xff\xfe", "expected JSON, got another format ("),
        ("[]", "expected a record of mbbp bench, got other JSON"),
        ("{}", "expected a record of mbbp bench, got other JSON"),
        ('{"schema": 2}', "expected schema 1, got 2"),
        ('{"schema": 1}', "expected a record of mbbp bench, got a damaged one (KeyError: 'cases')"),
        ('{"schema": 1, "cases": 3}', "got a damaged one"),
        ('{"schema": 1, "cases": [{"engines": [{"engine": "mbbp"}]}]}', "got a damaged one"),
        (
            '{"schema": 1, "cases": [{"key": "a", "engines": [{"engine": "mbbp", "speedup": "x"}]}]}',
            "got a damaged one",
        ),
        ('{"schema": 1, "cold": []}', "expected a record with cases, got one of mbbp bench --cold"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "old.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"old\.json: ") as error:
        record.load_record(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
