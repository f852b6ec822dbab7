"""Kernels for reports: a fresh one for each, forked from a warm template where that is safe.

`KernelProvisioner` is a jupyter_client provisioner of the name `brewtopia`: a kernelspec with
`"metadata": {"kernel_provisioner": {"provisioner_name": "brewtopia"}}` starts warm in any Jupyter
program.
"""

import asyncio
import contextlib
import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

import psutil
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Unicode

from brewtopia_lib.reports.forking import KernelStart, choose_start, template
from brewtopia_lib.reports.kernel_template import open_log

PROVISIONER = "brewtopia"
LAUNCHER = [sys.executable, "-m", "ipykernel_launcher"]
IDLE = {"execution_state": "idle"}
LONGEST_FOLDER = 60
"""How long the name of a folder may be for the sockets in it: their whole path ends at 107."""


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
        self.process = await asyncio.to_thread(template().fork, request)
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


class Client(AsyncKernelClient):
    """Sees at once when its kernel is ready; the base class listens for a while after that."""

    def start_channels(
        self,
        shell: bool = True,
        iopub: bool = True,
        stdin: bool = True,
        hb: bool = False,
        control: bool = True,
    ) -> None:
        """Start the channels without the heartbeat: whether a kernel lives, its process tells.

        Its thread may still be starting when a kernel that was ended at once is cleared away.
        """
        super().start_channels(shell, iopub, stdin, hb, control)

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Return when the kernel has answered and says that it is idle.

        Raises RuntimeError where it has ended, or has not done so after `timeout` seconds.
        """
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        while await self.is_alive() and time.monotonic() < deadline:
            asked = self.kernel_info()
            with contextlib.suppress(Empty):
                await self.shell_channel.get_msg(timeout=1)
                said: dict[str, Any] = {}
                while said.get("content") != IDLE or said["parent_header"]["msg_id"] != asked:
                    said = await self.iopub_channel.get_msg(timeout=0.2)
                return
        raise RuntimeError("Kernel died before it was ready")


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
                super().__init__(kernel_spec_manager=Specs(), client_factory=Client, **options)
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
