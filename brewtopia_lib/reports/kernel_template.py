"""The process that warm kernels are forked from: everything imported, nothing started.

`brewtopia_lib.reports.kernels` runs it as `python -m brewtopia_lib.reports.kernel_template FD`, on Linux. FD is a
socket. Each message on it asks for a kernel and carries the end of a pipe, on which is written
first the kernel's process id and last its exit status.
"""

import contextlib
import gc
import json
import os
import random
import select
import signal
import socket
import sys
import time
from importlib import import_module
from typing import Any

LONGEST_REQUEST = 200_000
NEW_OBJECTS = 20_000
"""How many objects a kernel makes before it looks which are garbage; Python has 700."""
READY, UNSAFE = b"ready", b"unsafe"
PRELOADED = (
    "ipykernel.kernelapp",
    "ipykernel.debugger",  # a kernel imports these when it starts
    "IPython.core.completerlib",
    "IPython.core.magics.execution",
    "IPython.core.pylabtools",
    "IPython.extensions.storemagic",
    "matplotlib_inline.backend_inline",
    "tornado.queues",
    "duckdb",  # imported, never connected: a connection starts threads
    "pandas",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "seaborn",
)


def main(descriptor: int) -> None:
    """Serve kernels until the other side hangs up; comes back in a kernel that has ended."""
    _import_everything()
    connection = socket.socket(fileno=descriptor)
    if len(os.listdir("/proc/self/task")) > 1:  # a fork would take none of these threads along
        connection.send(UNSAFE)
        return
    gc.freeze()  # what is here by now stays shared with every kernel
    gc.set_threshold(NEW_OBJECTS, 20, 20)  # kernels of reports are short-lived
    connection.send(READY)
    request = _serve(connection)
    if request is None:
        os._exit(0)
    _become_kernel(request)


def _import_everything() -> None:
    """Import what reports use, and draw once, so that fonts are found and loaded."""
    for name in PRELOADED:
        import_module(name)
    import brewtopia_lib
    from brewtopia_lib.pages.chart_style import png, single, svg

    for name in brewtopia_lib.__all__:
        getattr(brewtopia_lib, name)
    figure, _ = single("narrow", 100)
    svg(figure)
    png(figure)


def _serve(connection: socket.socket) -> dict[str, Any] | None:
    """Fork for each request: gives it in the new kernel, and None here when all is over."""
    pipes: dict[int, int] = {}
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([connection.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 512)
            _bury(pipes)
        if connection.fileno() in ready:
            text, received, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, 1)
            if not text:
                return None
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                for inherited in (woken, waker, connection.detach(), *received, *pipes.values()):
                    os.close(inherited)
                return dict(json.loads(text))
            pipes[pid] = received[0]
            _tell(received[0], pid)


def _bury(pipes: dict[int, int]) -> None:
    """Tell of every kernel that has ended."""
    while pipes:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        pipe = pipes.pop(pid)
        _tell(pipe, os.waitstatus_to_exitcode(status))
        os.close(pipe)


def _tell(pipe: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(pipe, f"{number}\n".encode())


def _become_kernel(request: dict[str, Any]) -> None:
    """Leave behind what the template was, and run as an ordinary kernel until it ends."""
    import numpy
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = open_log(request["log"])
    for source, place in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, place)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    time.tzset()
    random.seed()
    numpy.random.seed()
    sys.argv = ["ipykernel_launcher", *request["arguments"]]
    IPKernelApp.launch_instance(
        [
            *request["arguments"],
            f"--IPKernelApp.parent_handle={os.getppid()}",
            "--matplotlib=inline",  # pyplot is imported already: without this, plots are lost
        ]
    )


def open_log(path: str) -> int:
    """A file to append to, for its owner only."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


if __name__ == "__main__":
    main(int(sys.argv[1]))
