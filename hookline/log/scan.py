"""One place read once, from an offset on to its end as it stood: for commands, and for what is looked up now and then."""

import contextlib
from collections.abc import AsyncIterator

from hookline.errors import LogUnavailable, OffsetOutOfRange
from hookline.log.cluster import Cluster
from hookline.log.records import Place, RawRecord

__all__ = ["scan"]

POLL_S = 1.0
IDLE_POLLS = 30
"""Polls without a record that must be there after which reading is given up."""


async def scan(cluster: Cluster, place: Place, first: int = 0, until: int | None = None) -> AsyncIterator[RawRecord]:
    """Every record that lies there now, at `first` or later, and below `until` if it is given. Raises LogUnavailable."""
    async with contextlib.AsyncExitStack() as stack:
        offsets = await cluster.offsets()
        stack.push_async_callback(offsets.close)
        consumer = await cluster.consumer()
        stack.push_async_callback(consumer.close)
        at, end = max(first, (await offsets.starts([place]))[place]), (await offsets.ends([place]))[place]
        end = end if until is None else min(end, until)
        if at >= end:
            return
        consumer.assign({place: at})
        idle = 0
        while at < end:
            try:
                records = (await consumer.poll(POLL_S)).get(place, ())
            except OffsetOutOfRange as error:  # deleted since: whoever scans again is told where it begins now
                raise LogUnavailable(str(error)) from error
            idle = 0 if records else idle + 1
            if idle > IDLE_POLLS:
                raise LogUnavailable(f"{place.topic}[{place.partition}] gave nothing to read from {at} to {end}")
            for raw in records:
                at = raw.next_offset
                if raw.offset < end:
                    yield raw
