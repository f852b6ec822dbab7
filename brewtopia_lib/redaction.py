"""Text fit to be seen by others: without the secrets of the settings and the environment; pure."""

import os
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

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
    both = {text for value in found for text in (value, unquote(value))}
    return sorted((text for text in both if len(text) >= SHORTEST), key=len, reverse=True)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret in it hidden."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def _in_uri(uri: str) -> list[str]:
    """The password and the values of the query of a URI."""
    place = uri.partition("://")[2]
    user, at, rest = place.rpartition("@")
    query = (rest if at else place).partition("?")[2]
    return [user.partition(":")[2], *(pair.partition("=")[2] for pair in query.split("&"))]
