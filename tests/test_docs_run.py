"""What the pages show is what happens: their commands and code run as they stand.

Blocks marked `sh` and `python` are run in a project of their own, a page's blocks one after the
other. What is marked `console` is not: it makes, keeps running or needs a cloud, and only parses.
"""

import inspect
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

import brewtopia_lib as bt
from brewtopia_lib.ingest import ingest
from brewtopia_lib.sample import write_sample
from brewtopia_lib.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
ELSEWHERE = re.compile(
    r"s3://|redshift://|sqs\.|amazonaws|\baws |\bdocker |\bsystemctl |\bsudo |^make |schedule run",
    re.MULTILINE,
)


def blocks(page: Path) -> list[tuple[str, str]]:
    """The language and the text of each block of a page."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(language, textwrap.dedent(text)) for language, text in found]


def pages_with(language: str) -> list[Path]:
    return [page for page in PAGES if any(name == language for name, _ in blocks(page))]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as a checkout is one, with a small chain that is ingested, and more files at home."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / ".env").touch()
    for name in ("notebooks", "reports"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("output", "outbox")
        )
    shutil.copytree(folder / "notebooks" / "explore", folder, dirs_exist_ok=True)
    last_day = date(2024, 6, 30)
    write_sample(folder / "data" / "raw", branches=2, days=70, seed=3, until=last_day)
    write_sample(folder / "tills", branches=2, days=70, seed=4, until=last_day)
    for name, text in (("brewtopia", '-m brewtopia_lib.cli "$@"'), ("activate", "")):
        path = folder / ".venv" / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\nexec {sys.executable} {text}\n" if text else "")
        path.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ingest(Settings())
    return folder


@pytest.fixture
def shell(sandbox: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A notebook in the sandbox."""
    monkeypatch.chdir(sandbox)
    made = InteractiveShell()
    made.run_line_magic("load_ext", "brewtopia_lib")
    yield made
    for value in list(made.user_ns.values()):
        if type(value).__name__ == "Desk":
            value.close()


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("python"), ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page: Path, shell: InteractiveShell) -> None:
    """Every Python block of the page runs, in order, on a small chain."""
    for language, text in blocks(page):
        if language == "python":
            result = shell.run_cell(text)
            assert result.success, text


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("sh"), ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page: Path, sandbox: Path) -> None:
    """Every shell block of the page ends well, with the definition that the page shows, while a
    notebook holds the warehouse open, which sees nothing of it."""
    held = bt.warehouse(str(sandbox / "data" / "warehouse.duckdb"))
    before = repr(held)
    definition = sandbox / "reports" / "branch_trends.toml"
    kept = definition.read_text()
    for language, text in blocks(page):
        if language == "toml" and "recipients" in text:
            definition.write_text(text)
        if language != "sh":
            continue
        environment = {
            "PATH": f"{sandbox / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(sandbox),
            "PYTHONPATH": str(ROOT),
        }
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=sandbox,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert run.returncode == 0, f"{text}\n{run.stderr}"
    definition.write_text(kept)
    assert repr(held) == before
    held.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_says_what_it_is(page: Path) -> None:
    """Each block has a language, and shell blocks that are not run are those that cannot be here."""
    for language, text in blocks(page):
        assert language in {"python", "sh", "console", "toml", "sql", "json", "text"}, text
        if language == "console":
            assert ELSEWHERE.search(text), text
        if language == "sh":
            assert not ELSEWHERE.search(text), text


@pytest.mark.slow
def test_the_help_of_analyses_and_charts_shows_their_use(shell: InteractiveShell) -> None:
    """Each analysis and each chart has an example in its help, and the example runs as it stands,
    given the frames that analyses make."""
    shell.run_cell(
        "import brewtopia_lib as bt\nfrom datetime import date\nwarehouse = bt.warehouse()"
    ).raise_error()
    for module in (bt.analyses, bt.charts):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("_") or function.__module__ != module.__name__:
                continue
            stem = module.__name__.split(".")[1]
            lines = re.findall(r"^ {8}((?:\w+ = )?bt\..+)$", function.__doc__, re.MULTILINE)
            assert any(f"bt.{stem}.{name}(" in line for line in lines), name
            for line in lines:
                result = shell.run_cell(line)
                assert result.success, line
            shell.user_ns[name] = result.result if stem == "analyses" else None
