"""Till files to measure on: generated ones, or the real ones again and again."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

from brewtopia_lib.sample import write_sample

COLUMNS = ("sold_at", "branch", "customer", "items", "total", "payment", "card")
KEPT = ("sold_at", "branch", "items", "total", "payment")

_DAY = re.compile(rb"^(\d\d)/(\d\d)/(\d{4})", re.MULTILINE)
_DAY_IN_NAME = re.compile(r"(\d\d)-(\d\d)-(\d{4})")


def write_till_files(folder: Path, *, branches: int, days: int, real: bool) -> list[Path]:
    """At least as many branch-days; real ones are repeated, each time over a later period."""
    folder.mkdir(parents=True)
    if real:
        return list(_real_copies(folder, branches * days))
    write_sample(folder, branches=branches, days=days)
    return sorted(folder.iterdir())


def join_files(files: Iterable[Path], path: Path) -> Path:
    """One file with the rows of all."""
    with path.open("wb") as stream:
        for file in files:
            with file.open("rb") as part:
                shutil.copyfileobj(part, stream)
    return path


def shifted(text: bytes, days: int) -> bytes:
    """Headerless till rows, so many days later."""
    known: dict[bytes, bytes] = {}

    def later(match: re.Match[bytes]) -> bytes:
        if match[0] not in known:
            day = date(int(match[3]), int(match[2]), int(match[1])) + timedelta(days)
            known[match[0]] = f"{day:%d/%m/%Y}".encode()
        return known[match[0]]

    return _DAY.sub(later, text)


def _real_copies(folder: Path, wanted: int) -> Iterator[Path]:
    real = os.environ.get("BREWTOPIA_REAL_DATA")
    if not real:
        raise SystemExit("--real needs BREWTOPIA_REAL_DATA to name the folder of real till files")
    originals = sorted(Path(real, "branches").glob("*.csv"))
    for copy in range(-(-wanted // len(originals))):
        days = 16 * copy
        for original in originals:
            match = _DAY_IN_NAME.search(original.name)
            assert match is not None
            day = date(int(match[3]), int(match[2]), int(match[1])) + timedelta(days)
            path = folder / original.name.replace(match[0], f"{day:%d-%m-%Y}")
            path.write_bytes(shifted(original.read_bytes(), days))
            yield path
