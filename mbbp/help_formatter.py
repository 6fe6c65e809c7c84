"""How the commands of ``mbbp`` print their options."""

import argparse


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Adds the default to the help of an option if it is a word or a number.

    None, False and lists say nothing to a reader: what happens then belongs into the text of the help.
    """

    def _get_help_string(self, action: argparse.Action) -> str | None:
        is_shown = action.default not in (None, "") and not isinstance(action.default, (bool, list))
        return super()._get_help_string(action) if is_shown else action.help
