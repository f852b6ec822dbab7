"""Pages as PDF, printed by Chromium where there is one."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from brewtopia_lib.errors import ReportError, UsageError
from brewtopia_lib.reports.forking import plain_environment

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
TIMEOUT_SECONDS = 120
OFFLINE = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-pdf-header-footer",
    "--window-size=1280,900",  # a narrower one shows the charts of a telephone
)


def find_chromium() -> str:
    """The path of Chromium, or of a browser made of it; raises UsageError where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if not found:
        raise UsageError("--pdf needs Chromium, which is not here: install it, or leave --pdf out")
    return found


def print_pdf(chromium: str, page: Path) -> bytes:
    """The page as it prints; raises ReportError where Chromium fails or takes too long."""
    with tempfile.TemporaryDirectory(prefix="brewtopia-", ignore_cleanup_errors=True) as folder:
        printed = Path(folder) / "page.pdf"
        command = [chromium, *OFFLINE, f"--user-data-dir={folder}", f"--print-to-pdf={printed}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # it refuses to sandbox for root
            command.append("--no-sandbox")
        try:
            subprocess.run(
                [*command, page.as_uri()],
                check=True,
                timeout=TIMEOUT_SECONDS,
                env=plain_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            return printed.read_bytes()
        except (subprocess.SubprocessError, OSError) as error:
            raise ReportError(
                f"Chromium could not print {page.name} ({type(error).__name__})"
            ) from error
