"""Settings: read once, absolute, and never showing a secret."""

from pathlib import Path

import pytest

from brewtopia_lib.errors import SettingsError
from brewtopia_lib.settings import (
    FORMS,
    Settings,
    load_settings,
    project_folder,
    without_secrets,
)

SECRETS = ("hunter2", "p/w@d", "who")


def test_everything_defaults_to_an_embedded_set_up(project: Path) -> None:
    """With nothing set, every location is a path inside the project folder."""
    settings = load_settings()
    assert settings.raw == str(project / "data/raw")
    assert settings.lake == str(project / "data/lake")
    assert settings.warehouse == str(project / "data/warehouse.duckdb")
    assert settings.reports == str(project / "reports/output")
    assert settings.mail == f"outbox:{project / 'reports/outbox'}"
    assert settings.feeds is None


def test_env_file_is_read_and_the_environment_goes_first(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `.env` file sets what the environment does not."""
    (project / ".env").write_text("BREWTOPIA_RAW=tills\nBREWTOPIA_LAKE='café lake'\nOTHER=1\n")
    monkeypatch.setenv("BREWTOPIA_RAW", str(project / "elsewhere"))
    settings = load_settings()
    assert settings.raw == str(project / "elsewhere")
    assert settings.lake == str(project / "café lake")


@pytest.mark.parametrize("marker", [".env", "pyproject.toml"])
def test_a_subfolder_means_the_same_places(
    marker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder below the project folder, relative settings stay where they were."""
    below = tmp_path / "notebooks" / "explore"
    below.mkdir(parents=True)
    (tmp_path / marker).touch()
    monkeypatch.setenv("BREWTOPIA_RAW", "tills/../raw")
    monkeypatch.chdir(below)
    assert project_folder() == tmp_path
    assert load_settings().raw == str(tmp_path / "raw")
    assert load_settings().reports == str(tmp_path / "reports/output")


def test_home_is_expanded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tilde in a `.env` file, which no shell expands, means the home folder."""
    (project / ".env").write_text("BREWTOPIA_RAW=~/tills\n")
    monkeypatch.setenv("HOME", str(project / "home"))
    assert load_settings().raw == str(project / "home/tills")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("raw", "s3://bucket/prefix"),
        ("lake", "s3://bucket"),
        ("warehouse", "redshift://user:hunter2@group/dev"),
        ("reports", "s3://bucket/x"),
        ("mail", "smtps://who:p/w@d@mail.example.com"),
        ("mail", "ses://eu-west-2"),
    ],
)
def test_uris_of_the_contract_are_kept_as_they_are(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every URI form the contract declares passes untouched."""
    monkeypatch.setenv(f"BREWTOPIA_{name.upper()}", value)
    assert getattr(load_settings(), name) == value


@pytest.mark.parametrize("name", list(FORMS))
@pytest.mark.parametrize("value", ["", "  ", "gs://who:hunter2@bucket/x", "s3://"])
def test_unusable_value_names_the_variable_and_the_forms(
    name: str, value: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blank value or an unknown scheme is refused in one line that does not repeat it."""
    monkeypatch.setenv(f"BREWTOPIA_{name.upper()}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert f"BREWTOPIA_{name.upper()}" in message
    assert "is empty" in message or all(form in message for form in FORMS[name])
    assert "\n" not in message
    assert "hunter2" not in message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", ["plenty", "2", "-1GB", "1GB; drop"])
def test_memory_limit_is_a_size(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory limit that is no size is refused, with an example of one that is."""
    monkeypatch.setenv("BREWTOPIA_MEMORY_LIMIT", "1.5 gb")
    assert load_settings().memory_limit == "1.5 gb"
    monkeypatch.setenv("BREWTOPIA_MEMORY_LIMIT", value)
    with pytest.raises(SettingsError, match="BREWTOPIA_MEMORY_LIMIT must be a size such as 2GB"):
        load_settings()


@pytest.mark.parametrize("value", ["outbox:", "reports/outbox", "mail.example.com:25"])
def test_mail_always_has_a_scheme(value: str) -> None:
    """A mail setting without one of its schemes is refused, never taken for a folder."""
    with pytest.raises(ValueError, match="outbox:folder or smtp://"):
        Settings(mail=value)


def test_unreadable_env_file_is_named(project: Path) -> None:
    """A `.env` that is no UTF-8 text gives one line naming the file, not its content."""
    (project / ".env").write_bytes(b"BREWTOPIA_RAW=\xff\xfehunter2\n")
    with pytest.raises(SettingsError, match=r"\.env cannot be read") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_no_secret_in_a_repr() -> None:
    """Neither repr, str nor a validation error shows a user, a password or a query."""
    settings = Settings(
        warehouse="redshift://who:hunter2@host/dev?password=hunter2",
        mail="smtp://who:p/w@d@mail.example.com:587",
    )
    for text in (repr(settings), str(settings), f"{settings}"):
        assert "host/dev" in text
        assert "mail.example.com:587" in text
        assert not any(secret in text for secret in SECRETS)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("data/raw", "data/raw"),
        ("/tills at/me@home?", "/tills at/me@home?"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("smtp://who:p/w@d@host:25", "smtp://…@host:25"),
        ("redshift://host/db?iam=x&\npassword=y", "redshift://host/db?…"),
        ("redshift://host/db?password=p/w@d", "redshift://…"),
        ("smtp://who:p?w@d@host", "smtp://…"),
    ],
)
def test_location_without_secrets_stays_recognisable(location: str, shown: str) -> None:
    """What is printed of a location has its place and nothing that opens it."""
    assert without_secrets(location) == shown


def test_settings_cannot_be_changed_once_read() -> None:
    """Settings are read once: assigning to one is an error."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().raw = "elsewhere"  # type: ignore[misc]
