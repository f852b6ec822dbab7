"""Kernels: warm ones do what cold ones do, and each is fresh, closed in, and ended whole."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from jupyter_client.channels import HBChannel
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from brewtopia_lib.errors import ReportError
from brewtopia_lib.reports import forking, kernels
from brewtopia_lib.reports.forking import KernelStart, plain_environment
from brewtopia_lib.reports.kernels import OneKernel, one_kernel

BOTH = pytest.mark.parametrize("start", ["warm", "cold"])
linux = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
pytestmark = linux


def run(
    *cells: str,
    start: KernelStart = "warm",
    meanwhile: Callable[[OneKernel], None] = lambda _: None,
    **environment: str,
) -> list[Any]:
    """What the cells put out, each a list of outputs, in one kernel that then is gone."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    with one_kernel({**plain_environment(), **environment}, start) as kernel:
        client = NotebookClient(
            notebook, kernel_manager_class=kernel.manager_class, shutdown_kernel="immediate"
        )
        threading.Thread(target=meanwhile, args=[kernel]).start()
        client.execute()
    return [cell.outputs for cell in notebook.cells]


def said(*cells: str, **options: Any) -> str:
    """What the cells print."""
    outputs = [output for each in run(*cells, **options) for output in each]
    return "".join(output.text for output in outputs if output.output_type == "stream").strip()


def starts(kernel: OneKernel) -> str:
    """Whether a kernel "started" or "died"."""
    client = NotebookClient(nbformat.v4.new_notebook(), kernel_manager_class=kernel.manager_class)
    try:
        with client.setup_kernel():
            return "started"
    except RuntimeError:
        return "died"


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def assert_ends(*pids: int) -> None:
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, f"{pids} still run"
        time.sleep(0.05)


PLOTS = (
    "import matplotlib.pyplot as plt; plt.plot([1, 2])",
    "figure, axes = plt.subplots(); axes.bar([1], [2])",
    "plt.plot([2]); plt.show(); plt.plot([3])",
    "import seaborn; seaborn.lineplot(x=[1, 2], y=[2, 1])",
    "figure",
)


def test_no_plot_is_lost() -> None:
    """A warm kernel shows every plot that a cold one shows, the same to the last byte."""
    warm, cold = (
        [
            output.data["image/png"]
            for outputs in run(*PLOTS, start=start)
            for output in outputs
            if "image/png" in output.get("data", {})
        ]
        for start in ("warm", "cold")
    )
    assert len(cold) == 6
    assert warm == cold


def test_a_warm_kernel_is_forked() -> None:
    """What reports import is there before the first cell runs, and in a cold kernel it is not."""
    imported = "import sys; print('duckdb' in sys.modules, 'seaborn' in sys.modules)"
    assert said(imported, start="warm") == "True True"
    assert said(imported, start="cold") == "False False"


@BOTH
def test_every_kernel_is_fresh(start: KernelStart) -> None:
    """What one run leaves behind in its modules, settings and folder, the next does not find."""
    look = "import os, sys; print(os.getpid(), hasattr(sys, 'left'), 'LEFT' in os.environ)"
    leave = "sys.left = True; os.environ['LEFT'] = '1'; os.chdir('/')"
    first, second = (said(look, leave, start=start).split() for _ in range(2))
    assert first[0] != second[0]
    assert first[1:] == second[1:] == ["False", "False"]


def test_random_numbers_differ() -> None:
    """Two warm kernels do not draw the same random numbers."""
    draw = "import random, numpy; print(random.random(), numpy.random.rand())"
    assert not set(said(draw).split()) & set(said(draw).split())


