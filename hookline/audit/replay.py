"""Runs over a log: its story, entry by entry, and every chain as it stood at a moment."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from hookline.audit.history import Facts, PartitionHistory
from hookline.audit.source import PartitionSource, Source
from hookline.audit.story import Entry, Selection, Story
from hookline.audit.walk import Stop, Walk
from hookline.chain.state import Chain

__all__ = ["Left", "Run", "Stood", "replay", "stood"]

Progress = Callable[[int], None]


@dataclass
class Run:
    """What became of a run. `passed`: records about chains that are not in the log any more. `stops`: by partition, where
    reading stopped at a record that no reader gets past, and how many records lie behind it."""

    records: int = 0
    passed: int = 0
    stops: dict[int, tuple[Stop, int]] = field(default_factory=dict)


class Left(NamedTuple):
    """A chain that nothing more is told of: over long ago, or the log is at its end."""

    chain: Chain


class Stood(NamedTuple):
    """A chain at that moment. `whole`: False where the log begins later than the chain."""

    partition: int
    chain: Chain
    whole: bool


async def replay(source: Source, selection: Selection, run: Run, progress: Progress) -> AsyncIterator[Entry | Left]:
    """Every entry that is selected, partition by partition; `Left` for each of their chains.

    progress: told how many records were just read. Raises LogUnavailable, BundleBroken.
    """
    async for partition in source.partitions(selection.partitions(source.origin.partitions)):
        left: list[Left] = []
        told: set[str] = set()

        def forget(chain: Chain, facts: Facts, left: list[Left] = left, told: set[str] = told) -> None:
            if chain.id in told:
                told.discard(chain.id)
                left.append(Left(chain))

        history = PartitionHistory(partition.extent.starts, forget=forget, kept_ended=1_000)
        story = Story(history)
        walk = Walk(partition, taken_at=source.origin.taken_at, until=selection.until)
        async for reads in walk.reads():
            for read in reads:
                for entry in story.take(read):
                    if selection.has(entry):
                        if entry.chain is not None:
                            told.add(entry.chain.id)
                        yield entry
                while left:
                    yield left.pop(0)
            run.records += len(reads)
            progress(len(reads))
        history.finish()
        for gone in left:
            yield gone
        run.passed += story.passed
        _note_stop(run, partition, walk)


async def stood(source: Source, selection: Selection, run: Run, progress: Progress) -> AsyncIterator[list[Stood]]:
    """Every chain that is selected as it stood at `selection.until`, those that were over included, a few at a time.

    progress: told how many records were just read. Raises LogUnavailable, BundleBroken.
    """
    async for partition in source.partitions(selection.partitions(source.origin.partitions)):
        gone: list[Stood] = []

        def forget(chain: Chain, facts: Facts, gone: list[Stood] = gone, number: int = partition.number) -> None:
            if selection.is_of(chain):
                gone.append(Stood(number, chain, facts.whole))

        history = PartitionHistory(partition.extent.starts, forget=forget, kept_ended=0)
        walk = Walk(partition, taken_at=source.origin.taken_at, until=selection.until)
        async for reads in walk.reads():
            for read in reads:
                history.take(read)
            run.records += len(reads)
            progress(len(reads))
            yield gone[:]
            gone.clear()
        history.finish()
        yield gone[:]
        _note_stop(run, partition, walk)


def _note_stop(run: Run, partition: PartitionSource, walk: Walk) -> None:
    if walk.stopped is not None:
        run.stops[partition.number] = (walk.stopped, walk.left)
