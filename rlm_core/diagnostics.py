"""What `RLM(rlm_diagnostics=True)` logs: sizes and kinds of what is said, never the text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rlm_core.adapters.base import identity_of
from rlm_core.conversation import tokens_in
from rlm_core.reply import Neither, Why
from rlm_core.tokens import estimate_tokens
from rlm_core.version import own_version

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from rlm_core.adapters.base import ModelAdapter, ModelResponse
    from rlm_core.reply import Reply
    from rlm_core.stimuli import Replied


class Diagnostics:
    """Writes lines `label={json}` at level DEBUG, if the caller asked for them."""

    def __init__(self, logger: logging.Logger, *, enabled: bool) -> None:
        self.logger = logger
        self._enabled = enabled

    def log(self, label: str, details: object = None) -> None:
        """Write one line."""
        if self._enabled:
            shown = json.dumps(details, default=str, sort_keys=True)
            self.logger.debug("%s=%s", label, shown)

    def run(self, root: ModelAdapter, sub: ModelAdapter) -> None:
        """What runs here."""
        if not self._enabled:
            return
        import platform

        self.log(
            "runtime_fingerprint",
            {
                "version": own_version() or "unknown",
                "python": platform.python_version(),
                "root_model": identity_of(root),
                "sub_model": identity_of(sub),
            },
        )

    def request(self, messages: Sequence[dict[str, str]], max_tokens: int, step: int) -> None:
        """What a model is about to be sent."""
        if not self._enabled:
            return
        self.log(
            "root_call request_meta",
            {
                "step": step,
                "messages_count": len(messages),
                "history_tokens_est": tokens_in(messages),
                "last_user_tokens_est": estimate_tokens(messages[-1]["content"]),
                "max_tokens": max_tokens,
            },
        )

    def response(self, reply: ModelResponse, step: int) -> None:
        """What it answered with."""
        if not self._enabled:
            return
        meta = reply.meta or {}
        self.log(
            "root_call response_meta",
            {
                "step": step,
                **reply.usage.to_dict(),
                "text_len": len(reply.text),
                "empty_text": not reply.text.strip(),
                "finish_reason": meta.get("finish_reason"),
                "content_kind": meta.get("content_kind", "unknown"),
                "reasoning_present": meta.get("reasoning_present"),
            },
        )

    def reading(self, read: Reply | None, replied: Replied, step: int) -> None:
        """Why a reply was neither code nor an answer."""
        if not self._enabled or not isinstance(read, Neither):
            return
        dry = read.why is Why.EMPTY and replied.finish_reason == "length"
        detail = "empty_content_length" if dry else f"{read.why}_content"
        self.log(
            "invalid_response_detail",
            {
                "detail": detail,
                "step": step,
                "finish_reason": replied.finish_reason,
                "text_len": len(replied.text),
            },
        )
