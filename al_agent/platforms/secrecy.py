"""Keys that must not be seen: kept in one place, and masked wherever text leaves."""

from __future__ import annotations

import json
import threading
import urllib.parse

from ..errors import AuthenticationFailed

MASKED = "***"
_SHORTEST_KEY = 8


class Secrets:
    """The keys of one connection. It prints as `***`, and cannot be pickled.

    Args:
        keys: What must not be seen.
    """

    def __init__(self, *keys: str) -> None:
        self._lock = threading.Lock()
        self._forms: tuple[str, ...] = ()
        for key in keys:
            self.add(key)

    def add(self, key: str) -> None:
        """Mask this from now on too, also as it stands in addresses and in JSON."""
        in_json = json.dumps(key)[1:-1]
        in_addresses = {urllib.parse.quote(key), urllib.parse.quote(key, safe=""), urllib.parse.quote_plus(key)}
        forms = {key, in_json, in_json.replace("/", "\\/"), *in_addresses}
        with self._lock:
            self._forms = tuple(sorted({*self._forms, *forms}, key=len, reverse=True))

    def mask(self, text: str) -> str:
        """`text` without the keys."""
        for form in self._forms:
            text = text.replace(form, MASKED)
        return text

    def __repr__(self) -> str:
        return MASKED

    def __reduce__(self) -> str:
        raise TypeError("keys are not pickled; open the platform again in the other process")


def checked_key(given: str | None, variable: str, found: str | None, where: str) -> str:
    """The key that was given, or found in the environment, without surrounding blanks.

    Args:
        given: The argument.
        variable: Name of the environment variable.
        found: What stands in it.
        where: Where a user gets a key.

    Raises:
        AuthenticationFailed: There is no key, or it can be none.
    """
    source, key = ("api_key", given) if given is not None else (variable, found)
    if key is None or not key.strip():
        raise AuthenticationFailed(f"there is no key: set the environment variable {variable}, or pass api_key=; {where}")
    key = key.strip()
    if len(key) < _SHORTEST_KEY or not key.isascii() or any(character.isspace() for character in key):
        raise AuthenticationFailed(
            f"what {source} holds is no key: keys have at least {_SHORTEST_KEY} plain characters without blanks; {where}"
        )
    return key
