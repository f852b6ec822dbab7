"""Report definitions: what `reports/*.toml` declare."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from brewtopia_lib.errors import ParameterError, ReportError
from brewtopia_lib.settings import project_folder


@dataclass(frozen=True)
class Definition:
    """A report as `reports/<name>.toml` declares it."""

    name: str
    title: str
    notebook: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    for_each: Literal["branch"] | None = None


def load_definition(name: str) -> Definition:
    """The definition `reports/<name>.toml` of the project.

    Raises ParameterError for a name there is no definition of, and ReportError for a file that
    is not a definition.
    """
    folder = project_folder() / "reports"
    names = sorted(path.stem for path in folder.glob("*.toml"))
    if name not in names:
        near = get_close_matches(name, names, n=3) or names
        there = f"there is {', '.join(near)}" if near else f"there are no definitions in {folder}"
        raise ParameterError(f"there is no report {name!r}: {there}")
    path = folder / f"{name}.toml"
    try:
        declared = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"report definition {path} cannot be read: {error}") from error
    types = {"title": str, "notebook": str, "parameters": dict, "for_each": str}
    for key, value in declared.items():
        if key not in types or not isinstance(value, types[key]):
            raise ReportError(f"report definition {path}: {key} = {value!r} is not understood")
    missing = [key for key in ("title", "notebook") if key not in declared]
    if missing:
        raise ReportError(f"report definition {path} lacks {' and '.join(missing)}")
    if declared.get("for_each", "branch") != "branch":
        raise ReportError(f'report definition {path}: for_each can only be "branch"')
    declared["notebook"] = project_folder() / declared["notebook"]
    return Definition(name, **declared)
