"""The standings: who goes on, and whose networks are needed, after any records in any order."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbbp.tuning.standings import Record, Standings, make_rungs

scores = st.sampled_from([0.0, 1.0, 2.0, None])  # None has diverged


def record(number, rung, score):
    return Record(number, rung, rung + 1, score, score is None, (score,), {})


@given(st.data(), st.integers(1, 12), st.sampled_from([1, 2, 9, 30]), st.sampled_from([2, 3]))
def test_the_networks_that_are_needed_are_kept(data, n, epochs, eta):
    rungs = make_rungs("halving", n, epochs, eta)
    standings, there = Standings(n, rungs, "training_cost"), set()
    while not standings.is_over:
        rung, left = standings.rung, standings.unfinished()
        number = data.draw(st.sampled_from(left))
        assert rung == 0 or (number, rung - 1) in there  # it can be trained further
        standings.add(record(number, rung, data.draw(scores)))
        there = (there | {(number, rung)}) & standings.needed
        going_on = 0 if standings.is_over else len(standings.unfinished()) * (standings.rung > 0)
        assert len(standings.needed) <= going_on + rungs[standings.rung].survivors + 2
        leader = standings.leader()
        assert leader is None or leader in there
        last = {i: standings.of_candidate(i)[-1] for i in standings.ranking()}
        keys = [(one.diverged, -one.rung, one.score or 0.0, i) for i, one in last.items()]
        assert keys == sorted(keys)
        assert leader is None or leader == (standings.ranking()[0], last[standings.ranking()[0]].rung)
    assert there == ({standings.leader()} if standings.leader() else set())


@given(st.integers(1, 500), st.integers(1, 500), st.integers(2, 9))
def test_rungs(n, epochs, eta):
    rungs = make_rungs("halving", n, epochs, eta)
    ends = [rung.epochs for rung in rungs]
    assert ends[-1] == epochs
    assert ends[0] >= 1
    assert all(one < other for one, other in itertools.pairwise(ends))
    counts = [n, *(rung.survivors for rung in rungs)]
    assert counts[-1] == 0
    assert all(after == before // eta for before, after in itertools.pairwise(counts[:-1]))
    assert counts[-2] < eta or ends[0] < eta  # no further rung would fit
    assert make_rungs("random", n, epochs, eta) == [(epochs, 0)]


@pytest.mark.parametrize("bad", [record(3, 0, 1.0), record(0, 1, 1.0), record(1, 0, 1.0)])
def test_a_record_of_no_running_candidate_is_refused(bad):
    standings = Standings(3, make_rungs("halving", 3, 4, 2), "training_cost")
    standings.add(record(1, 0, 2.0))
    with pytest.raises(ValueError, match="expected a candidate that is trained in rung 0"):
        standings.add(bad)
    standings.add(dataclasses.replace(record(0, 0, 1.0)))
    assert standings.unfinished() == [2]
