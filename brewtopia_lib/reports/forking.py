"""The process that warm kernels are forked from, as the program that wants them sees it.

Light to import: the process imports what is heavy while the program does the same.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from brewtopia_lib.errors import ReportError
from brewtopia_lib.reports.kernel_template import READY, UNSAFE

KernelStart = Literal["warm", "cold"]

KEPT = re.compile(
    "PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_.*|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|PYTHONPATH|"
    "VIRTUAL_ENV|CONDA_PREFIX|LD_LIBRARY_PATH|MPLCONFIGDIR|XDG_CACHE_HOME|XDG_CONFIG_HOME"
)
THREADLESS = {  # no package starts threads when it is imported
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


def plain_environment() -> dict[str, str]:
    """What any program needs of the environment, by name: no settings and no secrets."""
    return {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}


def prepare() -> None:
    """Begin to start the template, so that the first warm kernel waits less."""
    if sys.platform == "linux":
        template().start()


def choose_start(wanted: KernelStart | None = None) -> KernelStart:
    """How kernels start here: as `wanted`, or else warm where forking is safe.

    Raises ReportError where warm kernels are wanted and forking is not safe.
    """
    if wanted == "cold":
        return "cold"
    why = "kernels are forked on Linux only" if sys.platform != "linux" else template().fault()
    if why and wanted == "warm":
        raise ReportError(f"no warm kernel can be started: {why}; --kernel cold works anywhere")
    return "cold" if why else "warm"


class Template:
    """The process that kernels are forked from, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection = socket.socket()
        self._answer: bytes | None = None

    def start(self) -> None:
        """Begin to import everything, without waiting for it."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._connection.close()
                self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                self._answer = None
                with theirs:
                    self._process = subprocess.Popen(
                        [sys.executable, "-P", "-m", "brewtopia_lib.reports.kernel_template"]
                        + [str(theirs.fileno())],
                        pass_fds=[theirs.fileno()],
                        env=plain_environment() | THREADLESS,
                        start_new_session=True,  # ^C is ours to answer
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                    )

    def fault(self) -> str | None:
        """Why it cannot be forked, None where it can; waits until everything is imported."""
        self.start()
        with self._lock:
            if self._answer is None:
                self._answer = self._connection.recv(max(len(READY), len(UNSAFE)))
        if self._answer == UNSAFE:
            return "a package starts threads when it is imported, and a fork would lose them"
        return None if self._answer else "the packages that reports use cannot be imported"

    def fork(self, request: Mapping[str, Any]) -> "Forked":
        """A new process that becomes the kernel asked for."""
        if fault := self.fault():
            raise ReportError(f"no warm kernel can be started: {fault}")
        ours, theirs = os.pipe()
        with contextlib.suppress(OSError):  # if it has ended, the pipe will say so
            socket.send_fds(self._connection, [json.dumps(request).encode()], [theirs])
        os.close(theirs)
        return Forked(ours)


@cache
def template() -> Template:
    """The one of this process."""
    return Template()


class Forked:
    """A process that the template has forked, with what a `subprocess.Popen` would offer."""

    stdin = stdout = stderr = None

    def __init__(self, pipe: int) -> None:
        self._pipe = open(pipe, "rb", buffering=0)  # noqa: SIM115 - closed when it has ended
        self.returncode: int | None = None
        self._told = self._pipe.read(32).split()
        if not self._told:
            raise ReportError("no warm kernel was started: the process to fork from has ended")
        self.pid = int(self._told.pop(0))
        os.set_blocking(pipe, False)

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        if self.returncode is None:
            said = self._pipe.read(32) if not self._told else b""
            if said is not None:
                self._told += said.split()
                self.returncode = int(self._told[0]) if self._told else -signal.SIGKILL
                self._pipe.close()
        return self.returncode

    def wait(self) -> int:
        """The exit status, once it has ended."""
        if self.returncode is None:
            os.set_blocking(self._pipe.fileno(), True)
        return self.poll() or 0

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)
