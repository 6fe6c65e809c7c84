"""The command ``mbbp bench``: its options, and the order of its work.

Modules that take long to import are imported when the command runs, because every ``mbbp`` command imports this one.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mbbp.help_formatter import HelpFormatter

if TYPE_CHECKING:
    from mbbp.bench.cases import Case
    from mbbp.bench.implementations import Implementation
    from mbbp.bench.results import CaseResult

SECONDS = 45.0
PEER_NAMES = ("torch", "jax", "sklearn")
DESCRIPTION = """
Compare backpropagation of one example after the other with backpropagation of whole mini-batches, on the same network
and the same data, in one run. Every implementation gathers shuffled mini-batches, does a forward and a backward pass,
and updates the parameters. First, all take the same steps from the same parameters; an implementation whose result
differs from that of the book's loop is not timed. The exit code is 1 if there is such an implementation, or if mbbp is
slower than --compare allows.
"""

FIT = "fit"
NOT_WITH_FIT = ("sizes", "table", "dtype", "sweep", "cold", "peers", "seconds", "threads", "csv", "plot", "compare")

SETTLE = 0.1  # seconds to wait before each measurement, until the threads of the last one no longer wait for more work


def parse_sizes(text: str) -> list[int]:
    """Return the numbers in a word of the command line, such as 784,30,10."""
    try:
        return [int(word) for word in text.strip("[]").replace(",", " ").split()]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected whole numbers separated by commas, as in 784,30,10, got {text!r}"
        ) from None


def add_bench(commands: Any) -> None:
    """Add the subcommand ``bench`` to those of ``mbbp``."""
    bench = commands.add_parser(
        "bench",
        help="compare per-example and matrix-based backpropagation, and other libraries",
        description=DESCRIPTION,
        formatter_class=HelpFormatter,
    )
    bench.set_defaults(run=run, default_of=bench.get_default)
    work = bench.add_argument_group("work")
    work.add_argument(
        "--sizes",
        type=parse_sizes,
        nargs="+",
        default=[[784, 30, 10]],
        metavar="N,N",
        help="number of neurons in each layer, for one or more networks (784,30,10)",
    )
    work.add_argument(
        "--table",
        action="store_true",
        help="measure eleven cases: networks from tiny to large, each with its own mini-batch size, and one of them "
        "also with more data than the caches hold",
    )
    work.add_argument(
        "--batch-size", type=parse_sizes, metavar="M,M", help="mini-batch sizes (1,2,5,10,32,100,256; for fit 200,32,8)"
    )
    work.add_argument("--dtype", help="float32 or float64 (default: float32); fit is in float64")
    work.add_argument(
        "--what",
        default="step",
        choices=("step", "gradient", "predict", "epoch", FIT),
        help="step: a step of training; gradient or predict: the gradient or the outputs of one mini-batch, computed "
        "by a call from Python; epoch: an epoch of training by the public interface; fit: a race of the estimators of "
        "mbbp.sklearn against those of scikit-learn, on four data sets, in some minutes",
    )
    work.add_argument(
        "--sweep", choices=("width", "depth", "batch"), help="vary one of these, and report how the time grows"
    )
    work.add_argument(
        "--cold", action="store_true", help="instead measure the import and the first training, in new processes"
    )
    how = bench.add_argument_group("measuring")
    how.add_argument(
        "--peers", default="", metavar="NAMES", help=f"other libraries to measure, too: {','.join(PEER_NAMES)}, or all"
    )
    how.add_argument(
        "--seconds", type=float, default=SECONDS, help="about how long the run may take, without what peers compile"
    )
    how.add_argument("--threads", type=int, default=1, help="threads of every implementation, pinned to as many cores")
    how.add_argument("--seed", type=int, default=0, help="seed of the data and the initial parameters")
    results = bench.add_argument_group("results")
    results.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    results.add_argument("--schema", action="store_true", help="print a description of the JSON, and exit")
    results.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables (.md)")
    results.add_argument("--csv", type=Path, metavar="FILE", help="write a row for each implementation and case")
    results.add_argument("--plot", type=Path, metavar="FILE", help="draw the speed-up or the growth (.png, .svg, .pdf)")
    results.add_argument(
        "--compare",
        type=Path,
        metavar="OLD.json",
        help="compare mbbp's speed-up over the per-example loop with that of an earlier run",
    )
    results.add_argument(
        "--fail-below",
        type=float,
        default=0.8,
        metavar="SHARE",
        help="with --compare: exit with 1 if mbbp has less than this share of the old speed-up",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    from mbbp.bench import machine

    if options.schema:
        from mbbp.bench.record import SCHEMA

        print(SCHEMA)
        return 0
    _check(options)
    if not machine.is_held(options.threads):
        return _run_held([sys.executable, "-m", "mbbp", *options.words], machine.held_environment(options.threads))
    cores = machine.pin(options.threads)
    import mbbp

    mbbp.set_threads(options.threads)
    described = machine.describe(options.threads, cores, options.seed)
    if options.what == FIT:
        return _fit(options, described)
    return _cold(options, described) if options.cold else _bench(options, described)


def _check(options: argparse.Namespace) -> None:
    """Check the options before the work begins, and convert them to their final form."""
    from mbbp.bench.record import load_record
    from mbbp.files import PICTURES, check_can_be_written
    from mbbp.threads import available_cores
    from mbbp.validation import as_count, as_dtype, as_number, as_sizes, refuse_unknown

    if options.what == FIT:
        _check_fit(options)
    options.sizes = [tuple(as_sizes(one)) for one in options.sizes]
    if options.batch_size is not None:
        options.batch_size = [as_count("--batch-size", m) for m in options.batch_size]
        if not options.batch_size:
            raise ValueError("--batch-size: expected at least one whole number, got none")
    options.dtype = as_dtype(options.dtype or ("float64" if options.what == FIT else "float32")).name
    options.peers = [name for name in options.peers.split(",") if name]
    if options.peers == ["all"]:
        options.peers = list(PEER_NAMES)
    for name in options.peers:
        if name not in PEER_NAMES:
            refuse_unknown("--peers", name, (*PEER_NAMES, "all"))
    as_number("--seconds", options.seconds, positive=True)
    as_number("--fail-below", options.fail_below, positive=True)
    as_count("--seed", options.seed, least=0)
    if as_count("--threads", options.threads) > available_cores():
        raise ValueError(
            f"--threads: expected at most {available_cores()}, one for each core that may be used, "
            f"got {options.threads}"
        )
    if options.table and options.sweep:
        raise ValueError(f"--table: expected no --sweep, got --sweep {options.sweep}")
    endings = {"json": (".json",), "markdown": (".md",), "csv": (".csv",), "plot": PICTURES}
    for name, allowed in endings.items():
        path = getattr(options, name)
        if path is None:
            continue
        if options.cold and name != "json":
            raise ValueError(f"--{name}: expected only --json with --cold, got --{name} {path}")
        check_can_be_written(f"--{name}", path, allowed)
    options.old = None if options.compare is None else load_record(options.compare)


def _check_fit(options: argparse.Namespace) -> None:
    """Check that scikit-learn is there, and that no option is given that ``--what fit`` does not have."""
    from mbbp.extras import load_extra

    for name in NOT_WITH_FIT:
        value = getattr(options, name)
        if value != options.default_of(name):
            given = "" if value is True else f" {value}"
            raise ValueError(
                f"--{name}: expected only --batch-size, --seed, --json and --markdown with --what fit, "
                f"got --{name}{given}"
            )
    load_extra("--what fit", "sklearn.neural_network")


def _run_held(command: list[str], environment: dict[str, str]) -> int:
    """Run the command again in a process with a limited number of threads, and return its exit code.

    BLAS and similar libraries read the number of threads when they are loaded. In this process that has already
    happened.
    """
    with subprocess.Popen(command, env=environment) as child:
        try:
            code = child.wait()
        except KeyboardInterrupt:
            # on a terminal the child process has received Ctrl-C too, and reports it
            try:
                code = child.wait(1.0)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGINT)
                code = child.wait()
    return code if code >= 0 else 128 - code


def _bench(options: argparse.Namespace, described: dict[str, Any]) -> int:
    from mbbp.bench import compare, growth, machine, record, table
    from mbbp.bench.measure import Deadline, Roof, measure
    from mbbp.bench.status import Status

    places = _cases(options)
    if options.old is not None:
        compare.check_in_common(options.old, [case.key for _, case in places])
    deadline = Deadline(options.seconds, machine.seconds_so_far())
    roof = Roof(sorted({"float64", options.dtype}))
    with Status() as tell:
        cases, settle = [case for _, case in places], SETTLE if options.threads > 1 else 0.0
        results = measure(cases, _implementations(options), deadline, options.seed, tell, roof, settle=settle)
    for result, (place, _) in zip(results, places, strict=True):
        result.place, result.sweep = place, options.sweep
    growths = growth.growths(results)
    print(table.as_text(results, described, roof.gflops))
    if growths:
        print(f"\n{growth.as_text(growths)}")
    made = record.make_record(results, described, options, roof.gflops, growths)
    code = 1 if any(one.is_wrong for result in results for one in result.results) else 0
    _write(options, results, made, described, roof.gflops)
    if options.old is not None:
        comparison = compare.compare(options.old, made, options.fail_below)
        print(f"\n{comparison.as_text()}")
        code = max(code, 1 if comparison.regressed else 0)
    return code


def _write(
    options: argparse.Namespace,
    results: "list[CaseResult]",
    made: dict[str, Any],
    described: dict[str, Any],
    roof: dict[str, float],
) -> None:
    from mbbp.bench import plots, record, table
    from mbbp.files import write_text
    from mbbp.pictures import save_figure

    writers: dict[str, Callable[[Path], Any]] = {
        "json": lambda path: record.write_record(path, made),
        "markdown": lambda path: write_text(path, table.as_markdown(results, described, roof)),
        "csv": lambda path: write_text(path, table.as_csv(results, roof)),
        "plot": lambda path: save_figure(plots.draw(results), path),
    }
    for name, write in writers.items():
        path = getattr(options, name)
        if path is not None:
            write(path)
            print(f"wrote {path}")


def _cold(options: argparse.Namespace, described: dict[str, Any]) -> int:
    from mbbp.bench import cold, record, table
    from mbbp.bench.status import Status

    with Status() as tell:
        starts = cold.measure_cold(options.peers, dict(os.environ), tell)
    print(f"{table.header(described)}\n\n{cold.as_text(starts)}")
    if options.json is not None:
        record.write_record(options.json, record.make_cold_record(starts, described, options))
        print(f"wrote {options.json}")
    return 0


def _fit(options: argparse.Namespace, described: dict[str, Any]) -> int:
    from mbbp.bench import fit, fit_data, fit_table, record
    from mbbp.bench.status import Status
    from mbbp.files import write_text

    with Status() as tell:
        race = fit.run_race(fit_data.PROBLEMS, options.batch_size or fit.BATCH_SIZES, options.seed, tell)
    print(fit_table.as_text(race, described))
    if options.json is not None:
        record.write_record(options.json, record.make_fit_record(race.to_dict(), described, options))
        print(f"wrote {options.json}")
    if options.markdown is not None:
        write_text(options.markdown, fit_table.as_markdown(race, described))
        print(f"wrote {options.markdown}")
    return 1 if race.is_wrong else 0


def _cases(options: argparse.Namespace) -> "list[tuple[int | None, Case]]":
    """Return the cases that the options ask for, each with its place along a sweep."""
    from mbbp.bench.cases import BATCH_SIZES, BEYOND_CACHE, LARGEST, TABLE, Case, batch_cases, sweep_cases

    found: list[tuple[int | None, Case]] = []
    if options.table:
        found = [(None, Case(shape, m, options.dtype, options.what)) for shape, m in (*TABLE, LARGEST)]
        shape, m, n = BEYOND_CACHE
        found.append((None, Case(shape, m, options.dtype, options.what, n)))
    elif options.sweep:
        for shape in options.sizes:
            m = options.batch_size[0] if options.batch_size else 10
            found += sweep_cases(options.sweep, shape, m, options.dtype, options.what)
    else:
        for shape in options.sizes:
            cases = batch_cases(shape, options.batch_size or BATCH_SIZES, options.dtype, options.what)
            found += [(None, case) for case in cases]
    return list(dict.fromkeys(found))


def _implementations(options: argparse.Namespace) -> "list[type[Implementation]]":
    from mbbp.bench.implementations import IMPLEMENTATIONS

    found: list[type[Implementation]] = list(IMPLEMENTATIONS)
    if options.peers:
        from mbbp.bench.peers import PEERS

        for name in dict.fromkeys(options.peers):
            found += PEERS[name]
    return found
