"""Races Levenberg-Marquardt of mbbp against that of other libraries, and against Adam, to the same errors.

    python benchmarks/least_squares.py [--quick] [--seeds 5] [--json FILE] [--plot FILE]

Every competitor begins with the same parameters; this is checked by its first error. All run in turns in one process
with one thread, pinned to one core. The seconds are those of the training alone: code is compiled by a short training
on the same shapes before, and errors that a competitor does not compute anyway are computed while the clock stands
still. A training ends when it reaches the last error, when it says that it has converged, or when its time is over.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.least_squares_problems import Problem
    from benchmarks.least_squares_solvers import Curve

TOLERANCES = {"float64": 1e-10, "float32": 1e-4}  # of the first error, relative
OURS, THEIRS = "mbbp", "torch LM"  # with which the names of the two that are compared begin
PACKAGES = {"torch": "torch_levenberg_marquardt", "scipy": "scipy", "jaxopt": "jaxopt", "optimistix": "optimistix"}
COLOURS = {
    "mbbp": "#d62728",
    "mbbp, m = 1,000": "#e377c2",
    "torch LM, m = 1,000": "#ff7f0e",
    "torch LM": "#8c564b",
    "torch LM, m = 1,000, float32": "#bcbd22",
    "torch LM, m = 1,000, compiled": "#000000",
    "scipy lm": "#1f77b4",
    "scipy trf": "#17becf",
    "jaxopt LM": "#2ca02c",
    "optimistix LM": "#9467bd",
    "mbbp Adam": "#7f7f7f",
}

Curves = dict[str, dict[int, "Curve"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer examples, one seed, less time")
    parser.add_argument("--seeds", type=int, default=5, help="how many initial networks")
    parser.add_argument("--initializer", default="default", help="of all networks")
    parser.add_argument("--only", default="", help="only competitors whose names contain this")
    parser.add_argument("--json", type=Path, help="write all curves to this file")
    parser.add_argument("--plot", type=Path, help="draw the errors against the seconds into this file")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from benchmarks.held import describe, hold

    about = hold("benchmarks.least_squares")
    from benchmarks.least_squares_problems import problems

    print(describe(about, "torch", "torch-levenberg-marquardt", "scipy", "jax", "jaxopt", "optimistix"))
    seeds = range(1 if options.quick else options.seeds)
    share = 0.1 if options.quick else 1.0
    raced: list[tuple[Problem, Curves]] = []
    for problem in problems(options.quick):
        curves, left_out = race(problem, seeds, share * problem.seconds, options.initializer, options.only)
        raced.append((problem, curves))
        print(table(problem, curves, share * problem.seconds), flush=True)
        for name, reason in left_out.items():
            print(f"\n{name} was left out: {reason}")
    if options.json:
        record = {"machine": about, "problems": [to_dict(problem, curves) for problem, curves in raced]}
        options.json.write_text(json.dumps(record, indent=1), encoding="utf-8")
    if options.plot:
        from mbbp.pictures import as_picture_path, save_figure

        path = as_picture_path("--plot", options.plot)
        save_figure(draw(raced), path)


def race(
    problem: Problem, seeds: range, seconds: float, initializer: str, only: str = ""
) -> tuple[Curves, dict[str, str]]:
    """Return the curves of all competitors for each seed, and for those that are left out, the reason.

    Raises
    ------
    ArithmeticError
        If a competitor does not begin with the same error as the others.
    """
    from benchmarks.least_squares_solvers import best_adam, competitors, network

    adam = best_adam(problem, network(problem, initializer, seeds[0]).theta.copy(), 0.2 * seconds)
    print(f"\nAdam for {problem.name}: {adam}", file=sys.stderr)
    curves: Curves = {}
    left_out: dict[str, str] = {}
    for seed in seeds:
        net = network(problem, initializer, seed)
        first = float(((net.feedforward(problem.X) - problem.y) ** 2).mean())
        for one in competitors(problem, adam):
            package = PACKAGES.get(one.name.split()[0])
            if only not in one.name or one.name in left_out:
                continue
            if package and importlib.util.find_spec(package) is None:
                left_out[one.name] = "not installed"
                continue
            began = time.perf_counter()
            try:
                curve = one.run(problem, net.theta, problem.levels[-1], seconds)
            except (AttributeError, TypeError, ValueError) as error:
                left_out[one.name] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
                continue
            if not math.isclose(curve.errors[0], first, rel_tol=TOLERANCES[one.dtype]):
                raise ArithmeticError(f"{one.name}: expected the first error {first}, got {curve.errors[0]}")
            curves.setdefault(one.name, {})[seed] = curve
            took = time.perf_counter() - began
            print(f"{problem.name}, seed {seed}, {one.name}: {curve.best:.2e}, {took:.1f} s", file=sys.stderr)
    return curves, left_out


def common_level(problem: Problem, curves: Curves, seed: int) -> float:
    """Return the least error that both reach: the best Levenberg-Marquardt of mbbp and that of torch."""
    best = [
        min((by_seed[seed].best for name, by_seed in curves.items() if is_of(who, name)), default=0.0)
        for who in (OURS, THEIRS)
    ]
    return max(*best, problem.levels[-1])  # where all trainings end


def is_of(who: str, name: str) -> bool:
    """Return whether this is Levenberg-Marquardt of mbbp, or that of torch."""
    return name.startswith(who) and "Adam" not in name


def table(problem: Problem, curves: Curves, seconds: float) -> str:
    """Return the table of a problem.

    A cell has the median of the seconds over the seeds, and how many times as long as the fastest Levenberg-Marquardt
    of mbbp that is. A seed with which the error is not reached counts as the longest.
    """
    seeds = sorted({seed for by_seed in curves.values() for seed in by_seed})
    columns: list[tuple[str, dict[int, float]]] = [
        (f"to {level:g}", dict.fromkeys(seeds, level)) for level in problem.levels
    ]
    common = {seed: common_level(problem, curves, seed) for seed in seeds}
    columns.append((f"to what both reach, {statistics.median(common.values()):.2g}", common))
    medians = {
        name: [statistics.median(by_seed[seed].time_to(level[seed]) for seed in by_seed) for _, level in columns]
        for name, by_seed in curves.items()
    }
    ours = [name for name in curves if is_of(OURS, name)]
    fastest = [min((medians[name][i] for name in ours), default=math.inf) for i in range(len(columns))]
    lines = [
        f"\n**{problem.name}**, {list(problem.sizes)}, {problem.n:,} examples, {len(seeds)} seeds, "
        f"at most {seconds:g} s: seconds to each error (times those of mbbp)\n",
        "| | " + " | ".join(title for title, _ in columns) + " | least error, median | ms a step |",
        "|---" * (len(columns) + 3) + "|",
    ]
    for name, by_seed in curves.items():
        cells = []
        for i, (_, level) in enumerate(columns):
            reached = sum(math.isfinite(by_seed[seed].time_to(level[seed])) for seed in by_seed)
            if not math.isfinite(medians[name][i]):
                cells.append(f"not reached ({reached} of {len(by_seed)})")
                continue
            ratio = f" ({medians[name][i] / fastest[i]:.2g}x)" if 0 < fastest[i] < math.inf else ""
            some = "" if reached == len(by_seed) else f", {reached} of {len(by_seed)}"
            cells.append(f"{medians[name][i]:.3g}{ratio}{some}")
        best = statistics.median(curve.best for curve in by_seed.values())
        step = statistics.median(1e3 * curve.seconds[-1] / max(curve.steps, 1) for curve in by_seed.values())
        lines.append(f"| {name} | {' | '.join(cells)} | {best:.2g} | {step:.3g} |")
    return "\n".join(lines)


def to_dict(problem: Problem, curves: Curves) -> dict[str, Any]:
    """Return the curves of a problem, each with the points at which the error was less than ever before."""
    return {
        "name": problem.name,
        "sizes": problem.sizes,
        "examples": problem.n,
        "levels": problem.levels,
        "curves": {
            name: [
                {"seed": seed, "steps": curve.steps, "seconds": curve.seconds[-1], "points": curve.improvements()}
                for seed, curve in by_seed.items()
            ]
            for name, by_seed in curves.items()
        },
    }


def draw(raced: list[tuple[Problem, Curves]]) -> Any:
    """Return the figure: a panel for each problem, with the seed in bold whose last error is the median."""
    from mbbp.pictures import new_figure

    figure = new_figure("--plot", 6.4 * len(raced), 4.8)
    for axes, (problem, curves) in zip(figure.subplots(1, len(raced), squeeze=False)[0], raced, strict=True):
        for name, by_seed in curves.items():
            ranked = sorted(by_seed.values(), key=lambda curve: (curve.time_to(problem.levels[-1]), curve.best))
            middle = ranked[(len(ranked) - 1) // 2]
            for curve in ranked:
                points = [(t, error) for t, error in curve.improvements() if t > 0.0]
                axes.plot(
                    [t for t, _ in points],
                    [error for _, error in points],
                    color=COLOURS.get(name),
                    linewidth=2.0 if curve is middle else 0.6,
                    alpha=1.0 if curve is middle else 0.5,
                    label=name if curve is middle else None,
                    zorder=3 if name.startswith(OURS) else 2,
                )
        for level in problem.levels:
            axes.axhline(level, color="#cccccc", linewidth=0.8, zorder=1)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("seconds of training, one core")
        axes.set_ylabel("mean squared error")
        axes.set_title(f"{problem.name}, {list(problem.sizes)}", fontsize=10)
        axes.grid(alpha=0.2)
    figure.axes[0].legend(frameon=False, fontsize=8, loc="lower left")
    return figure


if __name__ == "__main__":
    main()
