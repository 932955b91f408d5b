"""Usage is read tolerantly, estimated honestly, and adapters are told apart."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from rlm_core.adapters.base import ModelResponse, Usage, estimate_usage, identity_of, prompt_text


def test_usage_survives_a_round_trip_through_a_dict() -> None:
    usage = Usage(3, 4, 7)
    assert Usage.from_dict(usage.to_dict()) == usage


def test_a_missing_total_is_the_sum() -> None:
    assert Usage.from_dict({"prompt_tokens": 3, "completion_tokens": 4}) == Usage(3, 4, 7)


@pytest.mark.parametrize(
    "nonsense", [None, "many", True, [], float("nan"), float("inf"), -5, 1e300]
)
def test_a_count_that_is_no_count_reads_as_zero(nonsense: object) -> None:
    assert Usage.from_dict({"prompt_tokens": nonsense}) == Usage(0, 0, 0)


def test_an_estimate_counts_four_characters_a_token_and_never_zero() -> None:
    assert estimate_usage("x" * 40, "y" * 8) == Usage(10, 2, 12)
    assert estimate_usage("", "") == Usage(1, 1, 2)


def test_an_estimate_reads_messages_as_well_as_text() -> None:
    messages = [{"role": "system", "content": "x" * 19}, {"role": "user", "content": "y" * 20}]
    assert prompt_text(messages) == "x" * 19 + "\n" + "y" * 20
    assert estimate_usage(messages, "z" * 4) == Usage(10, 1, 11)


def test_public_data_is_frozen_yet_replaceable() -> None:
    response = ModelResponse("a", Usage(1, 1, 2))
    assert replace(response, text="b").text == "b"
    assert asdict(response)["usage"] == {
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "total_tokens": 2,
    }
    with pytest.raises(AttributeError):
        response.text = "c"  # ty: ignore[invalid-assignment]


class Named:
    identity = "named:one"


class Bare:
    model = "m1"


def test_an_identity_is_what_the_adapter_says_else_its_class_and_model() -> None:
    assert identity_of(Named()) == "named:one"
    assert identity_of(Bare()).endswith("Bare:m1")
    assert identity_of(Bare()) != identity_of(object())
