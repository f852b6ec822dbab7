"""What a report notebook may be asked: its typed parameters, checked before anything runs."""

import ast
import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from brewtopia_lib.errors import ParameterError, ReportError

SCALARS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "date": "a date such as 2024-06-30",
    "datetime": "a time with its zone such as 2024-07-01T07:00:00+01:00",
}
TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True)
class Kind:
    """What values are allowed: scalars by name, choices, lists of a kind, or nothing."""

    scalars: tuple[str, ...] = ()
    choices: tuple[Any, ...] = ()
    items: "Kind | None" = None
    optional: bool = False

    def __str__(self) -> str:
        """What is allowed, in words."""
        words = [SCALARS[name] for name in self.scalars]
        words += [str(choice) for choice in self.choices]
        words += [f"a list, comma between, of {self.items}"] if self.items else []
        words += ["none"] if self.optional else []
        return " or ".join(words)

    def read(self, value: Any) -> Any:
        """The value as this kind, from Python or from text; ValueError where it does not fit."""
        if self.optional and (value is None or (isinstance(value, str) and value in NOTHING)):
            return None
        for choice in self.choices:
            if type(value) is type(choice) and value == choice or value == str(choice):
                return choice
        if self.items and isinstance(value, str | list | tuple):
            parts = value.split(",") if isinstance(value, str) else value
            with suppress(ValueError):
                return [self.items.read(_stripped(part)) for part in parts]
        for name in self.scalars:
            with suppress(ValueError):
                return _scalar(name, value)
        raise ValueError(f"takes {self}")


NOTHING = ("none", "None")
SCHEDULED_FOR = "scheduled_for"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook: its name, what it takes and its default."""

    name: str
    kind: Kind
    default: Any = None
    required: bool = False


def read_parameters(notebook: Path) -> dict[str, Parameter]:
    """The parameters that the notebook's cell tagged `parameters` declares, by name.

    The cell holds annotated assignments (`weeks: int = 4`) and imports, nothing else. Raises
    ReportError naming the notebook and what is wrong with the cell.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        tagged = [c for c in cells if "parameters" in c.get("metadata", {}).get("tags", [])]
        source = ["".join(cell["source"]) for cell in tagged]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"notebook {notebook} cannot be read: {error}") from error
    if len(source) != 1:
        raise ReportError(
            f"notebook {notebook} has {len(source)} cells tagged 'parameters': it needs exactly one"
        )
    try:
        body = ast.parse(source[0]).body
        declared = [_declared(line) for line in body if not isinstance(line, _IGNORED)]
    except (SyntaxError, TypeError, ValueError) as error:
        raise ReportError(
            f"notebook {notebook}: its parameters cell {error}; write one "
            "`name: type = default` a line, with types such as int, date, bool, "
            "Literal['a', 'b'], list[str] or `str | None`"
        ) from error
    return {parameter.name: parameter for parameter in declared}


def take_scheduled_for(given: dict[str, Any]) -> datetime | None:
    """The reserved parameter `scheduled_for`, the time a run is for, taken out of what is given.

    A time with its zone, or its text; raises ParameterError for anything else.
    """
    value = given.pop(SCHEDULED_FOR, None)
    with suppress(ValueError):
        moment = _moment(value)
        if moment or value is None:
            return moment
    raise ParameterError(f"{SCHEDULED_FOR} takes {SCALARS['datetime']}, and not {value!r}")


def check_parameters(
    declared: Mapping[str, Parameter], given: Mapping[str, Any], report: str
) -> dict[str, Any]:
    """A value for every declared parameter: the given ones checked, defaults for the others.

    Given values are Python objects or their text. Raises ParameterError for a name that is not
    declared, a value that does not fit, or a required one that is missing.
    """
    for name in given:
        if name not in declared:
            near = get_close_matches(name, declared, n=1)
            known = ", ".join(sorted(declared)) or "no parameters"
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ParameterError(f"report {report} takes {known}, and not {name!r}{hint}")
    values = {}
    for name, parameter in declared.items():
        if name not in given and parameter.required:
            raise ParameterError(f"report {report} needs {name}: {parameter.kind}")
        try:
            values[name] = parameter.kind.read(given.get(name, parameter.default))
        except ValueError as error:
            raise ParameterError(
                f"report {report}: parameter {name} {error}, and not {given.get(name)!r}"
            ) from None
    return values


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _scalar(name: str, value: Any) -> Any:
    if name == "str" and isinstance(value, str):
        return value
    if name == "bool" and (isinstance(value, bool) or str(value).lower() in TRUTHS):
        return value if isinstance(value, bool) else TRUTHS[str(value).lower()]
    is_number = isinstance(value, int | float | str) and not isinstance(value, bool)
    if name == "int" and is_number and re.fullmatch(r"[+-]?[0-9]+", str(value)):
        return int(value)
    if name == "float" and is_number and math.isfinite(float(value)):
        return float(value)
    if name == "date" and isinstance(value, date) and not isinstance(value, datetime):
        return value
    if name == "date" and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(value)):
        return date.fromisoformat(str(value))
    if name == "datetime" and (moment := _moment(value)):
        return moment
    raise ValueError(value)


def _moment(value: Any) -> datetime | None:
    """The value as a time with its zone, None where it is none; ValueError for other text."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if isinstance(moment, datetime) and moment.tzinfo else None


_IGNORED = (ast.Import, ast.ImportFrom)


def _declared(line: ast.stmt) -> Parameter:
    if not (isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)):
        raise TypeError(f"has {ast.unparse(line)!r}")
    kind = _kind(line.annotation)
    if line.value is None:
        return Parameter(line.target.id, kind, required=True)
    try:
        return Parameter(line.target.id, kind, kind.read(ast.literal_eval(line.value)))
    except ValueError:
        raise ValueError(
            f"gives {line.target.id} the default {ast.unparse(line.value)}, but it takes {kind}"
        ) from None


def _kind(node: ast.expr) -> Kind:
    if isinstance(node, ast.Name) and node.id in SCALARS:
        return Kind(scalars=(node.id,))
    if isinstance(node, ast.Constant) and node.value is None:
        return Kind(optional=True)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = _kind(node.left), _kind(node.right)
        return Kind(
            left.scalars + right.scalars,
            left.choices + right.choices,
            left.items or right.items,
            left.optional or right.optional,
        )
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        if node.value.id == "Literal":
            chosen = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return Kind(choices=tuple(ast.literal_eval(choice) for choice in chosen))
        if node.value.id == "list":
            return Kind(items=_kind(node.slice))
    raise ValueError(f"has the type {ast.unparse(node)!r}")
