"""Text fit to be seen by others: without the secrets of the settings and the environment; pure."""

import json
import os
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from typing import Any
from urllib.parse import quote, unquote

from brewtopia_lib.settings import Settings

SECRET_VARIABLES = ("PASSWORD", "PASSWD", "SECRET", "TOKEN", "PRIVATE_KEY", "ACCESS_KEY_ID")
SHORTEST = 4
HIDDEN = "[hidden]"


def secrets_of(settings: Settings, environment: Mapping[str, str] = os.environ) -> list[str]:
    """What must not be shown: what URIs of the settings hold, and variables named like secrets.

    Longest first, each as it is written and as it is meant (`%40` for `@`).
    """
    found = [
        value
        for name, value in environment.items()
        if any(part in name.upper() for part in SECRET_VARIABLES)
    ]
    for value in settings.model_dump().values():
        if isinstance(value, str) and "://" in value:
            found += _in_uri(value)
    meant = {text for value in found for text in (value, unquote(value)) if len(text) >= SHORTEST}
    return sorted(meant, key=len, reverse=True)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret in it hidden, also as it looks in an address, HTML or quotes."""
    for look in sorted({look for secret in secrets for look in _looks(secret)}, key=len)[::-1]:
        text = text.replace(look, HIDDEN)
    return text


def redacted_all(value: Any, secrets: Iterable[str]) -> Any:
    """The same lists, mappings and texts, with each secret in any of them hidden."""
    if isinstance(value, str):
        return redacted(value, secrets)
    if isinstance(value, Mapping):
        return {
            redacted_all(key, secrets): redacted_all(one, secrets) for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted_all(one, secrets) for one in value]
    return value


@cache
def _looks(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), escape(secret), repr(secret)[1:-1]} | {
        json.dumps(secret, ensure_ascii=is_plain)[1:-1] for is_plain in (True, False)
    }


def _in_uri(uri: str) -> list[str]:
    """The password and the values of the query of a URI."""
    place = uri.partition("://")[2]
    user, at, rest = place.rpartition("@")
    query = (rest if at else place).partition("?")[2]
    return [user.partition(":")[2], *(pair.partition("=")[2] for pair in query.split("&"))]
