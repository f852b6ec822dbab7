"""`%%sql` for notebooks: SQL on the warehouse or the lake, with values from the notebook."""

from typing import TYPE_CHECKING, Any

import pandas as pd

import brewtopia_lib as bt
from brewtopia_lib.desk import Desk
from brewtopia_lib.desk.showing import prepare
from brewtopia_lib.errors import BrewtopiaError, ParameterError, QueryError, UsageError
from brewtopia_lib.warehouse.parameters import parameter_names

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class SqlMagic:
    """`%%sql` for one notebook."""

    def __init__(self, notebook: dict[str, Any]) -> None:
        self._notebook = notebook

    def sql(self, line: str, cell: str) -> pd.DataFrame | None:
        """Run the cell as one SELECT on the warehouse, and give its rows as a frame.

            branch = "Leeds"

            %%sql --to days
            select sold_on, sum(total) as revenue from orders where branch = $branch group by 1

        `--to NAME` keeps the frame under that name instead of showing it; `--lake` asks the lake;
        `--all` takes more than a million rows, at which the cell stops otherwise.
        `$name` is the notebook's value of that name, handed over beside the text. The tables are
        those of the notebook's own `warehouse` (or `lake`), so `warehouse.refresh()` renews them;
        where it has none, it is given one.
        """
        name, flags = _options(line)
        values = {name: self._value(name) for name in parameter_names(cell)}
        desk = self._desk("lake" if "--lake" in flags else "warehouse")
        ask = desk.all_rows if "--all" in flags else desk.query
        try:
            frame = ask(cell, values)
        except QueryError as error:
            raise CellError(error, cell) from None
        if name is None:
            return frame
        self._notebook[name] = frame
        print(f"{name}: {len(frame):,} rows × {len(frame.columns)} columns")
        return None

    def _desk(self, name: str) -> Desk:
        own = self._notebook.get(name)
        if isinstance(own, Desk):
            return own
        opened = bt.lake() if name == "lake" else bt.warehouse()
        self._notebook.setdefault(name, opened)
        return opened

    def _value(self, name: str) -> object:
        if name not in self._notebook:
            raise ParameterError(
                f"the notebook has no value {name} for ${name}: set {name} = … in a cell above"
            )
        value = self._notebook[name]
        if isinstance(value, pd.Timestamp):
            return value.to_pydatetime()
        # numpy's numbers know their Python equals
        return value.item() if hasattr(value, "item") and not hasattr(value, "__len__") else value


class CellError(BrewtopiaError):
    """The SQL of a cell is wrong: what the engine says, above the line and place it means."""

    def __init__(self, error: QueryError, cell: str) -> None:
        self.line = error.line
        lines = cell.splitlines()
        shown = str(error)
        if error.line is not None and error.line <= len(lines):
            text = lines[error.line - 1]
            # the first line of the cell holds the magic itself
            shown = f"line {error.line + 1} of the cell: {shown}\n\n    {text}"
            if error.column is not None:
                shown += f"\n    {' ' * (error.column - 1)}^"
        super().__init__(shown)


def _options(line: str) -> tuple[str | None, set[str]]:
    """What follows `%%sql`: the name to keep the frame under, and which of the flags."""
    words = line.split()
    flags = {"--lake", "--all"} & set(words)
    match [word for word in words if word not in flags]:
        case []:
            return None, flags
        case ["--to", name] if name.isidentifier():
            return name, flags
    raise UsageError(f"%%sql takes --to NAME, --lake and --all, and not {line.strip()!r}")


def load(shell: "InteractiveShell") -> None:
    """What `%load_ext brewtopia_lib` does."""
    prepare(shell)
    shell.magics_manager.register_function(SqlMagic(shell.user_ns).sql, "cell", "sql")
    shell.set_custom_exc((BrewtopiaError,), _in_one_line)  # type: ignore[no-untyped-call]


def _in_one_line(
    shell: "InteractiveShell", kind: type, error: Exception, trace: Any, tb_offset: Any = None
) -> None:
    """Our errors say all that is needed: no traceback is shown above them."""
    shell._showtraceback(kind, error, [f"{kind.__name__}: {error}"])
