"""OpenAI and the many servers that speak its chat API, found through the usual environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rlm_core.adapters.environment import api_key_from, base_url_from
from rlm_core.adapters.generic_chat import GenericChatAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping

OPENAI_URL = "https://api.openai.com/v1"


class OpenAICompatAdapter(GenericChatAdapter):
    """A model at an OpenAI-compatible server (OpenAI, Ollama, vLLM, llama.cpp, LM Studio, ...).

    Without `base_url` and `api_key` the environment is asked: LLM_BASE_URL, OPENAI_BASE_URL,
    LLM_API_KEY, OPENAI_API_KEY. Retries, times, errors, `stream` and `options` (for example
    `{"reasoning_effort": "low"}`) are those of `GenericChatAdapter`.
    """

    def __init__(
        self,
        *,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 60.0,
        max_retries: int = 3,
        deadline: float = 600.0,
        stream: bool = False,
        options: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(
            base_url=base_url or base_url_from(os.environ) or OPENAI_URL,
            model=model,
            api_key=api_key or api_key_from(os.environ),
            timeout=timeout,
            max_retries=max_retries,
            deadline=deadline,
            stream=stream,
            options=options,
        )
