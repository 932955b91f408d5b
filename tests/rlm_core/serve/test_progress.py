from __future__ import annotations

import asyncio
import threading

from rlm_core.events import RLMEvent
from rlm_core.serve.progress import Progress


def test_the_last_state_is_told_however_much_happened_since() -> None:
    async def scene() -> tuple[str, str]:
        progress = Progress()

        def work() -> None:
            for number in range(1000):
                progress.handle(RLMEvent("step_completed", total_steps=number, tokens_used=5))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        first = await progress.next(60)
        return first, await progress.next(0.01)

    said, again = asyncio.run(scene())
    assert said == again == "999 steps, 0 subcalls, 5 tokens"


def test_where_nothing_happens_the_same_is_told_again() -> None:
    async def scene() -> str:
        return await Progress().next(0.01)

    assert asyncio.run(scene()) == "working"
