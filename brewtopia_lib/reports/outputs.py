"""Where pages go: each written whole or not at all, and how long they are kept."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

HISTORY = "history"
KEPT_RUNS = 26
"""How many runs of each report and branch stay: half a year of weekly ones."""
ABANDONED_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Place:
    """Where the page of one report, for one branch or the chain, and what goes with it are.

    `page`, `notebook` and `pdf` (if it was printed) are those of the newest run that was done;
    `failure` and `failed_notebook` say why a newer one was not. `archive` holds every run's page.
    """

    folder: Path
    name: str

    @property
    def page(self) -> Path:
        return self.folder / f"{self.name}.html"

    @property
    def notebook(self) -> Path:
        return self.folder / f"{self.name}.ipynb"

    @property
    def pdf(self) -> Path:
        return self.folder / f"{self.name}.pdf"

    @property
    def failure(self) -> Path:
        return self.folder / f"{self.name}.failed.html"

    @property
    def failed_notebook(self) -> Path:
        return self.folder / f"{self.name}.failed.ipynb"

    @property
    def archive(self) -> Path:
        return self.folder / HISTORY / self.name

    def archived(self, made_at: datetime, number: int) -> Path:
        """The page of one run, by when it was made and its number in the ledger."""
        return self.archive / f"{made_at:%Y-%m-%dT%H%M%SZ}-{number}.html"

    def forget_failure(self) -> None:
        """A page was made: an older failure is of no interest."""
        for path in (self.failure, self.failed_notebook):
            path.unlink(missing_ok=True)

    def prune(self) -> None:
        """Keep the newest runs, and what is left of no killed process."""
        known = sorted({path.stem for path in self.archive.glob("*.html")})
        for stem in known[:-KEPT_RUNS]:
            for path in self.archive.glob(f"{stem}.*"):
                path.unlink(missing_ok=True)
        for folder in (self.folder, self.archive):
            for path in folder.glob(".*.part"):
                with suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                        path.unlink()


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: readers see the old one until the new one is there."""
    data = content.encode() if isinstance(content, str) else content
    with _replacing(path) as temporary:
        temporary.write_bytes(data)


def copy_whole(source: Path, path: Path) -> None:
    """The same file under another name too, whole or not at all, and stored once if that goes."""
    with _replacing(path) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:  # a file system without links
            shutil.copyfile(source, temporary)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside a path, which takes its place at the end unless that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
