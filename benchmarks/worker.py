"""A process of against.py: it trains with the package that PYTHONPATH names, one turn for each line that it reads.

A line is a shape and the seconds of a turn; the answer is the processor time of a step, in seconds. It uses what both
trees of a comparison have: the benchmark's way to train.
"""

import json
import sys
import time

import numpy as np

from mbbp.bench.cases import Case, make_case_data
from mbbp.bench.implementations import Mbbp

made: dict = {}
slower_by = float(sys.argv[1])
for line in sys.stdin:
    sizes, m, seconds = json.loads(line)
    key = (*sizes, m)
    if key not in made:
        case = Case(tuple(sizes), m)
        data = make_case_data(case, seed=0)
        order = np.random.default_rng(0).permutation(data.n)[: data.n // m * m]
        made[key] = Mbbp(case, data), order, data.theta
    engine, order, theta = made[key]
    steps = order.size // m
    extra = order[: max(1, round(slower_by * steps)) * m]
    engine.reset(theta)  # the numbers must not saturate
    engine.steps(order[:m])
    best, end = float("inf"), time.process_time() + seconds
    while True:
        began = time.process_time()
        engine.steps(order)
        if slower_by:
            engine.steps(extra)
        best = min(best, (time.process_time() - began) / steps)
        if time.process_time() >= end:
            break
    print(best, flush=True)
