"""The command ``mbbp``: parse, call, print. Each subcommand has a file of its own."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence

import mbbp
from mbbp.bench.command import add_bench
from mbbp.cli.check import add_check
from mbbp.cli.compile import add_compile
from mbbp.cli.diagnose import add_diagnose
from mbbp.cli.export import add_export
from mbbp.cli.options import Parser
from mbbp.cli.predict import add_predict
from mbbp.cli.show import add_show
from mbbp.cli.text import complain
from mbbp.cli.train import add_train
from mbbp.help_formatter import HelpFormatter

FAILURES = (ValueError, TypeError, OSError, ImportError, ArithmeticError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 if a check fails, 2 for an error, 130 for Ctrl-C.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``mbbp``; by default those of the command line.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    options.words = sys.argv[1:] if arguments is None else list(arguments)

    def show(message: Warning | str, *_: object, **__: object) -> None:
        complain(f"mbbp {options.command}: warning: {message}")

    try:
        run: Callable[[argparse.Namespace], int] = options.run
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = show
            return run(options)
    except BrokenPipeError:
        # The program that read the output has ended. Without this, the interpreter would report it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except FAILURES as error:
        complain(f"mbbp {options.command}: error: {error}")
        return 2
    except KeyboardInterrupt:
        print(f"mbbp {options.command}: interrupted", file=sys.stderr)
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line. Its result has the function of the chosen command in ``run``."""
    parser = Parser(prog="mbbp", description="Mini-batch backpropagation, fully vectorised and compiled.")
    parser.add_argument("--version", action="version", version=f"mbbp {mbbp.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command", parser_class=Parser)
    for add in (add_train, add_predict, add_show, add_export, add_check, add_diagnose, add_bench, add_compile):
        add(commands)
    for command in commands.choices.values():
        command.formatter_class = HelpFormatter
    return parser
