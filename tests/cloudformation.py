"""CloudFormation templates with their intrinsic functions worked out, as far as ours use them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent.parent / "deploy" / "cloudformation"
TEMPLATES = sorted(FOLDER.glob("*.yaml"))
ACCOUNT, REGION = "123456789012", "us-east-1"
PSEUDO = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws"}


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def read(path: Path) -> dict[str, Any]:
    """A template, in the long forms."""
    found: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    return found


def resolved(value: Any, known: Mapping[str, Any], conditions: Mapping[str, bool] = {}) -> Any:
    """A value with Ref, Sub, GetAtt, Join, Select and If worked out.

    `known` has parameters, the names that resources are referred to by, and `Resource.Attribute`.
    """
    if isinstance(value, list):
        return [resolved(one, known, conditions) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, given),) = value.items()
        if name == "Ref":
            return {**PSEUDO, **known}[given]
        if name == "Fn::GetAtt":
            return known[".".join(given)]
        if name == "Fn::Sub":
            text, more = given if isinstance(given, list) else (given, {})
            names = {**PSEUDO, **known, **resolved(more, known, conditions)}
            filled = re.sub(r"\$\{([^!}]+)\}", lambda found: str(names[found[1]]), text)
            return filled.replace("${!", "${")
        if name == "Fn::Join":
            return given[0].join(resolved(given[1], known, conditions))
        if name == "Fn::Select":
            return resolved(given[1], known, conditions)[int(given[0])]
        if name == "Fn::If":
            return resolved(given[1 if conditions[given[0]] else 2], known, conditions)
        if name == "Fn::Base64":
            return resolved(given, known, conditions)
    return {key: resolved(one, known, conditions) for key, one in value.items()}
