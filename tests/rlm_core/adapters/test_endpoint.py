"""An endpoint refuses what cannot work and never shows a key."""

from __future__ import annotations

import pytest

from rlm_core.adapters.endpoint import MAX_SHOWN, Endpoint

KEY = "sk-test-0123456789abcdef"


def test_an_address_is_shown_without_its_query() -> None:
    endpoint = Endpoint(url=f"https://host:8080/v1/chat?key={KEY}#part", headers={})
    assert endpoint.shown == "https://host:8080/v1/chat"


@pytest.mark.parametrize("url", ["", "localhost:11434/v1", "ftp://host/v1", "http:///v1", "/v1"])
def test_what_is_no_http_address_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ValueError, match="http://localhost:11434/v1"):
        Endpoint(url=url, headers={})


def test_a_password_in_the_address_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="api_key") as caught:
        Endpoint(url=f"https://user:{KEY}@host/v1", headers={})
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("bad", [f"{KEY}\n", f"{KEY}\u00e9", f"\u201c{KEY}"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(bad: str) -> None:
    with pytest.raises(ValueError, match="how it was copied") as caught:
        Endpoint(url="https://host/v1", headers={"Authorization": f"Bearer {bad}"})
    assert KEY not in str(caught.value)


def test_secrets_are_blotted_out_and_the_rest_is_one_short_line() -> None:
    endpoint = Endpoint(url="https://host/v1", headers={}, secrets=(KEY,))
    assert endpoint.hide(f"wrong key\n {KEY}!") == "wrong key [key]!"
    assert len(endpoint.hide("x" * 10_000)) == MAX_SHOWN


def test_dummy_keys_do_not_garble_messages() -> None:
    endpoint = Endpoint(url="https://host/v1", headers={}, secrets=("x", "ollama"))
    assert endpoint.hide("ollama is extra busy") == "ollama is extra busy"


def test_a_timeout_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="timeout"):
        Endpoint(url="https://host/v1", headers={}, timeout=0)
