"""Kernels for reports: a fresh one for each, forked from a warm template where that is safe.

`KernelProvisioner` is a jupyter_client provisioner of the name `brewtopia`: a kernelspec with
`"metadata": {"kernel_provisioner": {"provisioner_name": "brewtopia"}}` starts warm in any Jupyter
program.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

import psutil
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Unicode

from brewtopia_lib.errors import ReportError
from brewtopia_lib.reports.kernel_template import READY, UNSAFE, open_log

KernelStart = Literal["warm", "cold"]

PROVISIONER = "brewtopia"
LAUNCHER = [sys.executable, "-m", "ipykernel_launcher"]
LONGEST_FOLDER = 60
"""How long the name of a folder may be for the sockets in it: their whole path ends at 107."""
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
        _template().start()


def choose_start(wanted: KernelStart | None = None) -> KernelStart:
    """How kernels start here: as `wanted`, or else warm where forking is safe.

    Raises ReportError where warm kernels are wanted and forking is not safe.
    """
    if wanted == "cold":
        return "cold"
    why = "kernels are forked on Linux only" if sys.platform != "linux" else _template().fault()
    if why and wanted == "warm":
        raise ReportError(f"no warm kernel can be started: {why}; --kernel cold works anywhere")
    return "cold" if why else "warm"


class _Template:
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

    def fork(self, request: Mapping[str, Any]) -> "_Forked":
        """A new process that becomes the kernel asked for."""
        if fault := self.fault():
            raise ReportError(f"no warm kernel can be started: {fault}")
        ours, theirs = os.pipe()
        with contextlib.suppress(OSError):  # if it has ended, the pipe will say so
            socket.send_fds(self._connection, [json.dumps(request).encode()], [theirs])
        os.close(theirs)
        return _Forked(ours)


@cache
def _template() -> _Template:
    return _Template()


class _Forked:
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


class KernelProvisioner(LocalProvisioner):
    """Starts a kernel warm where that is safe, and ends it with all that it has started."""

    process: Any
    kernel_start = Unicode("", help="'warm' or 'cold'; empty chooses").tag(config=True)
    log_file = Unicode(os.devnull, help="for what is written past the notebook").tag(config=True)

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        """Fork the kernel, where that is safe and the command is for an ipykernel of this Python."""
        wanted: Any = self.kernel_start or None
        if cmd[:3] != LAUNCHER or await asyncio.to_thread(choose_start, wanted) == "cold":
            log = open_log(self.log_file)
            try:
                return await super().launch_kernel(cmd, stdout=log, stderr=log, **options)
            finally:
                os.close(log)
        folder = options.get("cwd") or os.getcwd()
        request = {
            "arguments": cmd[3:],
            "environment": options["env"],
            "folder": folder,
            "log": self.log_file,
        }
        self.process = await asyncio.to_thread(_template().fork, request)
        self.pid = self.pgid = self.process.pid
        self.cwd = folder
        return self.connection_info

    async def kill(self, restart: bool = False) -> None:
        """End the kernel and all its descendants at once."""
        if self.process:
            end_family(self.process.pid)
            await asyncio.to_thread(self.process.wait)

    async def cleanup(self, restart: bool = False) -> None:
        """End what a kernel has left running when it went."""
        if self.pgid:
            with contextlib.suppress(OSError):
                os.killpg(self.pgid, signal.SIGKILL)
        await super().cleanup(restart=restart)


def end_family(pid: int) -> None:
    """End a process, its process group and all its descendants at once."""
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


class OneKernel:
    """The kernel of one run: started once, never used again, ended from any thread.

    Its environment is what is given, no more; it talks through sockets in `folder`, and what it
    writes past its notebook is in `log`.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], start: KernelStart) -> None:
        self.log = folder / "log"
        self.is_ended = False
        self._managers: list[AsyncKernelManager] = []
        self.manager_class = self._manager_class(folder, environment, start)

    @property
    def last_words(self) -> str:
        """The last line that it wrote past its notebook, if any."""
        lines = self.log.read_text("utf-8", "replace").split("\n") if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def end(self) -> None:
        """End it with all that it has started, or let it not start at all."""
        self.is_ended = True
        for manager in self._managers:
            provisioner = manager.provisioner
            if isinstance(provisioner, KernelProvisioner) and provisioner.process:
                end_family(provisioner.process.pid)

    async def _started(self, start: Any) -> None:
        await start
        if self.is_ended:
            self.end()

    def _manager_class(
        self, folder: Path, environment: Mapping[str, str], start: KernelStart
    ) -> type[AsyncKernelManager]:
        kernel = self
        spec = KernelSpec(
            argv=[*LAUNCHER, "-f", "{connection_file}", "--HistoryManager.enabled=False"],
            display_name="Brewtopia",
            language="python",
            metadata={
                "kernel_provisioner": {
                    "provisioner_name": PROVISIONER,
                    "config": {"kernel_start": start, "log_file": str(self.log)},
                }
            },
        )

        class Specs(KernelSpecManager):
            def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
                return spec

        class Manager(AsyncKernelManager):
            def __init__(self, **options: Any) -> None:
                super().__init__(kernel_spec_manager=Specs(), **options)
                self.connection_file = str(folder / "connection.json")
                if os.name == "posix":  # elsewhere TCP on this machine
                    self.transport, self.ip = "ipc", str(folder / "socket")
                kernel._managers.append(self)

            def start_kernel(self, **options: Any) -> Any:
                own = {"IPYTHONDIR": str(folder / "ipython")}  # and nobody's own start-up files
                given = {**options, "env": {**environment, **own}}
                return kernel._started(super().start_kernel(**given))

        return Manager


@contextmanager
def one_kernel(environment: Mapping[str, str], start: KernelStart) -> Iterator[OneKernel]:
    """A kernel yet to be started, in a private folder that goes with it."""
    place = tempfile.gettempdir()
    if len(place) > LONGEST_FOLDER and os.name == "posix":
        place = "/tmp"
    with tempfile.TemporaryDirectory(
        prefix="brewtopia-", dir=place, ignore_cleanup_errors=True
    ) as folder:
        kernel = OneKernel(Path(folder), environment, start)
        try:
            yield kernel
        finally:
            kernel.end()


class Kernels:
    """The kernels of a batch: all alike, each fresh, and ended together if need be."""

    def __init__(self, environment: Mapping[str, str], start: KernelStart) -> None:
        self.is_ended = False
        self._environment = environment
        self._start = start
        self._at_work: set[OneKernel] = set()

    @contextmanager
    def one(self) -> Iterator[OneKernel]:
        """One of them, yet to be started."""
        with one_kernel(self._environment, self._start) as kernel:
            self._at_work.add(kernel)
            try:
                if self.is_ended:
                    kernel.end()
                yield kernel
            finally:
                self._at_work.discard(kernel)

    def end(self) -> None:
        """End those at work, and let no other start."""
        self.is_ended = True
        for kernel in tuple(self._at_work):
            kernel.end()
