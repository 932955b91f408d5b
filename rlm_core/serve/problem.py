"""What a client is told when it gets no answer: OpenAI's shape, and nothing of this machine in it.

    Problem
    ├── BadRequest      400  the request itself; `param` is the place in it
    ├── KeyRequired     401  no key, or none that is known
    ├── Forbidden       403  asked by another name than this server goes by
    ├── NotFound        404  no such model, or no such address
    ├── MethodRefused   405
    ├── TooSlow         408  the request did not arrive in time
    ├── TooLarge        413
    ├── WrongMediaType  415  a page in a browser cannot send JSON without being asked to
    ├── NoAnswer        422  the run was stopped by a limit before it had an answer
    ├── Busy            429  no room now; `retry_after` says when to come again
    ├── QuotaUsedUp     429  the key has used what it may use
    ├── Failed          500  a mistake in this program, or no isolation on this host
    ├── UpstreamFailed  502  the model behind this server did not answer
    ├── Closing         503  this server is about to end
    └── TookTooLong     504  the deadline of the request

Messages say what the client can do. What failed inside is in the log, under the request's id.
"""

from __future__ import annotations

MESSAGE_CHARS, PARAM_CHARS = 2_000, 200
"""Of what a client sent, this much is said back to it."""


class Problem(Exception):
    """A request without an answer."""

    status = 500
    kind = "server_error"
    default_code: str | None = None
    worth_retrying = False
    """Whether the same request may do better a little later; clients that ask are told."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message[:MESSAGE_CHARS]
        self.param = None if param is None else param[:PARAM_CHARS]
        self.code = code or self.default_code
        self.retry_after = retry_after
        self.usage: dict[str, object] | None = None
        """What was used in vain, where something was."""

    def body(self) -> dict[str, object]:
        """The JSON object that is sent."""
        error = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        return {"error": error} if self.usage is None else {"error": error, "usage": self.usage}

    def headers(self) -> dict[str, str]:
        """What clients that try again by themselves look at."""
        told = {"x-should-retry": "true" if self.worth_retrying else "false"}
        if self.retry_after is not None:
            told["retry-after"] = str(max(1, round(self.retry_after)))
        return told


class BadRequest(Problem):
    """Something in the request."""

    status, kind = 400, "invalid_request_error"


class KeyRequired(Problem):
    """No key, or none that is known."""

    status, kind, default_code = 401, "invalid_request_error", "invalid_api_key"


class Forbidden(Problem):
    """The request was meant for somebody else."""

    status, kind, default_code = 403, "invalid_request_error", "unknown_host"


class NotFound(Problem):
    """No such model or address."""

    status, kind, default_code = 404, "invalid_request_error", "not_found"


class MethodRefused(Problem):
    """The address is there, and the method is another."""

    status, kind, default_code = 405, "invalid_request_error", "method_not_allowed"


class TooSlow(Problem):
    """The request did not arrive in time."""

    status, kind, default_code = 408, "invalid_request_error", "request_timeout"


class TooLarge(Problem):
    """The request has more bytes than are taken."""

    status, kind, default_code = 413, "invalid_request_error", "request_too_large"


class WrongMediaType(Problem):
    """The request is no JSON by its own account."""

    status, kind, default_code = 415, "invalid_request_error", "unsupported_media_type"


class NoAnswer(Problem):
    """A limit stopped the run before it had an answer."""

    status, kind, default_code = 422, "rlm_error", "no_answer"


class Busy(Problem):
    """There is no room now."""

    status, kind, default_code = 429, "rate_limit_error", "rate_limit_exceeded"
    worth_retrying = True


class QuotaUsedUp(Problem):
    """The key has used what it may use; trying again does not help before the period is over."""

    status, kind, default_code = 429, "insufficient_quota", "insufficient_quota"


class Failed(Problem):
    """A mistake of this server."""

    default_code = "internal_error"


class UpstreamFailed(Problem):
    """The model behind this server did not answer."""

    status, default_code = 502, "upstream_error"


class Closing(Problem):
    """This server is about to end; another one may answer."""

    status, default_code = 503, "shutting_down"
    worth_retrying = True


class TookTooLong(Problem):
    """The deadline of the request is over."""

    status, default_code = 504, "deadline_exceeded"
