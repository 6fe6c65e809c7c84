"""How far a search is: which candidates have finished which rung, how they rank, and whose networks are needed."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mbbp.history import sign_of_gain


class Rung(NamedTuple):
    """A round of a search.

    Attributes
    ----------
    epochs : int
        How many epochs a candidate has had at its end, those of earlier rungs included.
    survivors : int
        How many of the candidates go on to the next rung: 0 in the last one.
    """

    epochs: int
    survivors: int


def make_rungs(method: str, n_candidates: int, epochs: int, eta: int) -> list[Rung]:
    """Return the rungs: one for "random"; for "halving" as many as candidates and epochs allow.

    Examples
    --------
    >>> make_rungs("halving", 20, 30, 3)
    [Rung(epochs=3, survivors=6), Rung(epochs=10, survivors=2), Rung(epochs=30, survivors=0)]
    """
    if method == "random":
        return [Rung(epochs, 0)]
    counts, ends = [n_candidates], [epochs]
    while counts[-1] >= eta and ends[0] >= eta:
        counts.append(counts[-1] // eta)
        ends.insert(0, ends[0] // eta)
    return [Rung(end, after) for end, after in zip(ends, [*counts[1:], 0], strict=True)]


@dataclass(frozen=True)
class Record:
    """What is known of a candidate at the end of a rung.

    Attributes
    ----------
    candidate, rung : int
        The numbers of the candidate and of the rung, from 0.
    epochs : int
        How many epochs the candidate has had in all.
    score : float or None
        The monitor of the epoch whose parameters the network has; None if it has diverged.
    diverged : bool
        Whether the training has diverged in this rung.
    values : tuple of float or None
        The monitor after each epoch of this rung.
    settings : dict
        A text of each setting.
    """

    candidate: int
    rung: int
    epochs: int
    score: float | None
    diverged: bool
    values: tuple[float | None, ...]
    settings: dict[str, str]


class Standings:
    """The records of a search so far.

    Parameters
    ----------
    n_candidates : int
        How many candidates there are.
    rungs : sequence of Rung
        The rungs.
    monitor : str
        The column of the history by which candidates are compared.

    Attributes
    ----------
    rung : int
        The number of the rung that is running.
    alive : list of int
        The candidates in this rung, the best of the rung before first.
    is_over : bool
        Whether no candidate is left to be trained.
    needed : set of (int, int)
        The candidate and the rung of each network that may still be the best one, or must be trained further.
    """

    def __init__(self, n_candidates: int, rungs: Sequence[Rung], monitor: str) -> None:
        self.rungs, self._sign = rungs, sign_of_gain(monitor)
        self.rung, self.alive, self.is_over = 0, list(range(n_candidates)), False
        self.needed: set[tuple[int, int]] = set()
        self._in_rung = set(self.alive)
        self._records: list[dict[int, Record]] = [{} for _ in rungs]
        self._order: list[tuple[float, int]] = []  # of those that have finished this rung, the best first
        self._spare: tuple[int, int] | None = None  # the best one that did not go on, if all others diverge

    def of_candidate(self, number: int) -> list[Record]:
        """Return the records of a candidate, one for each of its rungs."""
        return [of_rung[number] for of_rung in self._records if number in of_rung]

    def unfinished(self) -> list[int]:
        """Return the candidates that have not finished the running rung."""
        return [number for number in self.alive if number not in self._records[self.rung]]

    def loss(self, record: Record) -> float:
        """Return the score as a number of which the smallest is the best; inf if there is none."""
        if record.score is None or math.isnan(record.score):
            return math.inf
        return -self._sign * record.score

    def add(self, record: Record) -> None:
        """Add a record. With the last one of a rung, the next rung begins.

        Raises
        ------
        ValueError
            If it is not that of a candidate that is being trained.
        """
        number, rung = record.candidate, record.rung
        if self.is_over or rung != self.rung or number not in self._in_rung or number in self._records[rung]:
            raise ValueError(f"expected a candidate that is trained in rung {self.rung}, got {number} in rung {rung}")
        self._records[rung][number] = record
        self.needed.discard((number, rung - 1))
        if not record.diverged:
            most = self.rungs[rung].survivors + 1
            place = bisect.bisect(self._order, (self.loss(record), number))
            self._order.insert(place, (self.loss(record), number))
            if place < most:
                self.needed.add((number, rung))
                for _, other in self._order[most : most + 1]:
                    self.needed.discard((other, rung))
        if len(self._records[rung]) == len(self.alive):
            self._end_rung()

    def _end_rung(self) -> None:
        ranked, most = [number for _, number in self._order], self.rungs[self.rung].survivors
        for number in ranked[most : most + 1]:
            if self._spare is not None:
                self.needed.discard(self._spare)
            self._spare = (number, self.rung)
        self.alive, self._in_rung, self._order = ranked[:most], set(ranked[:most]), []
        self.is_over = not self.alive
        if self.is_over:
            self.needed &= {self.leader()} if self.leader() is not None else set()
        else:
            self.rung += 1

    def ranking(self) -> list[int]:
        """Return the candidates that have finished a rung, the best first.

        Those that have diverged are the last. Of the others, one of a later rung is better.
        """
        last = {records[-1].candidate: records[-1] for records in map(self.of_candidate, self._numbers()) if records}
        return sorted(last, key=lambda i: (last[i].diverged, -last[i].rung, self.loss(last[i]), i))

    def leader(self) -> tuple[int, int] | None:
        """Return the best candidate and its last rung; None if none has finished a rung without diverging."""
        for number in self.ranking()[:1]:
            record = self.of_candidate(number)[-1]
            return None if record.diverged else (number, record.rung)
        return None

    def _numbers(self) -> list[int]:
        return sorted(self._records[0])
