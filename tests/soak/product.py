"""What the product says of the same log: `hookline audit verify`, its own fold, and the console's rows."""

import sqlite3
from contextlib import closing

from hookline.audit.cluster_source import open_cluster
from hookline.audit.console import open_console
from hookline.audit.findings import Finding
from hookline.audit.verify import verify
from hookline.chain.fold import PartitionFold
from hookline.clock import SystemClock
from hookline.log.reader import PartitionReader
from hookline.log.records import LOGS, Positions
from hookline.log.skips import skip_of
from services.ingress.rereading import Rereader
from tests.soak.judge import Standing
from tests.soak.stage import PREFIX, Stage

__all__ = ["audit", "console_rows", "product_fold"]


async def audit(stage: Stage, *, settled: bool) -> tuple[list[str], int]:
    """The findings of `hookline audit verify --console`, and how many partitions had a checkpoint to compare (I6)."""
    found: list[Finding] = []
    with open_console(f"sqlite:///{stage.database}") as rows:
        source = await open_cluster(stage.cluster(), PREFIX, SystemClock())
        try:
            figures = await verify(source, found.append, console=rows, settled=settled, pushes=Rereader())
        finally:
            await source.close()
    return [f"audit {finding}" for finding in found], figures.checkpoints


async def product_fold(stage: Stage) -> dict[str, Standing | None]:
    """Chain id to its end, as the product's reader and fold have it."""
    chains: dict[str, Standing | None] = {}
    source = await open_cluster(stage.cluster(), PREFIX, SystemClock())
    try:
        async for partition in source.partitions():
            reader, fold = PartitionReader(partition.number, Positions()), PartitionFold(keep_ended=True)
            for topic in LOGS:
                while records := await partition.more(topic):
                    reader.offer(topic, records)
                    for skip in filter(None, map(skip_of, records)):
                        reader.skip(skip)
            for read in reader.read():
                if read.valid:
                    fold.fold(read.record.event, read.record.offset, read.record.timestamp)
            for chain in fold.chains.values():
                end = chain.ending
                chains[chain.id] = None if end is None else (str(end.reason or "completed"), end.step)
    finally:
        await source.close()
    return chains


def console_rows(stage: Stage) -> dict[str, Standing | None]:
    """Chain id to its end, as the console's database has it."""
    with closing(sqlite3.connect(f"file:{stage.database}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT id, status, reason, step FROM hookline_chains").fetchall()
    return {id: None if status == "pending" else (reason or "completed", step) for id, status, reason, step in rows}
