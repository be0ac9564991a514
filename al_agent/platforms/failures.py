"""What can go wrong with one request: which error it is, in which words, and whether trying again helps."""

from __future__ import annotations

import contextlib
import email.utils
import json
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..errors import AuthenticationFailed, NotFound, PlatformError, RateLimited, Rejected, Unavailable

MOST_TRIES = 10  # of one request, within the seconds that the connection allows
_TRIES_OF_WHAT_SELDOM_PASSES = 3  # unknown host, refused connection, plain 500: waiting for minutes would hide a mistake
_LONGEST_MESSAGE = 600


@dataclass(frozen=True)
class Failure:
    """Why one try did not give an answer.

    Args:
        kind: Error to raise if it is not tried again.
        what: What happened, in words.
        tries: How often a request may be tried when this happens.
        may_have_happened: Whether the server may have done what was asked.
        status: HTTP status, if any.
        asked_wait_s: Seconds that the server asked to wait, if it did.
    """

    kind: type[PlatformError]
    what: str
    tries: int = 1
    may_have_happened: bool = True
    status: int | None = None
    asked_wait_s: float | None = None


_OF_STATUS = {
    401: Failure(AuthenticationFailed, "it refuses the key", may_have_happened=False),
    403: Failure(AuthenticationFailed, "the key may not do this", may_have_happened=False),
    404: Failure(NotFound, "not found", may_have_happened=False),
    429: Failure(RateLimited, "too many requests", tries=MOST_TRIES, may_have_happened=False),
    500: Failure(Unavailable, "it is in trouble", tries=_TRIES_OF_WHAT_SELDOM_PASSES),
}
_PASSING = Failure(Unavailable, "it is in trouble", tries=MOST_TRIES)
_OF_STATUS |= dict.fromkeys((408, 425, 502, 503, 504, 520, 521, 522, 523, 524), _PASSING)

_UNSEEN = Failure(Unavailable, "", tries=_TRIES_OF_WHAT_SELDOM_PASSES, may_have_happened=False)
_OF_EXCEPTION = (  # the first whose words occur in the exception's classes or text
    (
        ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed"),
        replace(
            _UNSEEN, tries=1, what="its certificate cannot be trusted; for a private authority, pass Connection(ca_file=...)"
        ),
    ),
    (("SSLError",), replace(_UNSEEN, tries=1, what="no secure connection; does it speak https, or is it http:// only?")),
    (
        ("ProxyError",),
        replace(_UNSEEN, what="the proxy that the environment names fails; check HTTP_PROXY, HTTPS_PROXY and NO_PROXY"),
    ),
    (("ConnectTimeout",), replace(_UNSEEN, what="no connection in time; is the address right?")),
    (("Timeout", "timed out"), replace(_UNSEEN, may_have_happened=True, what="no answer in time")),
    (
        ("NameResolutionError", "Name or service", "getaddrinfo", "nodename nor servname"),
        replace(_UNSEEN, what="its name is not known; is the address right, and is there a network?"),
    ),
    (
        ("NewConnectionError", "Connection refused"),
        replace(_UNSEEN, what="it does not accept connections; is the address right, and is the server running?"),
    ),
    (
        ("LocationParseError", "InvalidURL", "LocationValueError"),
        replace(_UNSEEN, tries=1, what="its address cannot be one; is it right?"),
    ),
    (
        ("TLS CA certificate bundle",),
        replace(_UNSEEN, tries=1, what="the certificates named by REQUESTS_CA_BUNDLE or ca_file cannot be read"),
    ),
    (("",), Failure(Unavailable, "the connection broke", tries=MOST_TRIES)),
)

NO_JSON = Failure(Unavailable, "its answer is no whole JSON", tries=MOST_TRIES)
WEB_PAGE = Failure(
    Unavailable,
    "it answered with a web page instead of JSON: is the address right, or is a proxy or a login in between?",
)
ENDLESS = Failure(Unavailable, "its answer does not end")


def of_exception(error: Exception) -> Failure:
    """What an exception of the HTTP library means."""
    text = f"{' '.join(kind.__name__ for kind in type(error).__mro__)} {error}"
    return next(failure for words, failure in _OF_EXCEPTION if any(word in text for word in words))


def of_status(status: int, reason: str, headers: Mapping[str, str], content: bytes) -> Failure:
    """What a status other than success means; the status counts, whatever the body is."""
    said = f"{status} {_detail(content) or reason}".strip()
    if 300 <= status < 400:
        target = headers.get("Location", "")
        where = origin_of(target) if "://" in target else "another path"
        what = f"it redirects to {where}, which is not followed with a key; if that is right, give it as the address"
        return Failure(Rejected, what, may_have_happened=False, status=status)
    other = Failure(Unavailable, "it is in trouble") if status >= 500 else Failure(Rejected, "it refused")
    failure = _OF_STATUS.get(status, other)
    return replace(
        failure,
        what=f"{failure.what} ({said})",
        status=status,
        asked_wait_s=_asked_wait_s(headers) if failure.tries > 1 else None,
    )


def origin_of(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def _asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` asks for, given as a number or as a date on the server's own clock."""
    asked = headers.get("Retry-After", "").strip()
    with contextlib.suppress(ValueError):
        seconds = float(asked)
        return seconds if 0 < seconds < float("inf") else None
    then = _timestamp(asked)
    if then is None:
        return None
    now = _timestamp(headers.get("Date", ""))
    return max(0.0, then - (time.time() if now is None else now)) or None


def _timestamp(date: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _detail(content: bytes) -> str:
    """What the server says in its answer, on one line."""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    for _ in range(4):  # {"errors": [{"message": ...}]}
        if isinstance(said, list) and said:
            said = said[0]
        elif isinstance(said, dict):
            found = next((said[name] for name in ("detail", "message", "error", "errors") if said.get(name)), None)
            said = said if found is None else found
    return " ".join((said if isinstance(said, str) else json.dumps(said)).split())


def shortened(text: str) -> str:
    """A message that is not longer than a person reads; to be masked before, since half a key is a key too."""
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}..."
