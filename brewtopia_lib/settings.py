"""Settings, read once from the environment or a `.env` file and passed in."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from brewtopia_lib.errors import SettingsError


def _not_blank(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError("is empty")
    return value


Location = Annotated[str, BeforeValidator(_not_blank)]


class Settings(BaseSettings):
    """Where everything lives. Every default is embedded and works offline.

    Locations are local paths, relative to the working directory, or URIs.
    """

    model_config = SettingsConfigDict(
        env_prefix="BREWTOPIA_", env_file=".env", extra="ignore", frozen=True
    )

    raw: Location = "data/raw"
    lake: Location = "data/lake"
    warehouse: Location = "data/warehouse.duckdb"
    reports: Location = "reports/output"
    mail: Location = "outbox:reports/outbox"
    feeds: Path | None = None


def load_settings() -> Settings:
    """The settings in force here and now.

    Raises SettingsError naming the variable whose value cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "BREWTOPIA_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(
            f"setting {name} {first['msg'].removeprefix('Value error, ')}: "
            "unset it for the default, or see the table of settings in README.md"
        ) from None
