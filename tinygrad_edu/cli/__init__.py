"""The command line: ``tinygrad-edu train | evaluate | course | graph | demo | explain | bench | warmup | doctor``."""

import argparse
import sys
import warnings
from collections.abc import Sequence

from tinygrad_edu.cli import bench, course, demo, doctor, evaluate, explain, graph, train, warmup

__all__ = ["main", "parser"]

COMMANDS = (train, evaluate, course, graph, demo, explain, bench, warmup, doctor)
# What a person can mend: shown as one line. Anything else is a bug and shows its traceback.
MENDABLE = (
    OSError,
    ValueError,
    TypeError,
    RuntimeError,
    IndexError,
    SyntaxError,
    NameError,
    ZeroDivisionError,
    ImportError,
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="tinygrad-edu",
        description="Train small networks and look at computational graphs.",
    )
    top.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    for module in COMMANDS:
        module.add_command(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed with a message, 2 wrong arguments, 130 interrupted."""
    options = parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = lambda text, *_: print(f"note: {text}", file=sys.stderr)
        return execute(options)


def execute(options: argparse.Namespace) -> int:
    """Run the chosen command and turn what a person can mend into one line."""
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except MENDABLE as error:
        if options.debug:
            raise
        text = str(error) or type(error).__name__
        print(f"tinygrad-edu {options.command}: {text}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
