"""The transport: what is tried again and how often, what is never sent or shown, and in which words it gives up."""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import pickle
import re
import socket
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from gate import Gate
from http_double import Answer, Fault, HttpDouble, Request

from al_agent import AuthenticationFailed, NotFound, PlatformError, RateLimited, Rejected, Unavailable
from al_agent.platforms.connection import Connection
from al_agent.platforms.failures import of_status
from al_agent.platforms.http import Http, checked_url
from al_agent.platforms.parallel import in_parallel
from al_agent.platforms.secrecy import Secrets

KEY = 'a"secret/key+0815'
FAST: dict[str, Any] = {
    "first_wait_s": 0.01,
    "longest_wait_s": 0.05,
    "give_up_after_s": 3.0,
    "read_timeout_s": 0.3,
    "connect_timeout_s": 1.0,
}


class Echo(HttpDouble):
    """Counts what it did, and answers with the number."""

    def __init__(self) -> None:
        super().__init__()
        self.n_done = 0
        self.reply: Answer | None = None

    def answer(self, request: Request) -> Answer:
        self.n_done += 1
        return self.reply or Answer(200, {"n": self.n_done})


@pytest.fixture
def double() -> Iterator[Echo]:
    with Echo() as running:
        yield running


@pytest.fixture
def make_http() -> Iterator[Callable[..., Http]]:
    made: list[Http] = []

    def make(address: str, connection: Mapping[str, Any] | None = None, **options: Any) -> Http:
        http = Http(
            address,
            vendor="Vendor",
            headers=lambda: {"Authorization": f"Token {KEY}"},
            secrets=Secrets(KEY),
            connection=Connection(**{**FAST, **(connection or {})}),
            **options,
        )
        made.append(http)
        return http

    yield make
    for http in made:
        http.close()


Make = Callable[..., Http]
TRIES = {
    400: (Rejected, 1),
    401: (AuthenticationFailed, 1),
    403: (AuthenticationFailed, 1),
    404: (NotFound, 1),
    408: (Unavailable, 10),
    409: (Rejected, 1),
    413: (Rejected, 1),
    422: (Rejected, 1),
    425: (Unavailable, 10),
    429: (RateLimited, 10),
    500: (Unavailable, 3),
    501: (Unavailable, 1),
    502: (Unavailable, 10),
    503: (Unavailable, 10),
    504: (Unavailable, 10),
    520: (Unavailable, 10),
    599: (Unavailable, 1),
}


@pytest.mark.parametrize(("status", "expected"), TRIES.items())
def test_each_status_has_its_error_and_its_number_of_tries(
    status: int, expected: tuple[type[PlatformError], int], double: Echo, make_http: Make
) -> None:
    kind, n_tries = expected
    double.faults.append(Fault(times=None, status=status, body={"detail": "because"}))
    with pytest.raises(kind, match=rf"Vendor at http://127\.0\.0\.1:\d+.*: .*{status} because") as caught:
        make_http(double.url).get("/path")
    assert (type(caught.value), caught.value.status) == (kind, status)
    assert len(double.requests) == n_tries
    assert (f"after {n_tries} tries" in str(caught.value)) == (n_tries > 1)
    assert double.n_done == 0


def test_waits_have_full_jitter_within_doubling_bounds(double: Echo, make_http: Make) -> None:
    double.faults.append(Fault(times=None, status=503))
    with pytest.raises(Unavailable):
        make_http(double.url, {"first_wait_s": 0.02, "longest_wait_s": 0.1}).get("/")
    times = [request.time_s for request in double.requests]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    bounds = [min(0.1, 0.02 * 2**n) for n in range(9)]
    assert [gap for gap, bound in zip(gaps, bounds) if gap > bound + 0.1] == []
    assert sum(gaps) < sum(bounds) + 0.3
    assert len({round(gap, 4) for gap in gaps[-5:]}) > 1  # all have the same bound


def test_it_gives_up_when_the_time_is_over(double: Echo, make_http: Make) -> None:
    double.faults.append(Fault(times=None, status=503, delay_s=0.1))
    begun = time.monotonic()
    with pytest.raises(Unavailable, match=r"after [234] tries"):
        make_http(double.url, {"give_up_after_s": 0.3}).get("/")
    assert time.monotonic() - begun < 1.0


