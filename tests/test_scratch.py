"""Private folders: nobody else looks in, and nothing stays."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from brewtopia_lib.errors import BrewtopiaError
from brewtopia_lib.storage.scratch import clear_leftovers, private_folder

HOLD = """
import sys, time
from brewtopia_lib.storage.scratch import private_folder
with private_folder() as folder:
    (folder / "till.csv").write_text("personal")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def held() -> tuple["subprocess.Popen[str]", Path]:
    """Another process that holds a private folder, and the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_private_folder_is_private_and_gone_afterwards() -> None:
    """Only its owner can look in, and neither success nor failure leaves it behind."""
    with pytest.raises(KeyError), private_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.parent.stat().st_mode & 0o777 == 0o700
        (folder / "till.csv").write_text("personal")
        raise KeyError
    assert not folder.exists()


def test_what_a_killed_process_left_goes_at_the_next_start() -> None:
    """The folder of a living process stays, that of a killed one goes when another is made."""
    process, folder = held()
    clear_leftovers()
    assert (folder / "till.csv").exists()
    process.kill()
    process.communicate()
    with private_folder():
        assert not folder.exists()


def test_a_folder_that_others_can_read_is_refused(temp: Path) -> None:
    """Somebody else's folder of that name, or an open one, is never written to."""
    with private_folder() as folder:
        base = folder.parent
    base.chmod(0o755)
    with pytest.raises(BrewtopiaError, match=r"is open to others.*set TMPDIR"), private_folder():
        pass
    base.rename(temp / "mine")
    base.symlink_to(temp / "mine")
    with pytest.raises(BrewtopiaError, match="is open to others"), private_folder():
        pass


def test_looking_for_leftovers_leaves_none(temp: Path) -> None:
    """Where there is nothing to clear, nothing is made."""
    clear_leftovers()
    assert not list(temp.iterdir())
