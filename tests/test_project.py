"""The project around the library: its prose, its packages and its make targets are true."""

import ast
import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

from brewtopia_lib import cli
from brewtopia_lib.settings import Settings

ROOT = Path(__file__).parent.parent
PROSE = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *ROOT.glob("docs/*.md"),
]
HEAVY = {"duckdb", "pandas", "numpy", "matplotlib", "seaborn", "papermill", "nbconvert", "pyarrow"}
CONDA_NAMES = {"duckdb": "python-duckdb", "matplotlib": "matplotlib-base"}
CONTRACT = {
    "sales": "order_id line_no branch sold_at sold_on hour product size flavour quantity "
    "unit_price line_total payment",
    "orders": "order_id branch sold_at sold_on hour payment total line_count total_matches",
    "hourly_sales": "branch sold_on hour product size flavour units revenue",
    "rejects": "source line_number reason branch sold_on total",
    "loads": "source version feed rows orders lines rejected cleaned_at loaded_at",
    "order_baskets": "order_id branch sold_on basket_no",
    "basket_lines": "basket_no line_no item_no",
    "items": "item_no product size flavour quantity unit_price line_total",
}


@pytest.fixture(scope="module")
def project_table() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def warehouse_columns() -> dict[str, dict[str, str]]:
    """Table → column → type, as the DDL makes them."""
    with duckdb.connect() as connection:
        for name in ("duckdb", "duckdb_views"):
            ddl = files("brewtopia_lib") / "warehouse" / "ddl" / f"{name}.sql"
            connection.execute(ddl.read_text())
        rows = connection.execute(
            "select table_name, column_name, data_type from information_schema.columns "
            "order by table_name, ordinal_position"
        ).fetchall()
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        tables.setdefault(table, {})[column] = kind
    return tables


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {
        canonicalize_name(name): version for name, version in (line.split("==") for line in lines)
    }


# --- packages


def test_conda_environment_is_in_step(project_table: dict[str, object]) -> None:
    """environment.yml asks for the same packages, bounds and Pythons as pyproject.toml."""
    requirements = [Requirement(text) for text in project_table["dependencies"]]
    expected = {CONDA_NAMES.get(r.name, r.name): str(r.specifier) for r in requirements}
    expected["python"] = project_table["requires-python"]
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    given = dict(e.split(" ", 1) for e in entries if isinstance(e, str) and " " in e)
    assert given == expected


def test_every_requirement_has_a_lower_bound(project_table: dict[str, object]) -> None:
    """No package is asked for without the oldest version known to do."""
    extras = project_table["optional-dependencies"]
    for text in [*project_table["dependencies"], *extras["dev"]]:
        assert ">=" in str(Requirement(text).specifier), text


def test_constraints_hold_names_and_versions_only() -> None:
    """constraints.txt has `name==version` on every line, each once, and no address."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+]+", line) for line in lines)
    assert len(pins()) == len(lines)


def test_everything_installed_is_pinned(project_table: dict[str, object]) -> None:
    """Each required package, and each that one of them requires, has a pin within its bounds."""
    extras = project_table["optional-dependencies"]
    pinned = pins()
    seen: set[tuple[str, str]] = set()
    queue = [(Requirement(t), "") for t in [*project_table["dependencies"], *extras["dev"]]]
    while queue:
        requirement, extra = queue.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} is not pinned"
        assert requirement.specifier.contains(pinned[name], prereleases=True), requirement
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                below = importlib.metadata.requires(name) or []
                queue += [(Requirement(text), wanted) for text in below]
    assert len({name for name, _ in seen}) > 100


# --- start-up


@pytest.mark.parametrize(
    "code",
    [
        "import brewtopia_lib",
        "import brewtopia_lib.cli",
        "import brewtopia_lib.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass",
        "import brewtopia_lib.cli as c\ntry: c.main(['report', '--help'])\nexcept SystemExit: pass",
    ],
)
def test_start_up_imports_nothing_heavy(code: str) -> None:
    """Importing the library and asking for help stay quick: no data package is loaded."""
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n' + ' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = set(run.stdout.splitlines()[-1].split())
    assert "brewtopia_lib" in loaded
    assert not loaded & (HEAVY | {"pydantic_settings"})


def test_public_names_come_when_asked_for() -> None:
    """`import brewtopia_lib as bt` lists its public names and finds each on first use."""
    import brewtopia_lib as bt

    assert set(bt.__all__) <= set(dir(bt))
    for name in bt.__all__:
        assert getattr(bt, name) is not None
    with pytest.raises(AttributeError, match="espresso"):
        bt.espresso  # noqa: B018


def imports_of(module: Path) -> Iterator[str]:
    """The names of the library's own modules that a module imports, without the package."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "brewtopia_lib":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("brewtopia_lib."):
            yield node.module.split(".")[1]


def test_imports_run_left_to_right() -> None:
    """No stage reaches, directly or through others, a stage to its right in CONTRIBUTING.md."""
    line = next(t for t in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if "→" in t)
    stages = re.findall(r"\w+", line)
    assert {"settings", "cleaning", "warehouse", "reports", "cli"} <= set(stages)
    modules: dict[str, set[str]] = {}
    for path in (ROOT / "brewtopia_lib").rglob("*.py"):
        name = path.relative_to(ROOT / "brewtopia_lib").with_suffix("").parts[0]
        modules.setdefault(name, set()).update(set(imports_of(path)) - {name})
    for place, stage in enumerate(stages):
        assert stage in modules, f"{stage} is no module"
        reached: set[str] = set()
        queue = [stage]
        while queue:
            new = modules.get(queue.pop(), set()) - reached
            reached |= new
            queue += new
        assert not reached & set(stages[place + 1 :]), stage


