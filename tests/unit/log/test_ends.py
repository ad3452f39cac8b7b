"""End offsets for many requests at once: shared, and never from before a question."""

import asyncio
from collections.abc import Iterable

import pytest

from hookline.errors import LogUnavailable
from hookline.log.cluster import Commit, Offsets
from hookline.log.ends import SharedEnds
from hookline.log.records import Place, Topic

HERE = Place(Topic.CALLBACKS, 0)


class Gated:
    """Answers with the number of the question, when it is let through."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Semaphore(0)

    async def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        self.asked += 1
        number = self.asked
        await self.gate.acquire()
        return dict.fromkeys(places, number)

    async def starts(self, places: Iterable[Place]) -> dict[Place, int]:
        raise NotImplementedError

    async def committed(self, group: str, places: Iterable[Place]) -> dict[Place, Commit]:
        raise NotImplementedError

    async def delete_below(self, place: Place, offset: int) -> None:
        raise NotImplementedError

    async def close(self) -> None: ...


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_that_wait_share_the_next_question_and_none_gets_an_answer_from_before_its_own() -> None:
    offsets = Gated()
    ends = SharedEnds(offsets, [HERE])
    first = asyncio.create_task(ends.now())
    await turns()
    later = [asyncio.create_task(ends.now()) for _ in range(50)]
    await turns()
    assert offsets.asked == 1, "one under way, the others wait for the next"
    offsets.gate.release()
    await turns()
    assert (await first)[HERE] == 1
    assert offsets.asked == 2
    last = asyncio.create_task(ends.now())
    offsets.gate.release()
    assert {answer[HERE] for answer in await asyncio.gather(*later)} == {2}
    offsets.gate.release()
    assert (await last)[HERE] == 3


async def test_only_what_somebody_waits_for_is_asked() -> None:
    offsets, there = Gated(), Place(Topic.DELIVERIES, 7)
    ends = SharedEnds(offsets, [HERE, there])
    first = asyncio.create_task(ends.now([HERE]))
    await turns()
    both = [asyncio.create_task(ends.now([place])) for place in (there, HERE)]
    last = asyncio.create_task(ends.now())
    offsets.gate.release()
    assert await first == {HERE: 1}
    offsets.gate.release()
    assert await asyncio.gather(*both, last) == [{HERE: 2, there: 2}] * 3
    again = asyncio.create_task(ends.now([there]))
    offsets.gate.release()
    assert await again == {there: 3}


async def test_who_goes_away_takes_nothing_from_the_others() -> None:
    offsets = Gated()
    ends = SharedEnds(offsets, [HERE])
    impatient, patient = asyncio.create_task(ends.now()), asyncio.create_task(ends.now())
    await turns()
    impatient.cancel()
    await turns()
    offsets.gate.release()
    assert await patient == {HERE: 1}


async def test_no_answer_in_time_is_unavailable_and_the_next_question_is_asked_anew() -> None:
    offsets: Offsets = Gated()
    ends = SharedEnds(offsets, [HERE], timeout_s=0.01)
    for _ in range(2):
        with pytest.raises(LogUnavailable, match="no end offsets"):
            await ends.now()
