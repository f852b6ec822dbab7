"""Private folders for temp copies: gone after use, and after a crash at the next start."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from brewtopia_lib.errors import BrewtopiaError

_LOCK = ".lock"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder in the system's temp folder that nobody else can look into, gone afterwards."""
    with _locked_base() as base:
        _clear(base)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=base))
        # held for as long as this process lives: so the next one sees that it does
        lock = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def clear_leftovers() -> None:
    """Remove the private folders of processes that died without doing it."""
    if _base().exists():
        with _locked_base() as base:
            _clear(base)


def _base() -> Path:
    return Path(tempfile.gettempdir(), f"brewtopia-{os.getuid()}")


@contextmanager
def _locked_base() -> Iterator[Path]:
    base = _base()
    base.mkdir(mode=0o700, exist_ok=True)
    status = base.lstat()
    is_private = stat.S_ISDIR(status.st_mode) and not stat.S_IMODE(status.st_mode) & 0o077
    if not is_private or status.st_uid != os.getuid():
        raise BrewtopiaError(
            f"{base} is open to others, so no till file can be kept there: remove it, "
            "or set TMPDIR to another folder"
        )
    lock = _lock(base)
    try:
        yield base
    finally:
        os.close(lock)


def _lock(folder: Path, flags: int = fcntl.LOCK_EX) -> int:
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, flags)
    except OSError:
        os.close(lock)
        raise
    return lock


def _clear(base: Path) -> None:
    for folder in base.glob("run-*"):
        with suppress(BlockingIOError, FileNotFoundError):  # it is in use, or goes just now
            lock = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