# --- prose


def test_every_command_is_in_the_readme(readme: str) -> None:
    """The table of commands in the README has each command of the app, and no other."""
    documented = re.findall(r"^\| `brewtopia ([\w-]+)", readme, flags=re.MULTILINE)
    assert sorted(documented) == sorted(get_command(cli.app).commands)


def commands_in(text: str) -> list[str]:
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("brewtopia ")]


@pytest.mark.parametrize("line", [c for path in PROSE for c in commands_in(path.read_text())])
def test_commands_shown_in_prose_parse(line: str) -> None:
    """Every `brewtopia …` line in a page's shell blocks is a command with the options it has."""
    _, name, *arguments = shlex.split(line, comments=True)
    command = get_command(cli.app).commands[name]
    command.make_context(name, arguments)


def test_the_readme_shows_commands(readme: str) -> None:
    """The shell blocks of the README are found: there is something to check."""
    assert len(commands_in(readme)) >= 5


def test_settings_table_matches_the_settings(readme: str) -> None:
    """The README's table has each setting with its default."""
    table = dict(re.findall(r"^\| `(BREWTOPIA_\w+)` \| ([^|]+) \|", readme, flags=re.MULTILINE))
    fields = Settings.model_fields
    assert list(table) == [f"BREWTOPIA_{name.upper()}" for name in fields]
    for name, field in fields.items():
        shown = table[f"BREWTOPIA_{name.upper()}"].strip()
        assert shown == f"`{field.default}`" if field.default else shown.startswith("(")


def test_data_dictionary_matches_the_tables(
    warehouse_columns: dict[str, dict[str, str]],
) -> None:
    """The data dictionary has every table with its grain, and every column with type and meaning."""
    text = (ROOT / "docs/data-dictionary.md").read_text()
    described: dict[str, dict[str, str]] = {}
    for section in text.split("\n## ")[1:]:
        name, _, body = section.partition("\n")
        assert body.strip().startswith("One row per "), name
        rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", body, flags=re.MULTILINE)
        assert all(meaning.strip() for _, _, meaning in rows)
        described[name] = {column: kind.strip() for column, kind, _ in rows}
    assert described == {table: warehouse_columns[table] for table in CONTRACT}


def test_contract_columns_exist(warehouse_columns: dict[str, dict[str, str]]) -> None:
    """The tables have at least the columns that others rely on."""
    for table, columns in CONTRACT.items():
        assert set(columns.split()) <= set(warehouse_columns[table])


def test_money_is_decimal(warehouse_columns: dict[str, dict[str, str]]) -> None:
    """No column of the warehouse is a float."""
    kinds = {kind for columns in warehouse_columns.values() for kind in columns.values()}
    assert not kinds & {"FLOAT", "REAL", "DOUBLE"}
    assert warehouse_columns["orders"]["total"] == "DECIMAL(12,2)"


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link in a page points to a file that is there."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    for link in links:
        assert "://" in link or (page.parent / link).exists(), link


def test_prose_names_targets_that_exist() -> None:
    """Every `make …` named in a page or the CI script is a target, and `make` lists them all."""
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    targets = set(re.findall(r"^make ([a-z]+) +\S", listed, flags=re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert phony
    assert targets == set(phony[1].split())
    for page in [*PROSE, ROOT / ".ci/run"]:
        named = re.findall(
            r"^(?:make|`make) ([a-z]+)|`make ([a-z]+)", page.read_text(), flags=re.MULTILINE
        )
        assert {a or b for a, b in named} <= targets, page


def test_no_registry_address_is_committed() -> None:
    """No tracked file names a package registry: pip's and apt's own configuration decide."""
    hosts = ["pypi" + ".org", "files." + "pythonhosted", "registry." + "npmjs", "deb." + "debian"]
    found = subprocess.run(
        ["git", "grep", "-lIF", *(part for host in hosts for part in ("-e", host))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (1, "")


# --- make


@pytest.fixture
def toy_project(tmp_path: Path) -> Path:
    """The Makefile beside a Python that only notes what it is asked to do."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    fake = tmp_path / "fake-python"
    fake.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {tmp_path}/asked\n'
        'if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi\n'
    )
    fake.chmod(0o755)
    return tmp_path


def make(folder: Path, *arguments: str) -> str:
    (folder / "asked").write_text("")
    subprocess.run(
        ["make", f"PYTHON={folder}/fake-python", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=60,
    )
    return (folder / "asked").read_text()


def test_set_up_twice_costs_nothing(toy_project: Path) -> None:
    """The second set-up runs nothing; a changed pin or requirement makes it run again."""
    assert "--constraint constraints.txt" in make(toy_project, "setup")
    assert make(toy_project, "setup") == ""
    for name in ("constraints.txt", "pyproject.toml"):
        made = (toy_project / ".venv/.ready").stat().st_mtime
        os.utime(toy_project / name, (made + 5, made + 5))
        assert "--constraint constraints.txt" in make(toy_project, "setup")
        os.utime(toy_project / name, (made - 5, made - 5))


def test_make_refuses_other_pythons(toy_project: Path) -> None:
    """A Python outside 3.11 to 3.13 is refused by name, with the way out, before a .venv is made."""
    (toy_project / "fake-python").write_text("#!/bin/sh\nexit 1\n")
    run = subprocess.run(
        ["make", f"PYTHON={toy_project}/fake-python", "setup"],
        cwd=toy_project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert "fake-python is no Python 3.11 to 3.13" in run.stderr
    assert not (toy_project / ".venv").exists()
