"""A search in the processes of a Dask cluster on this machine."""

import pytest

from tests.many.clusters import small_cluster
from tests.tuning.searches import HALVING, all_of, find
from tests.tuning.test_search import diverging

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of Dask


@pytest.fixture(scope="module")
def client():
    with small_cluster(distributed) as client:
        yield client


def test_the_result_is_that_of_this_process(client, tmp_path, monkeypatch):
    sent, scatter = [], client.scatter
    monkeypatch.setattr(client, "scatter", lambda *given, **more: sent.append(1) or scatter(*given, **more))
    expected = all_of(find(**HALVING))
    assert all_of(find(client=client, file=tmp_path / "s", **HALVING)) == expected
    assert len(sent) == 1  # for three rungs
    lines = (tmp_path / "s" / "records.txt").read_bytes().splitlines(keepends=True)
    (tmp_path / "s" / "records.txt").write_bytes(b"".join(lines[:10]))
    assert all_of(find(client=client, file=tmp_path / "s", **HALVING)) == expected
    assert all_of(find(file=tmp_path / "s", **HALVING)) == expected


def test_a_candidate_that_diverges_is_recorded(client):
    assert all_of(diverging(client=client, **HALVING)) == all_of(diverging(**HALVING))


def fail(net, row):
    raise RuntimeError("not today")


def test_an_error_in_a_callback_names_the_candidate(client):
    with pytest.raises(RuntimeError, match="not today") as caught:
        find(client=client, callbacks=fail)
    assert caught.value.__notes__[0].startswith("This is an error of candidate ")
    assert "'learning_rate': 0." in caught.value.__notes__[0]


def test_a_bad_argument_is_found_before_anything_is_sent(client, monkeypatch):
    monkeypatch.setattr(client, "scatter", None)
    with pytest.raises(ValueError, match="l2: expected"):
        find(client=client, l2=-1)
