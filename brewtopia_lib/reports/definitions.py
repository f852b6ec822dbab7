"""Report definitions: what `reports/*.toml` declare."""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from brewtopia_lib.errors import ParameterError, ReportError
from brewtopia_lib.reports.cron import Cron
from brewtopia_lib.settings import ADDRESS, project_folder


def mail_address(text: str) -> str:
    """The text, if it is one plain address that cannot break out of a header.

    Raises ValueError for anything else, names in front of the address included.
    """
    if not ADDRESS.fullmatch(text):
        raise ValueError(f"{text!r} is no mail address: write it as in name@example.org")
    return text


Address = Annotated[str, AfterValidator(mail_address)]


class _Declared(BaseModel):
    """A table of a definition: every key is known, no value is made to fit."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Timing(_Declared):
    """When a report is made by itself, and which data it wants to see before.

    After downtime the last `catch_up` periods missed are made up for, each once. Where sales of
    `requires_data_until` are missing, the report is sent and says so, or waits for them up to
    `wait_hours` first.
    """

    cron: str
    time_zone: str
    catch_up: Annotated[int, Field(ge=1, le=100)] = 3
    requires_data_until: Literal["today", "yesterday"] | None = None
    when_data_missing: Literal["send", "wait"] = "send"
    wait_hours: Annotated[float, Field(gt=0, le=168)] = 6.0

    @model_validator(mode="after")
    def _readable(self) -> Self:
        Cron(self.cron, self.time_zone)
        return self

    @property
    def times(self) -> Cron:
        """The moments it is due."""
        return Cron(self.cron, self.time_zone)


class Definition(_Declared):
    """A report as `reports/<name>.toml` declares it.

    Every page is mailed to `recipients`, the page of a branch also to `branch_recipients` of
    that branch, and what fails to `owners`. A page with fewer `charts` is a failure, and so is
    one that takes longer than `timeout_seconds`.
    """

    name: str
    title: str
    notebook: Path
    parameters: Mapping[str, Any] = {}
    for_each: Literal["branch"] | None = None
    charts: Annotated[int, Field(ge=0)] = 0
    timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] = 600
    recipients: list[Address] = []
    branch_recipients: Mapping[str, list[Address]] = {}
    owners: list[Address] = []
    attachments: list[Literal["page", "notebook"]] = ["page"]
    schedule: Timing | None = None

    @field_validator("notebook", mode="before")
    @classmethod
    def _in_project(cls, value: Any) -> Any:
        return project_folder() / value if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_branches(self) -> Self:
        if self.branch_recipients and not self.for_each:
            raise ValueError('branch_recipients need for_each = "branch"')
        return self


def definition_names() -> list[str]:
    """The names of the definitions there are in the project, in order."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def load_definition(name: str) -> Definition:
    """The definition `reports/<name>.toml` of the project.

    Raises ParameterError for a name there is no definition of, and ReportError for a file that
    is not a definition.
    """
    folder, names = _folder(), definition_names()
    if name not in names:
        near = get_close_matches(name, names, n=3) or names
        there = f"there is {', '.join(near)}" if near else f"there are no definitions in {folder}"
        raise ParameterError(f"there is no report {name!r}: {there}")
    path = folder / f"{name}.toml"
    try:
        declared = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"report definition {path} cannot be read: {error}") from error
    try:
        return Definition(**{**declared, "name": name})
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False)[0]
        raise ReportError(f"report definition {path}: {_explained(wrong)}") from None


def _folder() -> Path:
    return project_folder() / "reports"


def _explained(wrong: Mapping[str, Any]) -> str:
    """What is wrong with which key, in one line."""
    key = ".".join(str(part) for part in wrong["loc"])
    if wrong["type"] == "missing":
        return f"lacks {key}"
    if wrong["type"] == "extra_forbidden":
        return f"{key} = {wrong['input']!r} is not understood"
    message = str(wrong["msg"]).removeprefix("Value error, ")
    message = message.replace("Input should be", "can only be")
    return f"{key}: {message}" if key else message
