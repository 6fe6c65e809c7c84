"""The course of a search: rung after rung, each of which trains its networks at the same time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mbbp import fileformat
from mbbp.history import History
from mbbp.many.company import Company, OnEnd
from mbbp.many.fits import check_networks
from mbbp.many.trainings import make_plans, train_all
from mbbp.many.workers import Workers
from mbbp.methods.method import DivergedError
from mbbp.network import Network
from mbbp.planning import Plan, check_measured, check_recorded
from mbbp.preparing import Preparation
from mbbp.stopping import Best, EarlyStopping
from mbbp.subsets import split
from mbbp.tuning.candidates import Candidate, Space, custom_parts
from mbbp.tuning.describing import describe_space
from mbbp.tuning.folder import Folder
from mbbp.tuning.results import CandidateResult, SearchResult
from mbbp.tuning.standings import Record, Rung, Standings


class Run:
    """The run of a search.

    Parameters
    ----------
    space : Space
        Draws the candidates.
    n_candidates : int
        How many there are.
    rungs : sequence of Rung
        The rungs.
    monitor : str
        The score.
    data : pair (X, y)
        The examples.
    folder : Folder or None
        Where the search is kept.
    workers : Workers or None
        The workers of a cluster, instead of the threads of this process.

    Attributes
    ----------
    standings : Standings
        How far it is.
    """

    def __init__(
        self,
        space: Space,
        n_candidates: int,
        rungs: Sequence[Rung],
        monitor: str,
        data: tuple[ArrayLike, ArrayLike],
        folder: Folder | None,
        workers: Workers | None,
    ) -> None:
        self.standings = Standings(n_candidates, rungs, monitor)
        self._space, self._rungs, self._monitor, self._folder, self._workers = space, rungs, monitor, folder, workers
        self._X, self._y = data
        self._candidates = [space.draw(number) for number in range(n_candidates)]
        self._texts = [describe_space(one.settings) for one in self._candidates]
        self._preparation, self._lock = Preparation(), Lock()
        self._networks: dict[tuple[int, int], Network] = {}  # as they are at the end of a rung; none is trained further
        self._are_sent = False
        self._first: tuple[list[Any], list[Any]] | None = None  # networks and plans of the first rung

    def prepare(self) -> None:
        """Check all arguments, before anything is trained or written.

        Raises
        ------
        ValueError, TypeError
            As for `Network` and `Network.fit`, for any candidate.
        """
        self._first, numbers = None, self.standings.unfinished()
        if self.standings.rung == 0 and not self.standings.is_over:
            nets = [self._new(number) for number in numbers]
            check_networks(nets)
            if self._folder is not None:
                for net in nets:
                    fileformat.check(net._contents())
            self._first = nets, self._plans(nets, numbers, self._rungs[0].epochs)

    def take(self, records: Sequence[Record]) -> None:
        """Take over the records of an earlier run.

        Raises
        ------
        ValueError
            If they are not those of these candidates.
        """
        for record in records:
            try:
                if not 0 <= record.candidate < len(self._candidates):
                    raise ValueError(f"expected {len(self._candidates)} candidates, got number {record.candidate}")
                texts = self._texts[record.candidate]
                if record.settings != texts:
                    raise ValueError(f"candidate {record.candidate}: expected {texts}, got {record.settings}"[:300])
                self.standings.add(record)
            except ValueError as error:
                raise ValueError(f"file: expected the records of this search, got others ({error})") from error

    @property
    def examples_left(self) -> int:
        """How many examples are left to train on, counted in each epoch of each candidate."""
        if self.standings.is_over:
            return 0
        total, running = 0, self.standings.rung
        counts = [len(self.standings.unfinished()), *(rung.survivors for rung in self._rungs[running:-1])]
        for number, count in enumerate(counts, running):
            total += count * (self._rungs[number].epochs - (self._rungs[number - 1].epochs if number else 0))
        return total * self._n_examples

    @property
    def _n_examples(self) -> int:
        given = self._space.shared
        return int(split(np.shape(self._X)[-1], given.get("subset"), given.get("validation_split"))[0].size)

    def run(self, company: Company) -> None:
        """Train rung after rung, until the search is over or Ctrl-C ends it."""
        while not self.standings.is_over and not company.is_ending:
            rung = self.standings.rung
            numbers = self.standings.unfinished()
            ended = [number for number in numbers if self._has_ended(number)]
            self._restore(ended, rung - 1, company)
            if company.is_ending:
                return
            for number in ended:  # early stopping has ended it in an earlier rung: its network stays as it is
                before = self.standings.of_candidate(number)[-1]
                self._networks[number, rung] = self._networks[number, rung - 1]
                self._add(Record(number, rung, before.epochs, before.score, False, (), before.settings))
            numbers = [number for number in numbers if number not in ended]
            if numbers:
                self._train_rung(rung, numbers, company)

    def _train_rung(self, rung: int, numbers: list[int], company: Company) -> None:
        epochs = self._epochs_of(rung)
        nets: list[Any]
        plans: list[Any]
        if rung == 0 and self._first is not None:
            nets, plans = self._first
            self._first = None
        else:
            self._restore(numbers, rung - 1, company)
            if company.is_ending:
                return
            nets = [self._new(i) if rung == 0 else copy.deepcopy(self._networks[i, rung - 1]) for i in numbers]
            plans = [*self._plans(nets, numbers, epochs)]
        befores = [len(net.history) for net in nets]

        def on_end(place: int, error: DivergedError | None) -> None:
            net, number = nets[place], numbers[place]
            if error is None and not net.history.has_ended:
                return  # Ctrl-C
            rows = net.history[befores[place] :]
            score = None if error is not None else self._score(net.history, rows, plans[place].early_stopping)
            values = tuple(None if one is None else float(one) for one in rows[self._monitor])
            with self._lock:
                self._networks[number, rung] = net
                self._add(Record(number, rung, len(net.history), score, error is not None, values, self._texts[number]))
            nets[place] = plans[place] = None  # so that a network that is not needed is freed; its plan refers to it

        title = f"rung {rung + 1} of {len(self._rungs)}: " if len(self._rungs) > 1 else ""
        self._train(nets, plans, numbers, epochs, company, title, on_end)

    def _train(
        self,
        nets: list[Network],
        plans: list[Plan],
        numbers: Sequence[int],
        epochs: int,
        company: Company,
        title: str,
        on_end: OnEnd | None,
    ) -> None:
        company.begin([self._candidates[number].name for number in numbers], title, on_end)
        if self._workers is None:
            train_all(nets, plans, company)
            return
        if not self._are_sent:
            self._workers.send(self._X, self._y, self._space.shared)
            self._are_sent = True
        own = [{**self._space.training(self._candidates[number]), "epochs": epochs} for number in numbers]
        self._workers.train_all(nets, plans, own, company)

    def _epochs_of(self, rung: int) -> int:
        return self._rungs[rung].epochs - (self._rungs[rung - 1].epochs if rung else 0)

    def _new(self, number: int) -> Network:
        return self._space.network(self._candidates[number], self._X, self._y)

    def _plans(self, nets: Sequence[Network], numbers: Sequence[int], epochs: int) -> list[Plan]:
        names = [self._candidates[number].name for number in numbers]
        settings = [
            {**self._space.shared, **self._space.training(self._candidates[number]), "epochs": epochs}
            for number in numbers
        ]
        plans = make_plans(nets, self._X, self._y, settings, self._preparation, names)
        for plan, name in zip(plans, names, strict=True):
            try:
                check_recorded("monitor", self._monitor, plan.validation is not None, plan.is_classification)
                check_measured("monitor", self._monitor, plan.optimizer)
            except ValueError as error:
                error.add_note(f"This is an error of {name}.")
                raise
        return plans

    def _has_ended(self, number: int) -> bool:
        records = self.standings.of_candidate(number)
        return bool(records) and records[-1].epochs < self._rungs[records[-1].rung].epochs

    def _score(self, history: History, rows: History, stopping: EarlyStopping | None) -> float | None:
        """Return the monitor of the epoch whose parameters the network has."""
        place = len(rows) - 1
        if stopping is not None and stopping.restore_best:
            best, nothing = Best(stopping), np.empty(0)
            for i in range(len(rows)):
                best.is_over(rows[i : i + 1], nothing)
                place = i if best.waited == 0 else place
        value = rows[self._monitor][place]
        return None if value is None else float(value)

    def _add(self, record: Record) -> None:
        """Add a record: first the network goes to the folder, then the record, and then networks are removed."""
        standings, key = self.standings, (record.candidate, record.rung)
        before = set(standings.needed)
        standings.add(record)
        if self._folder is not None:
            if key in standings.needed:
                self._folder.save(*key, self._networks[key])
            self._folder.append(record)
            for one in before - standings.needed:
                self._folder.remove(*one)
        for one in (before | {key}) - standings.needed:
            self._networks.pop(one, None)

    def _restore(self, numbers: Sequence[int], rung: int, company: Company) -> None:
        """Make sure that networks are there as they are at the end of a rung: read them, or train them again."""
        missing = []
        for number in numbers if rung >= 0 else []:
            if (number, rung) not in self._networks:
                net = self._load(number, rung)
                if net is None:
                    missing.append(number)
                else:
                    self._networks[number, rung] = net
        if missing:
            nets = {number: self._new(number) for number in missing}
            for again in range(rung + 1):
                records = {number: self.standings.of_candidate(number) for number in missing}
                going_on = [i for i in missing if again == 0 or records[i][again].values]
                plans = self._plans([nets[i] for i in going_on], going_on, self._epochs_of(again))
                self._train([nets[i] for i in going_on], plans, going_on, self._epochs_of(again), company, "", None)
            if not company.is_ending:
                self._networks.update({(number, rung): net for number, net in nets.items()})

    def _load(self, number: int, rung: int) -> Network | None:
        if self._folder is None:
            return None
        candidate = self._candidates[number]
        parts = custom_parts(self._new(number), {**self._space.shared, **self._space.training(candidate)})
        return self._folder.load(number, rung, parts)

    def best_network(self, company: Company) -> Network | None:
        """Return the network of the best candidate; None if there is none."""
        leader = self.standings.leader()
        if leader is None:
            return None
        self._restore([leader[0]], leader[1], company)
        return self._networks.get(leader)

    def result(self, best: Network | None, was_interrupted: bool) -> SearchResult:
        """Return what the search returns."""
        candidates = tuple(self._result_of(self._candidates[number]) for number in self.standings.ranking())
        return SearchResult(
            candidates, best, self._monitor, tuple(rung.epochs for rung in self._rungs), was_interrupted
        )

    def _result_of(self, candidate: Candidate) -> CandidateResult:
        records = self.standings.of_candidate(candidate.number)
        last = records[-1]
        scores = tuple(value for record in records for value in record.values)
        return CandidateResult(
            candidate.number,
            candidate.settings,
            candidate.seed,
            last.score,
            len(records),
            last.epochs,
            last.diverged,
            scores,
        )
