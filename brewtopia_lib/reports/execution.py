"""A notebook run through papermill: with typed values, within its time, and without secrets."""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Timer
from typing import Any

import nbformat
from papermill.engines import papermill_engines
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from papermill.translators import PythonTranslator, papermill_translators

from brewtopia_lib.formats import one_line, plural
from brewtopia_lib.reports.forking import plain_environment
from brewtopia_lib.reports.kernels import Kernels
from brewtopia_lib.reports.redaction import redacted, redacted_all
from brewtopia_lib.settings import Settings

KERNEL = "brewtopia"
TOLD = ("raw", "lake", "warehouse", "feeds", "memory_limit")
"""The settings that notebooks are told; of the others they see the defaults."""
IN_THE_CLOUD = re.compile("AWS_.*|BREWTOPIA_REDSHIFT_PASSWORD|SSL_CERT_(FILE|DIR)")
"""What notebooks need of the environment where their data are not on this machine."""

logging.getLogger("papermill").addHandler(logging.NullHandler())  # what fails is told by us


@dataclass(frozen=True)
class Execution:
    """A notebook with its outputs.

    `error` says in one line why it failed and `failed_cell` is the place of the cell that did;
    None where none did.
    """

    notebook: Any
    error: str | None = None
    failed_cell: int | None = None


class Interrupted(Exception):
    """The batch was ended while this notebook was running."""


class _Typed(PythonTranslator):  # type: ignore[misc]
    """Writes values as Python that gives the same values, days and times among them."""

    @classmethod
    def translate(cls, val: Any) -> str:
        if isinstance(val, date):
            return f"{type(val).__name__}.fromisoformat({val.isoformat()!r})"
        return str(super().translate(val))


papermill_translators.register(KERNEL, _Typed)


def kernel_environment(settings: Settings) -> dict[str, str]:
    """The environment of kernels: what they need, and none of the mail's secrets.

    Credentials for AWS and Redshift are in it only where a location is in S3 or Redshift.
    """
    told = {name: str(getattr(settings, name)) for name in TOLD if getattr(settings, name)}
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    seen = {name: value for name, value in (defaults | told).items() if value is not None}
    environment = plain_environment()
    if any("://" in location for location in told.values()):
        environment |= {k: v for k, v in os.environ.items() if IN_THE_CLOUD.fullmatch(k)}
    return environment | {f"BREWTOPIA_{name.upper()}": value for name, value in seen.items()}


def execute(
    notebook: Path,
    values: Mapping[str, Any],
    kernels: Kernels,
    *,
    folder: Path,
    timeout_seconds: float,
    secrets: Sequence[str],
) -> Execution:
    """The notebook with its outputs, run in `folder` with these parameters in a fresh kernel.

    A run is ended at its limit, with all that it has started. The outputs are a function of the
    notebook, the parameters and what it reads: they do not say when or where it ran. Raises
    Interrupted when the kernels are ended.
    """
    running = nbformat.v4.new_notebook()
    error = None
    with kernels.one() as kernel:
        clock = Timer(timeout_seconds, kernel.end)
        clock.daemon = True
        clock.start()
        try:
            running = parameterize_notebook(
                load_notebook_node(str(notebook)),
                dict(values),
                kernel_name=KERNEL,
                language="python",
            )
            papermill_engines.execute_notebook_with_engine(
                None,
                running,
                kernel_name=KERNEL,
                progress_bar=False,
                kernel_manager_class=kernel.manager_class,
                resources={"metadata": {"path": str(folder)}},
                start_timeout=timeout_seconds,
                shutdown_kernel="immediate",
            )
        except Exception as problem:  # whatever fails is an outcome of the run
            if kernels.is_ended:
                raise Interrupted from problem
            if kernel.is_ended:
                error = f"it was stopped at its limit of {plural(timeout_seconds, 'second')}"
            else:
                error = f"{type(problem).__name__}: {problem} {kernel.last_words}"
        finally:
            clock.cancel()
    failed_cell = _failed_cell(running, is_over=error is not None)
    if failed_cell is not None:
        error = f"cell {_number(running, failed_cell)}: {error or _raised(running, failed_cell)}"
    return Execution(
        nbformat.from_dict(redacted_all(_timeless(running), secrets)),
        one_line(redacted(error, secrets)) if error else None,
        failed_cell,
    )


def _failed_cell(notebook: Any, *, is_over: bool) -> int | None:
    """The place of the cell that raised an error, or that was running when it was all over."""
    started = None
    for place, cell in enumerate(notebook.cells):
        if any(output.output_type == "error" for output in cell.get("outputs", [])):
            return place
        if cell.cell_type == "code" and cell.metadata.get("papermill", {}).get("start_time"):
            started = place
    return started if is_over else None


def _number(notebook: Any, place: int) -> int:
    """The number of a code cell, counted from 1 as notebooks do."""
    return sum(cell.cell_type == "code" for cell in notebook.cells[: place + 1])


def _raised(notebook: Any, place: int) -> str:
    error = next(o for o in notebook.cells[place].outputs if o.output_type == "error")
    return f"{error.ename}: {error.evalue}"


def _timeless(notebook: Any) -> Any:
    """The notebook without what papermill and the kernel note of time and place."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"
    return notebook
