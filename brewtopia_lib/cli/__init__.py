"""The `brewtopia` command: a thin skin over the library.

Every command imports what it needs itself, so that `brewtopia --help` answers at once.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

from brewtopia_lib.cli import data, trends, upkeep, workbench  # noqa: F401 - their commands
from brewtopia_lib.cli.app import app, say
from brewtopia_lib.errors import BrewtopiaError, explained

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 it failed, 2 wrong usage, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in given:  # it may stand after the command too
        given = ["--debug", *(argument for argument in given if argument != "--debug")]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # files and pipes get UTF-8 whatever the locale
            stream.reconfigure(
                encoding=None if stream.isatty() else "utf-8", errors="backslashreplace"
            )
    try:
        try:
            app(given)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - here every failure becomes one line
        if "--debug" in given:
            traceback.print_exc()
        say(explained(error))
        sys.exit(error.exit_code if isinstance(error, BrewtopiaError) else 1)
    raise AssertionError("a command line always exits")
