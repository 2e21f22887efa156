"""``tinygrad-edu explain E101``: the lesson behind the code of an error or warning; without a code, the list of all."""

import argparse
from typing import Any

__all__ = ["add_command", "run"]


def add_command(commands: Any) -> None:
    """Describe the command's arguments."""
    command = commands.add_parser("explain", help="tell more about the code of an error or warning, such as E101")
    command.add_argument("code", nargs="?", help="the code (default: list all lessons)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Execute the command."""
    from tinygrad_edu.lessons import explain

    print(explain(options.code))
