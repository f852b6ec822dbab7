"""What the notebooks of one batch of reports have in common is computed by the first, for all.

A batch names a private folder in the environment; without one nothing is kept.
"""

import fcntl
import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from brewtopia_lib.queries import Queryable

FOLDER = "SHARED_BY_BREWTOPIA_REPORTS"
"""The environment variable that names the folder: it is gone when the batch is over."""

T = TypeVar("T")

_CONTENT = "select count(*) as files, max(loaded_at) as loaded_at from loads"


def is_shared() -> bool:
    """Whether this process belongs to a batch that shares what it computes."""
    return FOLDER in os.environ


def once(warehouse: Queryable, key: tuple[object, ...], compute: Callable[[], T]) -> T:
    """What `compute` gives, or gave before in this batch for a key that looks the same.

    Others that ask for it meanwhile wait. With what the warehouse holds, the key says all that
    the result depends on.
    """
    folder = os.environ.get(FOLDER)
    if not folder:
        return compute()
    content = warehouse.query(_CONTENT).iloc[0]
    name = hashlib.sha256(repr((*content, *key)).encode()).hexdigest()
    path = Path(folder, name)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return cast(T, pickle.loads(path.read_bytes()))
        made = compute()
        partial = path.with_suffix(".partial")
        partial.write_bytes(pickle.dumps(made))
        partial.rename(path)
    return made