def test_a_wait_that_is_longer_than_we_would_wait_is_told_at_once(double: Echo, make_http: Make) -> None:
    double.faults.append(Fault(times=None, status=429, headers={"Retry-After": "3600"}))
    begun = time.monotonic()
    with pytest.raises(RateLimited, match=r"it asks to wait 3,600 s"):
        make_http(double.url).get("/")
    assert (len(double.requests), time.monotonic() - begun < 1.0) == (1, True)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
        ({"Retry-After": "Wed, 01 Jan 2020 00:00:09 GMT", "Date": "Wed, 01 Jan 2020 00:00:00 GMT"}, 9.0),
        ({"Retry-After": "Fri, 01 Jan 2100 00:00:09 GMT", "Date": "Fri, 01 Jan 2100 00:00:00 GMT"}, 9.0),
        ({"Retry-After": "Wed, 01 Jan 2020 00:00:09 GMT", "Date": "nonsense"}, None),
        ({"Retry-After": "Wed, 01 Jan 2020 00:00:09 GMT"}, None),
    ],
)
def test_what_retry_after_asks_for(headers: dict[str, str], wait_s: float | None) -> None:
    assert of_status(429, "", headers, b"").asked_wait_s == wait_s


def test_a_wish_to_wait_holds_all_threads(double: Echo, make_http: Make) -> None:
    double.faults.append(Fault(status=429, headers={"Retry-After": "0.3"}))
    http = make_http(double.url)
    with ThreadPoolExecutor(4) as pool:
        assert http.get("/") == {"n": 1}
        held_s = double.requests[1].time_s - double.requests[0].time_s
        assert held_s >= 0.3
        assert sorted(answer["n"] for answer in pool.map(http.get, ["/"] * 4)) == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("fault", "n_done"),
    [
        (Fault(status=429), 1),
        (Fault(status=401), 0),
        (Fault(status=503), 0),
        (Fault(status=503, applied=True), 1),
        (Fault(then="reset"), 1),
        (Fault(then="reset", applied=False), 0),
        (Fault(then="cut"), 1),
        (Fault(then="hang"), 1),
    ],
)
def test_what_must_not_happen_twice_is_sent_once_after_an_unknown_outcome(
    fault: Fault, n_done: int, double: Echo, make_http: Make
) -> None:
    double.faults.append(Fault(**{name: getattr(fault, name) for name in ("status", "then", "applied")}))
    http, is_certain = make_http(double.url), fault.status == 429
    try:
        assert http.send("POST", "/", body=[], is_repeatable=False) == {"n": 1}
        assert is_certain
    except PlatformError:
        assert not is_certain
    assert (len(double.requests), double.n_done) == (2 if is_certain else 1, n_done)


