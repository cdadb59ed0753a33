"""The console script. The commands need typer and rich; without them it says how to get them."""

import importlib
import io
import os
import sys


def main() -> None:
    """Run the command line; exit status 0, or 2 after an error, or 130 after an interrupt."""
    try:
        commands = importlib.import_module("weft.commands")
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        print('weft: the command line needs typer and rich: pip install "weft[cli]"', file=sys.stderr)
        sys.exit(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows a question mark instead.
            stream.reconfigure(errors="replace")
    try:
        commands.app()
    except BrokenPipeError:
        # The reader of our output is gone; leave nothing for the interpreter to flush into the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
