"""Ten million orders in one CSV, under a memory limit, in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.data import join_files, write_till_files
from benchmarks.measure import Figure, at_most

MEMORY_LIMIT = "600MB"
_DAYS = 1700
_CLEAN = """
import json, resource, subprocess, sys
command = [sys.executable, "-m", "brewtopia_lib.cli", "clean", sys.argv[1], "--json"]
made = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
made["peak_kilobytes"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps(made))
"""


def run(folder: Path, *, real: bool, scale: float, rounds: int) -> list[Figure]:
    """Measured once, whatever `rounds` says: peak memory hardly varies."""
    files = write_till_files(
        folder / "files", branches=18, days=max(1, round(_DAYS * scale)), real=real
    )
    file = join_files(files, folder / "orders.csv")
    shutil.rmtree(folder / "files")
    settings = {
        "BREWTOPIA_RAW": str(folder),
        "BREWTOPIA_LAKE": str(folder / "lake"),
        "BREWTOPIA_MEMORY_LIMIT": MEMORY_LIMIT,
    }
    # From a small process: a child's peak starts with the memory of the one that started it.
    answer = subprocess.run(
        [sys.executable, "-c", _CLEAN, str(file)],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    name = f"a CSV of {file.stat().st_size / 1e9:.1f} GB cleans within BREWTOPIA_MEMORY_LIMIT"
    if answer.returncode:
        return [Figure(name, "≤ 1000 MB", answer.stderr.strip().split("\n")[-1], met=False)]
    made = json.loads(answer.stdout)
    detail = f"({made['orders']:,} orders, {made['rejected']:,} rejected, {made['seconds']:.0f} s)"
    return [at_most(name, 1000, "MB", made["peak_kilobytes"] / 1024, detail)]
