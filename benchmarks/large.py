"""Ten million orders in one CSV, under a memory limit, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.data import join_files, shifted, write_till_files
from benchmarks.measure import Figure, at_most

MEMORY_LIMIT = "600MB"
_COPIES = 28
_DAYS = 60


def run(folder: Path, *, real: bool, scale: float, rounds: int) -> list[Figure]:
    """Measured once, whatever `rounds` says: peak memory hardly varies."""
    file = _ten_million_orders(folder, real=real, scale=scale)
    settings = {
        "BREWTOPIA_RAW": str(folder),
        "BREWTOPIA_LAKE": str(folder / "lake"),
        "BREWTOPIA_MEMORY_LIMIT": MEMORY_LIMIT,
    }
    command = [sys.executable, "-m", "brewtopia_lib.cli", "clean", str(file), "--json"]
    child = subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.PIPE)
    assert child.stdout is not None
    answer = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    peak_megabytes = usage.ru_maxrss / 1024
    name = f"a CSV of {file.stat().st_size / 1e9:.1f} GB cleans within BREWTOPIA_MEMORY_LIMIT"
    if child.returncode:
        return [Figure(name, "≤ 1000 MB", f"failed at {peak_megabytes:.0f} MB", met=False)]
    made = json.loads(answer)
    detail = f"({made['orders']:,} orders, {made['rejected']:,} rejected, {made['seconds']:.0f} s)"
    return [at_most(name, 1000, "MB", peak_megabytes, detail)]


def _ten_million_orders(folder: Path, *, real: bool, scale: float) -> Path:
    files = write_till_files(
        folder / "files", branches=18, days=max(1, round(_DAYS * scale)), real=real
    )
    once = join_files(files, folder / "once.csv")
    text = once.read_bytes()
    file = folder / "orders.csv"
    with file.open("wb") as stream:
        for copy in range(_COPIES):
            stream.write(shifted(text, -copy * _DAYS))
    once.unlink()
    return file
