"""Writes a bundle: everything that an audit reads, in the order in which it is judged; one chunk in memory at a time."""

from collections.abc import Callable
from typing import IO

from hookline.audit.bundle import LastLine
from hookline.audit.bundle_file import BundleWriter
from hookline.audit.order import in_step
from hookline.audit.source import Source
from hookline.log.records import Topic

__all__ = ["export"]


async def export(source: Source, file: IO[bytes], progress: Callable[[int], None]) -> tuple[LastLine, str]:
    """The last line with the hashes of every section, and its own hash. progress: told how many records were just written.

    Raises LogUnavailable; the file is then without its last line, and no bundle.
    """
    writer = BundleWriter(file, source.origin)
    for raw in source.pipelines:
        writer.add(raw)
    async for partition in source.partitions():
        while records := await partition.more(Topic.SNAPSHOTS):
            for raw in records:
                writer.add(raw)
        async for _, records in in_step(partition):
            for raw in records:
                writer.add(raw)
            progress(len(records))
    return writer.finish()
