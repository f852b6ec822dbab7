"""What every test starts from: no settings of the developer's own, and no time limits."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from brewtopia_lib.settings import Settings

if TYPE_CHECKING:
    from redshift_stand_in import StandIn
    from report_project import Reported
    from s3_server import S3Server

# The same code gives the same result; new examples are what `make fuzz` is for.
hypothesis.settings.register_profile("project", deadline=None, derandomize=True)
hypothesis.settings.register_profile("fuzz", deadline=None, print_blob=True)
hypothesis.settings.load_profile("project")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"BREWTOPIA_{name.upper()}", raising=False)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder to work in."""
    (tmp_path / ".env").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real till files; the test is skipped where there is none."""
    folder = os.environ.get("BREWTOPIA_REAL_DATA")
    if not folder:
        pytest.skip("BREWTOPIA_REAL_DATA names no folder of real till files")
    return Path(folder)


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> "Reported":
    """A project with sample data and all its reports made, once for all tests that look at them."""
    from report_project import report_everything

    return report_everything(tmp_path_factory.mktemp("reported"))


@pytest.fixture(scope="session")
def s3_server() -> Iterator["S3Server"]:
    from s3_server import S3Server

    server = S3Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def stand_in(s3_server: "S3Server") -> Iterator["StandIn"]:
    """A Redshift whose role for COPY may read the bucket `lake`; locations in it keep tests apart."""
    from redshift_stand_in import StandIn

    server = StandIn(s3_server.client(), "lake")
    yield server
    server.close()


@pytest.fixture
def s3(
    s3_server: "S3Server", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator["S3Server"]:
    """An S3 with the empty buckets `tills`, `lake` and `pages`, and own temp and cache folders."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("temp", "cache"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temp"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    s3_server.reset()
    s3_server.make_buckets("tills", "lake", "pages")
    yield s3_server
    s3_server.fault = None
