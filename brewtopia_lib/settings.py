"""Settings, read once from the environment or a `.env` file and passed in."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from brewtopia_lib.errors import SettingsError

FORMS = {
    "raw": ("a folder", "s3://bucket/prefix"),
    "lake": ("a folder", "s3://bucket/prefix"),
    "warehouse": ("a DuckDB file", "redshift://…"),
    "reports": ("a folder", "s3://bucket/prefix"),
    "mail": ("outbox:folder", "smtp://…", "smtps://…", "ses://region"),
    "feeds": ("a folder",),
    "runs": ("a SQLite file",),
}
"""What each setting may be; a local path is meant where no scheme is shown."""

OUTBOX = "outbox:"
ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?=.{1,255}$)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
)
"""One plain mail address, which cannot break out of a header."""


class Settings(BaseSettings):
    """Where everything lives. Every default is embedded and works offline.

    Locations are absolute local paths or URIs. A relative path starts at the project folder
    (see `project_folder`), so that a notebook in a subfolder means the same place.
    """

    model_config = SettingsConfigDict(
        env_prefix="BREWTOPIA_",
        extra="ignore",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    raw: str = "data/raw"
    lake: str = "data/lake"
    warehouse: str = "data/warehouse.duckdb"
    reports: str = "reports/output"
    mail: str = "outbox:reports/outbox"
    feeds: Path | None = None
    memory_limit: str | None = None
    runs: str = "data/runs.sqlite"
    mail_from: str = "brewtopia@localhost"
    reports_url: str | None = None
    queue: str | None = None

    @field_validator(*FORMS, mode="before")
    @classmethod
    def _usable(cls, value: Any, info: ValidationInfo) -> Any:
        """The location made absolute, or a ValueError that names the allowed forms."""
        if not isinstance(value, str | Path):
            return value
        text = str(value).strip()
        if not text:
            raise ValueError("is empty")
        forms = FORMS[str(info.field_name)]
        scheme, separator, rest = text.partition("://")
        if separator:
            uri = f"{scheme.lower()}://{rest}"
            if rest and any(uri.startswith(form.partition("://")[0] + "://") for form in forms):
                return uri
        elif info.field_name != "mail":
            return _absolute(text)
        elif text.startswith(OUTBOX) and text != OUTBOX:
            return OUTBOX + _absolute(text.removeprefix(OUTBOX))
        raise ValueError(f"must be {' or '.join(forms)}")

    @field_validator("memory_limit")
    @classmethod
    def _size(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(?i)[0-9]+(\.[0-9]+)? ?[KMGT]i?B", value):
            raise ValueError("must be a size such as 2GB or 500MB")
        return value

    @field_validator("mail_from")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        if not ADDRESS.fullmatch(value):
            raise ValueError("must be one mail address such as reports@example.org")
        return value

    @field_validator("reports_url")
    @classmethod
    def _link(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[!#-;=?-\[\]_a-z~]+", value):
            raise ValueError("must be an address such as https://reports.example.org/brewtopia")
        return value

    @field_validator("queue")
    @classmethod
    def _queue_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[\w.:-]+/[\w/-]+(\.fifo)?", value):
            raise ValueError("must be the URL of an SQS queue: https://sqs.…/account/name")
        return value

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What a repr shows: locations without their secrets."""
        for name, value in super().__repr_args__():
            yield name, without_secrets(value) if isinstance(value, str) else value


def load_settings() -> Settings:
    """The settings in force here and now; the environment goes before `.env`.

    Raises SettingsError naming the variable whose value cannot be used.
    """
    env_file = project_folder() / ".env"
    try:
        return Settings(_env_file=env_file, _env_file_encoding="utf-8")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = "BREWTOPIA_" + str(first["loc"][0]).upper()
        raise SettingsError(
            f"setting {name} {first['msg'].removeprefix('Value error, ')}: "
            "unset it for the default, or see the table of settings in README.md"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{env_file} cannot be read ({type(error).__name__}): "
            "make it a readable UTF-8 text file, or remove it"
        ) from None


def project_folder() -> Path:
    """The nearest folder, from the working directory up, with a `.env` or `pyproject.toml`.

    Where there is none, the working directory.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".env").is_file() or (folder / "pyproject.toml").is_file():
            return folder
    return here


def without_secrets(location: str) -> str:
    """The location fit to print: a URI loses its user, password and query."""
    scheme, separator, rest = location.partition("://")
    place, _, query = rest.partition("?")
    if not separator:
        return location
    if "@" in query:  # which part is the password cannot be told
        return f"{scheme}://…"
    _, at, host = place.rpartition("@")
    return f"{scheme}://{'…@' if at else ''}{host}{'?…' if query else ''}"


def _absolute(path: str) -> str:
    return os.path.abspath(project_folder() / Path(path).expanduser())
