"""The benchmarks run, and measure the same work; how fast is for a quiet machine to say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from redshift_stand_in import needs_stand_in

from benchmarks.__main__ import BENCHMARKS

PROJECT = Path(__file__).parents[1]
RUNNABLE = [
    pytest.param(name, marks=needs_stand_in) if name == "redshift_load" else name
    for name in BENCHMARKS
]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNNABLE)
def test_a_benchmark_prints_its_figures(tmp_path: Path, name: str) -> None:
    """On small data a benchmark does its work, judges what has a target, and clears away."""
    if name == "cleaning":
        pytest.importorskip("pyarrow", reason="it compares with pandas over pyarrow")
    ended = run(name, "--scale", "0.01", "--rounds", "1", "--folder", str(tmp_path))
    header, *lines = ended.stdout.splitlines() or [ended.stderr]
    assert header.split() == ["figure", "target", "measured", "met"], ended.stderr
    target, measured, met = map(header.index, ("target", "measured", "met"))
    figures = [(line[target:measured].strip(), line[measured:met].strip(), line) for line in lines]
    assert any(goal for goal, _, _ in figures)
    for goal, found, line in figures:
        assert re.match(r"-?\d", found), line
        assert line[met:].strip() in (("yes", "NO") if goal else ("",)), line
    assert ended.returncode == any(line.endswith("NO") for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_benchmark_is_refused() -> None:
    """A name that is no benchmark ends with 2 and names it."""
    ended = run("espresso")
    assert ended.returncode == 2
    assert "espresso" in ended.stderr
