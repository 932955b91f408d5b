from __future__ import annotations

import asyncio

import pytest

from rlm_core.serve.lane import Lane
from rlm_core.serve.problem import Busy, Closing


def test_so_many_have_a_turn_and_the_next_one_comes_when_one_is_given_back() -> None:
    async def scene() -> list[str]:
        lane, order = Lane("x", turns=1, places=5), []
        first = await lane.turn(60)

        async def other(name: str) -> None:
            turn = await lane.turn(60)
            order.append(name)
            turn.give_back()

        waiting = [asyncio.ensure_future(other(name)) for name in "abc"]
        await asyncio.sleep(0)
        assert (lane.running, lane.queued, order) == (1, 3, [])
        first.give_back()
        first.give_back()  # a second time changes nothing
        await asyncio.gather(*waiting)
        assert (lane.running, lane.queued) == (0, 0)
        return order

    assert asyncio.run(scene()) == ["a", "b", "c"]


def test_a_full_queue_says_when_to_come_again() -> None:
    async def scene() -> None:
        lane = Lane("x", turns=1, places=1)
        turn = await lane.turn(60)
        waiting = asyncio.ensure_future(lane.turn(60))
        await asyncio.sleep(0)
        with pytest.raises(Busy) as caught:
            await lane.turn(60)
        assert caught.value.retry_after is not None
        assert 1 <= caught.value.retry_after <= 60
        turn.give_back()
        (await waiting).give_back()

    asyncio.run(scene())


def test_whoever_waits_too_long_is_told_to_come_later_and_has_left_the_queue() -> None:
    async def scene() -> None:
        lane = Lane("x", turns=1, places=1)
        turn = await lane.turn(60)
        with pytest.raises(Busy):
            await lane.turn(0.01)
        assert lane.queued == 0
        turn.give_back()
        (await lane.turn(60)).give_back()

    asyncio.run(scene())


def test_whoever_goes_leaves_the_queue_and_loses_no_turn() -> None:
    async def scene() -> None:
        lane = Lane("x", turns=1, places=5)
        turn = await lane.turn(60)
        gone = asyncio.ensure_future(lane.turn(60))
        late = asyncio.ensure_future(lane.turn(60))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait({gone})
        assert lane.queued == 1
        turn.give_back()  # it is given to the other one,
        late.cancel()  # who goes at that very moment
        await asyncio.wait({late})
        assert (lane.running, lane.queued) == (0, 0)
        (await lane.turn(60)).give_back()

    asyncio.run(scene())


def test_a_closed_lane_turns_those_away_who_wait_and_lets_those_end_who_run() -> None:
    async def scene() -> None:
        lane = Lane("x", turns=1, places=5)
        turn = await lane.turn(60)
        waiting = asyncio.ensure_future(lane.turn(60))
        await asyncio.sleep(0)
        lane.close()
        with pytest.raises(Closing):
            await waiting
        with pytest.raises(Closing):
            await lane.turn(60)
        assert lane.running == 1
        turn.give_back()
        assert lane.running == 0

    asyncio.run(scene())
