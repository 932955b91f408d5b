"""What a server says went wrong, in the shapes that servers use. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "api_error": 500,
    "server_error": 500,
    "internal_server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status that belongs to an error's name, for errors that come inside a reply."""


@dataclass(frozen=True)
class Reported:
    """One error in a server's own words; "" and None where it says nothing."""

    message: str = ""
    code: str = ""
    """Its short name, such as `unsupported_parameter` or `overloaded_error`."""
    param: str = ""
    """The field of the request that is to blame."""
    status: int | None = None


class ReportedError(Exception):
    """An error stands where a reply should be, below an HTTP status that says all is well."""

    def __init__(self, reported: Reported) -> None:
        super().__init__(reported.message)
        self.reported = reported


def reported_in(data: object, status: int | None = None) -> Reported:
    """The error that a JSON value tells of. `status` is the HTTP status, where that is an error."""
    if not isinstance(data, Mapping):
        return Reported(status=status)
    error = data.get("error", data)
    if isinstance(error, str):
        return Reported(error, status=status)
    if not isinstance(error, Mapping):
        return Reported(status=status)
    message, param = _words(error)
    code = _text(error.get("code")) or _text(error.get("type"))
    return Reported(
        message,
        "" if code.isdigit() else code,
        _text(error.get("param")) or param,
        _status(error) if status is None else status,
    )


def tells_of_error(data: Mapping[str, object]) -> bool:
    """Whether an object is an error where a reply was expected."""
    return bool(data.get("error")) or data.get("type") == "error"


def _words(error: Mapping[str, object]) -> tuple[str, str]:
    """(message, the field it is about); a list of details is what validating frameworks send."""
    detail = error.get("message") or error.get("detail") or ""
    if not isinstance(detail, list):
        return _text(detail), ""
    items = [item for item in detail if isinstance(item, Mapping)]
    places = [place for item in items if isinstance(place := item.get("loc"), list) and place]
    message = "; ".join(text for item in items if (text := _text(item.get("msg"))))
    return message, _text(places[0][-1]) if places else ""


def _status(error: Mapping[str, object]) -> int | None:
    for name in ("code", "status", "statusCode", "status_code"):
        value = error.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    names = (_text(error.get("type")), _text(error.get("code")))
    return next((_STATUS_OF[name] for name in names if name in _STATUS_OF), None)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
