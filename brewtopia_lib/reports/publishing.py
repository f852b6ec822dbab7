"""Where pages are made: in the folder of reports, or in a copy of it that goes to S3."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from brewtopia_lib.storage.s3 import Bucket, S3Path, in_parallel, is_s3
from brewtopia_lib.storage.stores import cache_of

INDEX = "index.html"
STATUS = "status.html"

Stamp = tuple[int, int]


@contextmanager
def reports_folder(location: str) -> Iterator[Path]:
    """A folder to make pages in, which are there when this ends.

    For a location on S3 it is a local copy. What changed in it is uploaded, each file whole, the
    index last, so that it never leads to what is not there; what was removed from it goes.
    Nothing is uploaded after an exception. Raises S3Error.
    """
    if not is_s3(location):
        yield Path(location)
        return
    place = S3Path.parse(location)
    bucket = Bucket(place.bucket)
    there = {one.key for one in bucket.objects(place.folder)}
    folder = cache_of(bucket, place) / "reports"
    before = _stamps(folder)
    yield folder
    after = _stamps(folder)

    def upload(name: str) -> None:
        bucket.write(place.folder + name, folder / name)

    new = [
        name
        for name, stamp in after.items()
        if before.get(name) != stamp or place.folder + name not in there
    ]
    for _ in in_parallel(upload, [name for name in new if name != INDEX]):
        pass
    if INDEX in new:
        upload(INDEX)
    bucket.delete([place.folder + name for name in before if name not in after])


def published_at(location: str, folder: Path, page: Path) -> str:
    """Where readers find a page that was made in the folder."""
    if not is_s3(location):
        return str(page)
    place = S3Path.parse(location)
    return str(S3Path(place.bucket, place.folder + page.relative_to(folder).as_posix()))


def name_of(location: str, address: str) -> str:
    """A page's name below the location of reports, with slashes, from where readers find it."""
    if is_s3(location):
        place = S3Path.parse(location)
        return address.removeprefix(str(S3Path(place.bucket, place.folder)))
    return Path(address).relative_to(Path(location)).as_posix()


def _stamps(folder: Path) -> dict[str, Stamp]:
    found = {}
    for path in folder.rglob("*"):
        if path.name.startswith(".") or not path.is_file():
            continue
        with suppress(FileNotFoundError):  # another run may be tidying up
            status = path.stat()
            found[path.relative_to(folder).as_posix()] = (status.st_size, status.st_mtime_ns)
    return found
