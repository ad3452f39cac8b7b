"""Work of a service that goes on side by side, and that has to end together."""

import asyncio
from collections.abc import Coroutine

__all__ = ["until_one_ends"]


async def until_one_ends(*works: Coroutine[None, None, None]) -> None:
    """Until the first of them ends, or this is cancelled: then all are. Raises what that one raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
