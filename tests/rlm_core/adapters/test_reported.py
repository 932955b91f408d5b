"""What a server says went wrong is found in every shape that servers use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_core.adapters.reported import Reported, reported_in, tells_of_error


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"error": {"message": "no", "code": "c"}}, Reported("no", "c")),
        ({"error": {"message": "no", "type": "t", "code": None}}, Reported("no", "t")),
        (
            {"error": {"message": "no", "code": "unsupported_value", "param": "temperature"}},
            Reported("no", "unsupported_value", "temperature"),
        ),
        ({"error": "no"}, Reported("no")),
        ({"detail": "no"}, Reported("no")),
        ({"message": "no"}, Reported("no")),
        (
            {"detail": [{"loc": ["body", "temperature"], "msg": "extra"}, {"msg": "more"}]},
            Reported("extra; more", "", "temperature"),
        ),
        ({"error": [1]}, Reported()),
        ([], Reported()),
    ],
)
def test_a_servers_own_words_are_found(data: object, found: Reported) -> None:
    assert reported_in(data) == found


@pytest.mark.parametrize(
    ("data", "status"),
    [
        # Anthropic
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 529),
        ({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}, 429),
        ({"type": "error", "error": {"type": "authentication_error", "message": "key"}}, 401),
        # OpenAI and its like
        ({"error": {"message": "no", "type": "server_error", "code": None}}, 500),
        ({"error": {"message": "no", "code": 502}}, 502),
        ({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}, 400),
        # Azure and its gateway
        ({"error": {"code": "404", "message": "Resource not found"}}, 404),
        ({"error": {"code": "content_filter", "status": 400, "message": "filtered"}}, 400),
        ({"statusCode": 401, "message": "Access denied"}, 401),
        # nothing that is a status
        ({"error": {"code": 7, "message": "no"}}, None),
        ({"error": {"code": "DeploymentNotFound", "message": "no"}}, None),
    ],
)
def test_the_status_that_belongs_to_an_error_is_found(data: object, status: int | None) -> None:
    assert reported_in(data).status == status


def test_the_status_of_http_is_the_one_that_counts() -> None:
    assert reported_in({"error": {"code": 400, "message": "no"}}, 503).status == 503
    assert reported_in([], 503).status == 503
    assert reported_in({"error": "no"}, 503) == Reported("no", status=503)


def test_an_error_is_told_from_a_reply() -> None:
    assert tells_of_error({"error": "no"})
    assert tells_of_error({"type": "error"})
    assert not tells_of_error({"error": None, "type": "message"})


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "loc", "msg", "code", "type", "param"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_without_failing(data: object) -> None:
    found = reported_in(data)
    assert isinstance(found.message + found.code + found.param, str)
