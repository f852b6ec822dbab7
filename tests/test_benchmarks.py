"""The benchmarks run, and measure the same work; how fast is for a quiet machine to say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from redshift_stand_in import needs_stand_in

PROJECT = Path(__file__).parents[1]


def benchmark(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments, "--folder", str(tmp_path)],
        cwd=PROJECT, env=os.environ, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode in (0, 1), ended.stderr
    return ended


def run(tmp_path: Path, *arguments: str) -> str:
    ended = benchmark(tmp_path, *arguments)
    assert ended.stderr == ""
    assert list(tmp_path.iterdir()) == []
    return ended.stdout


@pytest.mark.slow
def test_every_benchmark_runs(tmp_path: Path) -> None:
    """On small data each benchmark does its work, says each figure's target, and clears away."""
    pytest.importorskip("pyarrow", reason="the benchmarks compare with pandas over pyarrow")
    lines = run(tmp_path, "--scale", "0.01", "--rounds", "1", "--large").splitlines()
    assert lines[0].split() == ["figure", "target", "measured", "met"]
    assert len(lines) == 8
    with_target = [line for line in lines[1:] if re.search(r"[≤≥] [\d.]+ (×|s|MB)", line)]
    assert len(with_target) == 6
    assert all(re.search(r" (yes|NO)$", line) for line in with_target)


@needs_stand_in
@pytest.mark.slow
def test_a_load_into_redshift_is_measured(tmp_path: Path) -> None:
    """The load into the stand-in is timed against single INSERTs of the same rows."""
    ended = benchmark(tmp_path, "redshift_load", "--scale", "0.01", "--rounds", "1")
    assert re.search(r"rows into the stand-in for Redshift: .* ≥ 20 ×  +[\d.]+ ×", ended.stdout)


def test_an_unknown_benchmark_is_refused(tmp_path: Path) -> None:
    """A name that is no benchmark ends with 2 and names it."""
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "espresso"],
        cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "espresso" in ended.stderr