@BOTH
def test_a_kernel_sees_what_it_is_given(
    start: KernelStart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment is the plain one and what was asked for; a secret of ours is nowhere."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    forking.template.cache_clear()  # the next template starts with the secret around
    found = said(
        "import os, pathlib; print(os.environ['GIVEN'], 'HOME' in os.environ)",
        "print(dict(os.environ))",
        "for process in (os.getpid(), os.getppid()) if PARENT else [os.getpid()]:\n"
        "    print(pathlib.Path(f'/proc/{process}/environ').read_bytes())".replace(
            "PARENT", str(start == "warm")
        ),
        start=start,
        GIVEN="this",
    )
    assert found.startswith("this True")
    assert "PATH" in found
    assert "planted-secret" not in found


@BOTH
def test_it_works_where_names_of_folders_are_long(
    start: KernelStart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder for temporary files whose name is too long for sockets does not matter."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr(kernels.tempfile, "tempdir", str(folder))
    assert said("print('here')", start=start) == "here"
    assert list(folder.iterdir()) == []


@BOTH
@pytest.mark.parametrize("new_session", [False, True])
def test_what_a_kernel_started_ends_with_it(start: KernelStart, new_session: bool) -> None:
    """When a kernel is ended, so are its children and theirs, in sessions of their own too."""
    spawn = (
        "import subprocess, sys, os\n"
        'nested = \'import subprocess; p = subprocess.Popen(["sleep", "600"]); '
        "print(p.pid, flush=True); p.wait()'\n"
        "child = subprocess.Popen([sys.executable, '-c', nested], stdout=subprocess.PIPE, "
        f"start_new_session={new_session})\n"
        "print(os.getpid(), child.pid, child.stdout.readline().decode())"
    )
    pids = [int(pid) for pid in said(spawn, start=start).split()]
    assert len(pids) == 3
    assert_ends(*pids)


@BOTH
def test_it_can_be_ended_from_another_thread(start: KernelStart, tmp_path: Path) -> None:
    """A kernel that is busy for ever ends when it is told to, and its client learns of it."""
    begun = tmp_path / "pid"

    def end(kernel: OneKernel) -> None:
        while not begun.exists() or not begun.read_text():
            time.sleep(0.05)
        kernel.end()

    busy = (
        "import os, pathlib, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(begun)!r}).write_text(str(os.getpid()))\n"
        "while True: pass"
    )
    with pytest.raises(Exception, match="Kernel died"):
        run(busy, start=start, meanwhile=end)
    assert_ends(int(begun.read_text()))


@BOTH
def test_ended_before_it_started(start: KernelStart) -> None:
    """A kernel that is ended before it was started runs nothing."""
    with one_kernel(plain_environment(), start) as kernel:
        kernel.end()
        assert starts(kernel) == "died"


def test_no_heartbeat_is_listened_to() -> None:
    """No thread of a client's is left to start when a kernel has gone: its process tells if it lives."""
    with one_kernel(plain_environment(), "warm") as kernel:
        client = NotebookClient(
            nbformat.v4.new_notebook(), kernel_manager_class=kernel.manager_class
        )
        with client.setup_kernel():
            assert not any(isinstance(one, HBChannel) for one in threading.enumerate())


def test_what_a_kernel_says_when_it_cannot_start_is_kept(tmp_path: Path) -> None:
    """The last words of a kernel that ends before it is one are in its log."""
    (tmp_path / "ipykernel_launcher.py").write_text("raise SystemExit('out of beans')")
    with one_kernel({**plain_environment(), "PYTHONPATH": str(tmp_path)}, "cold") as kernel:
        assert starts(kernel) == "died"
        assert kernel.log.read_text() == "out of beans\n"


def test_a_template_that_has_ended_is_started_again() -> None:
    """When the process to fork from is killed, the next warm kernel has a new one."""
    parent = "import os; print(os.getppid())"
    first = int(said(parent))
    assert int(said(parent)) == first
    psutil.Process(first).kill()
    forking.template()._process.wait()
    assert int(said(parent)) != first


def test_nothing_outlives_its_program(tmp_path: Path) -> None:
    """When the program is killed, its template and the kernel at work end too."""
    program = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_kernels import said
        said("import os, pathlib, time\\n"
             "pathlib.Path({str(tmp_path / "pids")!r}).write_text(f'{{os.getpid()}} {{os.getppid()}} .')\\n"
             "time.sleep(600)")
    """)
    child = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 60
    while not (tmp_path / "pids").exists() or "." not in (tmp_path / "pids").read_text():
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    child.kill()
    child.wait()
    assert_ends(*map(int, (tmp_path / "pids").read_text().split()[:2]))


@pytest.mark.parametrize("settled", [{}, {"config": {"kernel_start": "cold"}}])
def test_any_jupyter_program_can_use_it(tmp_path: Path, settled: dict[str, Any]) -> None:
    """A kernelspec that names the provisioner starts, restarts and shuts down in jupyter_client."""
    folder = tmp_path / "warm"
    folder.mkdir()
    spec = {
        "argv": [*kernels.LAUNCHER, "-f", "{connection_file}"],
        "display_name": "Warm",
        "language": "python",
        "metadata": {"kernel_provisioner": {"provisioner_name": "brewtopia", **settled}},
    }
    (folder / "kernel.json").write_text(json.dumps(spec))
    specs = KernelSpecManager(kernel_dirs=[str(tmp_path)])
    manager = KernelManager(kernel_name="warm", kernel_spec_manager=specs)
    manager.start_kernel()
    try:
        answers = []
        for _ in range(2):
            client = manager.blocking_client()
            client.start_channels()
            client.wait_for_ready(timeout=60)
            reply = client.execute_interactive(
                "import sys", user_expressions={"warm": "'duckdb' in sys.modules"}, timeout=60
            )
            answers.append(reply["content"]["user_expressions"]["warm"]["data"]["text/plain"])
            client.stop_channels()
            manager.restart_kernel(now=True)
        assert answers == [str(not settled)] * 2
        pid = manager.provisioner.process.pid
    finally:
        manager.shutdown_kernel()
    assert_ends(pid)


def test_cold_where_forking_is_not_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on Linux, or with threads in the template, kernels start cold by themselves."""
    assert forking.choose_start() == "warm"
    assert forking.choose_start("cold") == "cold"
    monkeypatch.setattr(forking.template(), "_answer", forking.UNSAFE)
    assert forking.choose_start() == "cold"
    with pytest.raises(ReportError, match="starts threads .* --kernel cold"):
        forking.choose_start("warm")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ReportError, match="on Linux only"):
        forking.choose_start("warm")
    assert forking.choose_start() == "cold"


def test_a_template_with_threads_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that starts a thread when it is imported makes the template refuse to fork."""
    (tmp_path / "sitecustomize.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=[600], daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    template = forking.Template()
    assert "starts threads" in str(template.fault())
    monkeypatch.setenv("PYTHONPATH", os.devnull)
    assert forking.Template().fault() is None
