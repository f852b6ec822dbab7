"""A new report of the project: its notebook and its definition, runnable at once."""

import re
from importlib.resources import files
from pathlib import Path

from brewtopia_lib.errors import UsageError
from brewtopia_lib.settings import project_folder


def new_report(name: str) -> tuple[Path, Path]:
    """Write `notebooks/reports/<name>.ipynb` and `reports/<name>.toml`, and give both paths.

    Raises UsageError for a name that cannot be, or that a report of the project has.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(
            f"{name!r} is no name of a report: small letters, digits and _, as in slow_days"
        )
    project = project_folder()
    made = (project / "notebooks/reports" / f"{name}.ipynb", project / "reports" / f"{name}.toml")
    for path in made:
        if path.exists():
            raise UsageError(f"there is a report {name} already, in {path}: choose another name")
    title = name.replace("_", " ").capitalize()
    for path in made:
        template = files("brewtopia_lib") / "templates" / f"new_report{path.suffix}"
        text = template.read_text("utf-8").replace("TITLE", title).replace("NAME", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return made
