"""Errors whose message says what happened, to what, and what to do about it."""

import re


class BrewtopiaError(Exception):
    """Anything Brewtopia refuses or fails to do; the message is one line for people."""

    exit_code = 1


class UsageError(BrewtopiaError):
    """The caller asked for something that cannot be: nothing was started."""

    exit_code = 2


class RetryableError(BrewtopiaError):
    """It failed for a reason that passes: the same again may well succeed."""


class SettingsError(UsageError):
    """A setting has a value Brewtopia cannot use."""


class ParameterError(UsageError):
    """A report parameter is unknown, of the wrong type or outside its choices."""


class SourceError(BrewtopiaError):
    """A raw file or folder cannot be listed or read."""

    def __init__(self, message: str, *, source: str) -> None:
        super().__init__(message)
        self.source = source


class S3Error(BrewtopiaError):
    """S3 refuses or fails to list, read, write or delete; `code` is its own word for why."""

    def __init__(self, message: str, *, bucket: str, key: str, code: str) -> None:
        super().__init__(message)
        self.bucket = bucket
        self.key = key
        self.code = code


class S3UnavailableError(S3Error, RetryableError):
    """S3 cannot be reached, or is too busy, for now."""


class FeedError(BrewtopiaError):
    """A feed file is wrong, or no single feed takes a raw file."""


class EventError(BrewtopiaError):
    """A message is none of those that S3 sends about its objects."""


class QueueError(BrewtopiaError):
    """SQS refuses or fails to hand out, hold or delete messages."""


class LakeError(BrewtopiaError):
    """The lake cannot be read or written."""


class WarehouseError(BrewtopiaError):
    """The warehouse cannot be read or written, or a query is wrong."""


class QueryError(WarehouseError):
    """A query is wrong.

    `line` and `column` (from 1) are where, if the engine says so.
    """

    def __init__(self, said: str) -> None:
        # what follows an empty line only repeats the SQL
        message, _, excerpt = said.strip().partition("\n\n")
        super().__init__(message)
        place = re.match(r"(LINE (\d+): )([^\n]*)\n( *)\^", excerpt)
        self.line = int(place[2]) if place else None
        # of a long line the engine shows a part, led by dots
        is_whole = place and not place[3].startswith("...")
        self.column = len(place[4]) - len(place[1]) + 1 if place and is_whole else None


class ManyRowsError(WarehouseError):
    """An answer has more rows than a notebook is given unasked."""


class WarehouseUnavailableError(WarehouseError, RetryableError):
    """The warehouse cannot be reached, or is too busy with others, for now."""


class ReportError(BrewtopiaError):
    """A report could not be made."""


class LedgerError(BrewtopiaError):
    """The ledger of runs and mails cannot be read or written."""


class MailError(BrewtopiaError):
    """A mail was not sent, and will not be as things are."""


class MailUnavailableError(MailError, RetryableError):
    """A mail was not sent, because the mail server cannot be reached or is busy for now."""


class MailUncertainError(MailError):
    """A mail was handed over, but no answer came: it may have been sent or not."""


def explained(error: Exception) -> str:
    """What went wrong, in one line without any data of the till files."""
    if isinstance(error, BrewtopiaError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, ImportError):
        return f"the package {error.name} is missing or broken: run make setup"
    if type(error).__name__ == "OutOfMemoryException":  # DuckDB's, which takes long to import
        return "the engine ran out of memory, or of disk for spilled data: raise BREWTOPIA_MEMORY_LIMIT"
    return (
        f"an unexpected {type(error).__name__} stopped it: run it again with --debug "
        "for the traceback, and report that"
    )