@pytest.mark.parametrize("is_repeatable", [True, False])
def test_a_refused_connection_is_tried_three_times(is_repeatable: bool, make_http: Make) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and never listens
        http = make_http(f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(Unavailable, match=r"after 3 tries.*does not accept connections") as caught:
            http.send("POST", "/", body=[], is_repeatable=is_repeatable)
    assert caught.value.status is None


FORMS = (KEY, quote(KEY), quote(KEY, safe=""), json.dumps(KEY)[1:-1])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_key_that_the_server_repeats_is_masked(
    form: str, status: int, double: Echo, make_http: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    double.faults.append(Fault(times=None, status=status, body={"errors": [{"message": f"bad key <{form}>"}]}))
    with pytest.raises(PlatformError, match=r"bad key <\*\*\*>") as caught:
        make_http(double.url).get(f"/with/{quote(KEY, safe='')}")
    error = caught.value
    texts = [str(error), repr(error), *traceback.format_exception(error), repr(pickle.dumps(error))]
    texts += [record.getMessage() for record in caplog.records if record.name.startswith("al_agent")]
    assert any("/with/***" in text for text in texts)
    assert [text for text in texts if any(one in text for one in FORMS)] == []


def test_a_password_file_is_not_read(double: Echo, make_http: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password from-netrc\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    make_http(double.url).get("/")
    assert double.requests[0].headers["authorization"] == f"Token {KEY}"
    make_http(double.url).send("GET", "/", is_signed=False)
    assert "authorization" not in double.requests[1].headers


def test_cookies_are_not_kept(double: Echo, make_http: Make) -> None:
    double.reply = Answer(200, {}, {"Set-Cookie": "session=1; Path=/"})
    http = make_http(double.url)
    http.get("/")
    http.get("/")
    assert ["cookie" in request.headers for request in double.requests] == [False, False]
    assert double.n_connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", ["", "/elsewhere"])
def test_a_redirect_is_told_and_not_followed(status: int, path: str, double: Echo, make_http: Make) -> None:
    with Echo() as other:
        target = path or f"{other.origin}/?key={quote(KEY)}"
        double.faults.append(Fault(times=None, status=status, headers={"Location": target}))
        where = re.escape("another path" if path else other.origin)
        with pytest.raises(Rejected, match=f"it redirects to {where}, which is not followed with a key"):
            make_http(double.url).get("/")
        assert (len(double.requests), len(other.requests)) == (1, 0)


def test_a_broken_proxy_of_the_environment_is_named(make_http: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://ann:the-password@127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(Unavailable, match="the proxy that the environment names fails; check HTTP_PROXY") as caught:
            make_http("http://labels.example.com").get("/")
    assert "the-password" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "labels.example.com",
        "ftp://labels.example.com",
        "https://",
        "http://[half",
        "https://host:0",
        "https://host:99999",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"the server's address is .*; expected one such as https://labels\.example\.com"):
        checked_url(address)


@pytest.mark.parametrize("address", ["https://ann:pass-word@labels.example.com", "https://ann@labels.example.com/x"])
def test_an_address_with_a_password_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(ValueError, match="holds a user name or password; pass the key as api_key=") as caught:
        checked_url(address)
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["https://labels.example.com?token=1", "https://labels.example.com#x", "https://labels.example.com/projects/3/data"],
)
def test_an_address_with_a_query_is_refused(address: str) -> None:
    with pytest.raises(
        ValueError, match=r"is that of a page; expected the server alone, such as 'https://labels\.example\.com'"
    ):
        checked_url(address)


def test_an_address_is_taken_without_its_last_slash() -> None:
    assert checked_url("  https://labels.example.com/app/ ") == "https://labels.example.com/app"


@pytest.mark.parametrize("content", [b"", b"  \n"])
def test_an_empty_answer_is_none(content: bytes, double: Echo, make_http: Make) -> None:
    double.reply = Answer(200, content)
    assert make_http(double.url).get("/") is None


def test_a_large_answer_comes_whole(double: Echo, make_http: Make) -> None:
    double.reply = Answer(200, ["x" * 1000] * 5000)
    assert make_http(double.url).get("/") == ["x" * 1000] * 5000


def test_an_answer_that_drips_is_read_as_long_as_it_comes(double: Echo, make_http: Make) -> None:
    double.faults.append(Fault(then="drip", drip_s=0.03))
    double.reply = Answer(200, ["x"] * 20)
    assert make_http(double.url, {"read_timeout_s": 0.2}).get("/") == ["x"] * 20
    assert len(double.requests) == 1


@pytest.mark.parametrize(
    ("body", "words", "n_tries"),
    [
        ('{"half": ', "after 10 tries: its answer is no whole JSON", 10),
        ("  <html>Log in</html>", "it answered with a web page instead of JSON", 1),
        (b"\xff\xfe\x00", "after 10 tries: its answer is no whole JSON", 10),
    ],
)
def test_an_answer_that_is_no_json_is_told(
    body: str | bytes, words: str, n_tries: int, double: Echo, make_http: Make
) -> None:
    double.reply = Answer(200, body)
    with pytest.raises(Unavailable, match=words):
        make_http(double.url).get("/")
    assert len(double.requests) == n_tries


@pytest.mark.parametrize("status", [200, 404])
def test_an_answer_nested_without_end_is_told(status: int, double: Echo, make_http: Make) -> None:
    double.reply = Answer(status, "[" * 200_000)
    with pytest.raises(NotFound if status == 404 else Unavailable):
        make_http(double.url).get("/")


def test_connections_are_kept_and_shared_by_threads(double: Echo, make_http: Make) -> None:
    double.delay_s = 0.01
    http = make_http(double.url, {"n_parallel": 3})
    with ThreadPoolExecutor(3) as pool:
        found = sorted(answer["n"] for answer in pool.map(http.get, ["/"] * 30))
    assert found == [*range(1, 31)]
    assert double.n_connections <= 3


def test_after_close_the_next_request_opens_a_new_connection(double: Echo, make_http: Make) -> None:
    http = make_http(double.url)
    http.get("/")
    http.close()
    assert http.get("/") == {"n": 2}
    assert double.n_connections == 2


def test_a_refused_signature_is_renewed_once(double: Echo, make_http: Make) -> None:
    refused: list[str] = []

    def renew(headers: Mapping[str, str]) -> bool:
        refused.append(headers["Authorization"])
        return True

    http = make_http(double.url, renew=renew)
    double.faults.append(Fault(status=401))
    assert http.send("POST", "/", body=[], is_repeatable=False) == {"n": 1}
    double.faults.append(Fault(status=401, times=None))
    with pytest.raises(AuthenticationFailed, match="check the key"):
        http.get("/")
    assert refused == [f"Token {KEY}"] * 2
    assert len(double.requests) == 4


def ask_in_child(http: Http, pipe: Any) -> None:
    pipe.send(http.get("/child"))
    pipe.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_a_forked_process_opens_its_own_connection(double: Echo, make_http: Make) -> None:
    http = make_http(double.url)
    http.get("/parent")
    here, there = multiprocessing.Pipe(duplex=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
        child = multiprocessing.get_context("fork").Process(target=ask_in_child, args=(http, there))
        child.start()
    assert here.poll(10)
    assert here.recv() == {"n": 2}
    child.join(10)
    http.get("/parent")
    here.close()
    there.close()
    numbers = [(request.path, request.connection) for request in double.requests]
    assert numbers == [("/parent", 1), ("/child", 2), ("/parent", 1)]


def test_the_rate_limit_counts_every_try(double: Echo, make_http: Make) -> None:
    double.faults.append(Fault(status=503))
    http = make_http(double.url, calls_per_minute=3)
    http.get("/")
    http.get("/")

    def wait_for_the_fourth() -> None:
        with contextlib.suppress(PlatformError):  # the server is gone when the minute is over
            http.get("/")

    waiting = threading.Thread(target=wait_for_the_fourth, daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()  # three tries have gone; the fourth waits for the minute to end
    assert len(double.requests) == 3


def test_its_name_shows_no_key(make_http: Make) -> None:
    assert repr(make_http(f"https://labels.example.com/{quote(KEY)}")) == "Http('https://labels.example.com/***')"


def test_no_proxy_is_kept_to_with_an_authority_of_ones_own(
    double: Echo, make_http: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_text("of no use to http")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert make_http(double.url, {"ca_file": authority}).get("/") == {"n": 1}


def test_a_key_across_the_place_where_a_long_answer_is_cut_is_not_shown(double: Echo, make_http: Make) -> None:
    for n_before in range(500, 620, 7):
        double.faults.append(Fault(status=400, body={"detail": "x" * n_before + KEY}))
        with pytest.raises(Rejected) as caught:
            make_http(double.url).get("/")
        assert KEY[:6] not in str(caught.value)


@pytest.mark.parametrize("asked", ["0", "Wed, 01 Jan 2020 00:00:00 GMT"])
def test_being_asked_to_wait_for_no_time_at_all_is_waited_for_as_if_not_asked(
    asked: str, double: Echo, make_http: Make
) -> None:
    double.faults.append(Fault(times=None, status=429, headers={"Retry-After": asked}))
    begun = time.monotonic()
    with pytest.raises(RateLimited):
        make_http(double.url, {"first_wait_s": 0.2, "longest_wait_s": 0.2}).get("/")
    assert time.monotonic() - begun > 0.2  # nine pauses of 0.1 s on average


def test_being_asked_to_wait_again_and_again_is_done_as_long_as_patience_lasts(double: Echo, make_http: Make) -> None:
    double.faults.append(Fault(times=15, status=429, headers={"Retry-After": "0.02"}))
    assert make_http(double.url).get("/") == {"n": 1}
    assert len(double.requests) == 16


def test_an_impatient_connection_does_not_wait_out_the_pause_of_a_patient_one(double: Echo, make_http: Make) -> None:
    double.faults.append(Fault(status=429, headers={"Retry-After": "2"}))
    patient, impatient = make_http(double.url, {"give_up_after_s": 60}), make_http(double.url, {"give_up_after_s": 0.2})
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(patient.get, "/")
        while not double.requests:
            time.sleep(0.01)
        time.sleep(0.05)
        with pytest.raises(RateLimited, match=r"asked for a pause \(it asks to wait [12] s\)"):
            impatient.get("/")
        assert slow.result() == {"n": 1}


@pytest.mark.parametrize("address", ["http://a..b", f"http://{'a' * 70}.example"])
def test_an_address_that_no_server_can_have_is_unavailable(address: str, make_http: Make) -> None:
    with pytest.raises(Unavailable):
        make_http(address).get("/")


def test_missing_certificates_of_the_environment_are_unavailable(make_http: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "no-such-file.pem")
    with pytest.raises(Unavailable, match="REQUESTS_CA_BUNDLE"):
        make_http("https://127.0.0.1:9").get("/")


def test_an_interrupt_ends_the_retries_of_requests_under_way(double: Echo, make_http: Make) -> None:
    double.faults.append(Fault(times=None, status=503))
    http = make_http(double.url, {"first_wait_s": 30.0, "longest_wait_s": 30.0, "give_up_after_s": 120.0})

    def work(number: int) -> int:
        if number == 3:
            while len(double.requests) < 3:
                time.sleep(0.01)
            raise KeyboardInterrupt
        http.get("/")
        return number

    begun = time.monotonic()
    with pytest.raises((KeyboardInterrupt, Unavailable)):
        list(in_parallel(work, reversed(range(4)), 4))
    assert time.monotonic() - begun < 5


def test_a_server_that_has_answered_and_is_away_gets_all_patience(double: Echo, make_http: Make) -> None:
    with Gate(double.origin) as gate:
        known, new = make_http(gate.origin, {"give_up_after_s": 10}), make_http(gate.origin, {"give_up_after_s": 10})
        assert known.get("/") == {"n": 1}
        known.close()
        gate.shut()
        for http, n_tries in ((known, 10), (new, 3)):
            with pytest.raises(Unavailable, match=rf"after {n_tries} tries: it does not accept connections"):
                http.get("/")
