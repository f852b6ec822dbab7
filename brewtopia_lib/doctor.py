"""Checks that every configured part works, and says how to mend what does not."""

import os
import platform
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path

from brewtopia_lib import open_warehouse
from brewtopia_lib.errors import BrewtopiaError
from brewtopia_lib.lake import Lake
from brewtopia_lib.settings import Settings, load_settings, without_secrets
from brewtopia_lib.storage.s3 import Bucket, S3Path, is_s3
from brewtopia_lib.warehouse import is_redshift

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUICK_ATTEMPTS = 2
PASSWORD_VARIABLES = ("BREWTOPIA_REDSHIFT_PASSWORD",)
TEST_VARIABLES = (
    "BREWTOPIA_REAL_DATA",
    "BREWTOPIA_REQUIRE_BROWSER",
    "BREWTOPIA_LIVE_REDSHIFT",
    "BREWTOPIA_LIVE_LAKE",
)


@dataclass(frozen=True)
class Finding:
    """What one part is like; a part that is not needed can be absent without being broken."""

    part: str
    says: str
    is_fine: bool = True
    is_needed: bool = True

    @property
    def is_broken(self) -> bool:
        return self.is_needed and not self.is_fine

    def __str__(self) -> str:
        return f"{'✓' if self.is_fine else '✗'} {self.part}: {self.says}"


def examine() -> Iterator[Finding]:
    """Looks at every part in turn, from Python to the browser."""
    yield _python()
    yield _packages()
    try:
        settings = load_settings()
    except BrewtopiaError as error:
        yield Finding("settings", str(error), is_fine=False)
        return
    yield _settings()
    checks = {
        "raw files": _raw,
        "feeds": _feeds,
        "lake": _lake,
        "warehouse": _warehouse,
        "reports": _reports,
    }
    if settings.queue is not None:
        checks["queue"] = _queue
    for part, check in checks.items():
        yield _checked(part, check, settings)
    yield _browser()


def _checked(part: str, check: Callable[[Settings], str], settings: Settings) -> Finding:
    """The finding of a check that tells what is fine and raises what is not."""
    try:
        return Finding(part, check(settings))
    except (BrewtopiaError, OSError) as error:
        return Finding(part, str(error), is_fine=False)


def _python() -> Finding:
    is_fine = (3, 11) <= sys.version_info < (3, 14)
    way_out = "" if is_fine else "; use 3.11 to 3.13: make clean setup PYTHON=python3.12"
    return Finding("python", platform.python_version() + way_out, is_fine)


def _packages() -> Finding:
    from packaging.requirements import Requirement

    wrong = []
    requirements = [Requirement(text) for text in metadata.requires("brewtopia") or ()]
    needed = [r for r in requirements if not r.marker or r.marker.evaluate({"extra": ""})]
    for requirement in needed:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
        else:
            if version not in requirement.specifier:
                wrong.append(f"{requirement.name} is {version}, not {requirement.specifier}")
    if wrong:
        return Finding("packages", f"{', '.join(wrong)}; run make setup", is_fine=False)
    return Finding("packages", f"{len(needed)} as required")


def _settings() -> Finding:
    known = [f"BREWTOPIA_{name.upper()}" for name in Settings.model_fields]
    given = [name for name in os.environ if name.startswith("BREWTOPIA_")]
    strange = [name for name in given if name not in (*known, *PASSWORD_VARIABLES, *TEST_VARIABLES)]
    if strange:
        near = get_close_matches(strange[0], known, n=1)
        meant = f": did you mean {near[0]}?" if near else f": there are {', '.join(known)}"
        return Finding("settings", f"{strange[0]} is no setting{meant}", is_fine=False)
    named = [name for name in known if name in given]
    return Finding("settings", ", ".join(named) if named else "all at their defaults")


def _raw(settings: Settings) -> str:
    if is_s3(settings.raw):
        return _listed(S3Path.parse(settings.raw))
    folder = Path(settings.raw)
    if not folder.exists():
        raise BrewtopiaError(
            f"{folder} is not there: put till files into it, or run brewtopia sample {folder}"
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        raise BrewtopiaError(f"{folder} cannot be read: give yourself the right to")
    return str(folder)


def _lake(settings: Settings) -> str:
    return _kept(settings.lake)


def _reports(settings: Settings) -> str:
    return _kept(settings.reports)


def _kept(location: str) -> str:
    return _probed(S3Path.parse(location)) if is_s3(location) else _writable(Path(location))


def _listed(place: S3Path) -> str:
    """Looks whether there is anything to read at a place on S3, and reads a little of it."""
    bucket = Bucket(place.bucket, attempts=QUICK_ATTEMPTS)
    first = next(bucket.objects(place.folder, limit=1), None)
    if first is None:
        return f"{place} has no files yet"
    bucket.look(first.key)
    return str(place)


def _probed(place: S3Path) -> str:
    """Writes, finds and deletes a small object at a place on S3."""
    bucket = Bucket(place.bucket, attempts=QUICK_ATTEMPTS)
    key = f"{place.folder}.brewtopia-doctor-{secrets.token_hex(4)}"
    bucket.write(key, b"")
    try:
        is_there = any(bucket.objects(key))
    finally:
        bucket.delete([key])
    if not is_there:
        raise BrewtopiaError(f"{place} does not list what was written there: run it again")
    return str(place)


def _writable(folder: Path) -> str:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            return str(folder)
    except OSError as error:
        raise BrewtopiaError(
            f"nothing can be written into {there} ({error.strerror}): "
            "give yourself the right to, or set another folder"
        ) from None


def _feeds(settings: Settings) -> str:
    from brewtopia_lib.cleaning.feeds import load_feeds

    return ", ".join(feed.name for feed in load_feeds(settings.feeds))


def _warehouse(settings: Settings) -> str:
    note = ""
    if not is_redshift(settings.warehouse):
        _writable(Path(settings.warehouse).parent)
    elif is_s3(settings.lake):
        from brewtopia_lib.warehouse.redshift import check_loading

        check_loading(settings.warehouse, Lake(settings.lake))
    else:
        note = "; to be read only: loading takes a lake on S3 (set BREWTOPIA_LAKE)"
    with open_warehouse() as warehouse:
        _, rows = warehouse.rows("select count(*), max(sold_on) from orders")
    orders, last_day = rows[0]
    newest = f" up to {last_day}" if last_day else ""
    return f"{orders:,} orders{newest} in {without_secrets(settings.warehouse)}{note}"


def _queue(settings: Settings) -> str:
    from brewtopia_lib.events import raw_place
    from brewtopia_lib.events.queues import Queue

    raw_place(settings)
    queue = Queue(str(settings.queue))
    attempts = queue.attempts()
    if attempts is None:
        raise BrewtopiaError(
            f"{queue.url} has no dead-letter queue, so that what always fails comes for ever: "
            "give it a redrive policy (docs/events.md)"
        )
    return f"{queue.waiting():,} messages wait in {queue.url}, each is tried {attempts} times"


def _browser() -> Finding:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    says = found or "no Chromium, which only the tests of the pages look for"
    return Finding("browser", says, is_fine=bool(found), is_needed=False)
