"""Keys are masked in each form they may take, and what is no key is refused without being shown."""

from __future__ import annotations

import json
import pickle
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from al_agent import AuthenticationFailed
from al_agent.platforms.secrecy import Secrets, checked_key

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60)


@given(key=PRINTABLE)
def test_no_form_of_a_key_is_left(key: str) -> None:
    mask = Secrets(key).mask
    in_json = json.dumps(key)[1:-1]
    in_addresses = (urllib.parse.quote(key), urllib.parse.quote(key, safe=""), urllib.parse.quote_plus(key))
    for form in (key, in_json, in_json.replace("/", "\\/"), *in_addresses):
        assert mask(form) == "***"
        assert mask(f"<{form}> and <{form}>") == "<***> and <***>"


def test_a_key_that_holds_another_is_masked_whole() -> None:
    secrets = Secrets("abcdefgh")
    secrets.add("abcdefgh-and-more")
    assert secrets.mask("abcdefgh-and-more abcdefgh") == "*** ***"


def test_secrets_are_neither_printed_nor_pickled() -> None:
    secrets = Secrets("a-secret-key")
    assert (repr(secrets), str(secrets), f"{secrets}") == ("***", "***", "***")
    with pytest.raises(TypeError, match="keys are not pickled; open the platform again in the other process"):
        pickle.dumps(secrets)


@pytest.mark.parametrize(
    ("given_key", "found", "key"),
    [("  key-as-argument\n", "key-in-environment", "key-as-argument"), (None, " key-in-environment ", "key-in-environment")],
)
def test_an_argument_wins_over_the_environment_and_blanks_are_cut(given_key: str | None, found: str, key: str) -> None:
    assert checked_key(given_key, "A_KEY", found, "look there") == key


@pytest.mark.parametrize("nothing", [None, "", "  \n"])
def test_without_a_key_the_message_tells_where_to_get_one(nothing: str | None) -> None:
    with pytest.raises(AuthenticationFailed, match="set the environment variable A_KEY, or pass api_key=; look there"):
        checked_key(None, "A_KEY", nothing, "look there")


@pytest.mark.parametrize("wrong", ["short12", "two words of it", "schlüssel-mit-ü", "first-line\nsecond"])
def test_what_can_be_no_key_is_refused_and_not_shown(wrong: str) -> None:
    with pytest.raises(AuthenticationFailed, match="what api_key holds is no key") as caught:
        checked_key(wrong, "A_KEY", None, "look there")
    assert wrong not in str(caught.value)
    with pytest.raises(AuthenticationFailed, match="what A_KEY holds is no key"):
        checked_key(None, "A_KEY", wrong, "look there")
