"""What every test starts from: no settings of the developer's own, and no time limits."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from brewtopia_lib.settings import Settings

if TYPE_CHECKING:
    from report_project import Reported

hypothesis.settings.register_profile("project", deadline=None)
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
