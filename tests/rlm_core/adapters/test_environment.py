from __future__ import annotations

from rlm_core.adapters.environment import api_key_from, base_url_from

KEY = "a key"


def test_our_own_variables_win_over_the_usual_ones() -> None:
    both = {
        "LLM_BASE_URL": "a", "OPENAI_BASE_URL": "b", "LLM_API_KEY": "c", "OPENAI_API_KEY": "d",
    }  # fmt: skip
    assert (base_url_from(both), api_key_from(both)) == ("a", "c")
    second = {"LLM_BASE_URL": "", "OPENAI_BASE_URL": "b", "OPENAI_API_KEY": "d"}
    assert (base_url_from(second), api_key_from(second)) == ("b", "d")
    assert (base_url_from({}), api_key_from({})) == (None, None)


def test_a_pasted_key_has_no_line_end() -> None:
    assert api_key_from({"LLM_API_KEY": f" {KEY}\n"}) == KEY
    assert api_key_from({"LLM_API_KEY": " \n"}) is None
