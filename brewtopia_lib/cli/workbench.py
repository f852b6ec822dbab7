"""Commands for the analyst: JupyterLab, proposed feeds, new reports."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from brewtopia_lib.cli.app import app
from brewtopia_lib.errors import SourceError

START = "explore/00_start_here.ipynb"
SETTINGS = Path(__file__).parents[1] / "templates" / "lab"
"""What JupyterLab does unless a user's own settings say otherwise: it asks for no news."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[OPTION]...", help="For JupyterLab, such as --no-browser."),
    ] = None,
) -> None:
    """Open JupyterLab on the notebook to start from."""
    from brewtopia_lib.settings import project_folder

    notebooks = project_folder() / "notebooks"
    if not (notebooks / START).is_file():
        raise SourceError(
            f"there is no notebook {notebooks / START}: run brewtopia lab inside the checkout",
            source=str(notebooks),
        )
    # notebooks find the command, and their kernel is this Python, wherever they were started from
    environment = os.environ | {
        "PATH": _first(os.path.dirname(sys.executable), "PATH"),
        "JUPYTER_CONFIG_PATH": _first(str(SETTINGS), "JUPYTER_CONFIG_PATH"),
    }
    arguments = [
        "--KernelSpecManager.kernel_dirs=[]",
        f"--ServerApp.root_dir={notebooks}",
        f"--LabApp.default_url=/lab/tree/{START}",
        *(options or ()),
    ]
    os.execve(sys.executable, [sys.executable, "-m", "jupyterlab", *arguments], environment)


def _first(folder: str, variable: str) -> str:
    """What a variable of folders is with another one before them."""
    return os.pathsep.join([folder, *filter(None, [os.environ.get(variable)])])


@app.command("new-feed")
def new_feed_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A till file no feed takes yet.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The feed's name. [default: the file's]")
    ] = None,
) -> None:
    """Propose a feed for a till file of an unknown layout."""
    from brewtopia_lib.desk.proposals import new_feed

    print(new_feed(file, name).toml, end="")


@app.command("new-report")
def new_report_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as slow_days.")],
) -> None:
    """Make a report's notebook and definition from a template."""
    from brewtopia_lib.desk.new_report import new_report

    for path in new_report(name):
        print(path)
