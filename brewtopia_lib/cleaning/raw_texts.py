"""Raw objects on their way into the `raw` table, alone or many as one text."""

import codecs
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from brewtopia_lib.sources import Fetched
from brewtopia_lib.sources.records import Record


@dataclass(frozen=True)
class RawText:
    """One raw object as the cleaning step takes it.

    Attributes:
        object_no: tells the objects of one run apart.
        layout: role → field index, from 0.
        width: how many fields a row has.
        skip_lines: physical lines before the first row, the header's included.
        branch: the branch of every row, where no column has it.
        fetched, records: exactly one of them says where the text is.
    """

    object_no: int
    layout: Mapping[str, int]
    width: int
    skip_lines: int = 0
    branch: str | None = None
    fetched: Fetched | None = None
    records: Callable[[], Iterator[Record]] | None = None

    @property
    def lines(self) -> int | None:
        """How many lines it has, None where the fast reader may not try it.

        Raises SourceError where it cannot be read.
        """
        return None if self.fetched is None else self.fetched.lines


def can_share_memory() -> bool:
    """Whether a `Block` can be made here."""
    return hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd")


class Block:
    """Small objects of one shape as one text, each row led by its object's number.

    It lies in memory of this process only, which no file system sees and which goes with it.
    """

    def __init__(self) -> None:
        self.texts: list[RawText] = []
        self.rows = self.size = 0
        self._stream: BinaryIO | None = None

    def add(self, text: RawText, data: bytes, delimiter: str) -> None:
        """Add the rows of an object, whose bytes these are.

        Raises OSError where there is no room for them: then the block is of no use any more.
        """
        self.texts.append(text)
        self.rows += text.lines or 0
        self.size += len(data)
        if self._stream is None:
            self._stream = os.fdopen(os.memfd_create("till-rows", os.MFD_CLOEXEC), "wb")
        self._stream.write(_led(text, data, delimiter))

    @contextmanager
    def written(self) -> Iterator[str]:
        """A path to the text, for as long as the context lasts; raises OSError as `add` does."""
        assert self._stream is not None, "nothing was added"
        with self._stream as stream:
            stream.flush()
            yield f"/proc/self/fd/{stream.fileno()}"


def _led(text: RawText, data: bytes, delimiter: str) -> bytes:
    """The rows of an object, each led by the object's number."""
    body = data.removeprefix(codecs.BOM_UTF8)
    if b"\r" in body:  # one mark is looked for much more quickly than two
        body = body.replace(b"\r\n", b"\n")
    body = body.rstrip(b"\n")
    if text.skip_lines:
        parts = body.split(b"\n", text.skip_lines)
        body = parts[-1] if len(parts) > text.skip_lines else b""
    if not body:
        return b""
    lead = f"{text.object_no}{delimiter}".encode()
    return lead + body.replace(b"\n", b"\n" + lead) + b"\n"
