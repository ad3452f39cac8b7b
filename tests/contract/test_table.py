"""The pipelines as a table: read your own writes, caught up to an end taken after the question (design section 2)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from hookline.chain.pipeline import Hook, LogId, Pipeline
from hookline.errors import LogUnavailable, Unavailable
from hookline.kafka.epoch import read_log_id
from hookline.log.cluster import Cluster
from hookline.log.codec import encode_setting
from hookline.log.table import PipelineTable
from hookline.log.writer import Writer
from hookline.testing.memory import MemoryCluster
from tests.contract.helpers import WITHIN_S, answered, append_draft
from tests.kit.events import START
from tests.kit.waiting import until

HOOK = Hook(id="h", key="k1", name="1", url="http://127.0.0.1/1", created_at=START, updated_at=START)


def pipeline(name: str, repository: str = "acme/app") -> Pipeline:
    return Pipeline(
        pipeline_id=name, repository=repository, name=name, slug=name, hooks=(HOOK,), created_at=START, updated_at=START
    )


async def run_for_ever(table: PipelineTable) -> None:
    """As the services do: a consumer that gave up is made anew, the table stays."""
    while True:
        with contextlib.suppress(LogUnavailable):
            await table.run()


async def caught_up(table: PipelineTable) -> int:
    return await answered(lambda: table.caught_up(WITHIN_S))


@pytest.fixture
async def table(cluster: Cluster) -> AsyncIterator[PipelineTable]:
    table = PipelineTable(cluster)
    running = asyncio.create_task(run_for_ever(table))
    await until(lambda: table.log_id is not None)
    yield table
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


@pytest.fixture
async def writer(cluster: Cluster) -> AsyncIterator[Writer]:
    writer = Writer(cluster)
    yield writer
    await writer.close()


async def put(writer: Writer, one: Pipeline) -> int:
    return await append_draft(writer, encode_setting(one, now_ms=START))


async def test_what_was_acked_before_the_question_is_in_the_table(writer: Writer, table: PipelineTable) -> None:
    """A 201 of the console is good for every push that begins after it."""
    for n in range(10):
        offset = await put(writer, pipeline(f"p{n}"))
        assert await caught_up(table) > offset
        assert table.pipelines[f"p{n}"] == pipeline(f"p{n}")
        assert table.position > table.offsets[f"p{n}"] >= offset


async def test_pipelines_of_a_repository(writer: Writer, table: PipelineTable) -> None:
    for one in (pipeline("a"), pipeline("b"), pipeline("c", "other/app")):
        await put(writer, one)
    await caught_up(table)
    assert [p.name for p in table.of_repository("acme/app")] == ["a", "b"]
    assert [p.name for p in table.of_repository("other/app")] == ["c"]
    assert table.of_repository("no/such") == ()


async def test_the_latest_record_of_a_pipeline_counts_and_a_tombstone_ends_it(
    writer: Writer, table: PipelineTable
) -> None:
    await put(writer, pipeline("a"))
    await put(writer, pipeline("a", "moved/app"))
    await caught_up(table)
    assert [p.name for p in table.of_repository("moved/app")] == ["a"]
    assert table.of_repository("acme/app") == ()
    await append_draft(writer, encode_setting(None, now_ms=START, pipeline_id="a"))
    await caught_up(table)
    assert table.pipelines == {}
    assert table.of_repository("moved/app") == ()


async def test_waiting_for_an_offset_ends_when_it_is_read(writer: Writer, table: PipelineTable) -> None:
    waiting = asyncio.create_task(table.wait_for(table.position + 1))
    await asyncio.sleep(0)
    assert not waiting.done()
    offset = await put(writer, pipeline("a"))
    assert await waiting == table.position >= offset + 1
    assert await table.wait_for(0) == table.position


async def test_a_table_that_does_not_run_says_so(cluster: Cluster) -> None:
    with pytest.raises(Unavailable, match="not read yet"):
        await PipelineTable(cluster).caught_up(1)


async def test_a_table_that_was_stopped_goes_on_where_it_was(cluster: Cluster, writer: Writer) -> None:
    table = PipelineTable(cluster)
    for name in ("a", "b"):
        offset = await put(writer, pipeline(name))
        running = asyncio.create_task(run_for_ever(table))
        await until(lambda: table.position > offset)  # noqa: B023
        running.cancel()
        await asyncio.wait({running})
        assert name in table.pipelines
    with pytest.raises(Unavailable):
        await table.caught_up(1)


async def test_a_new_epoch_is_seen_and_found(cluster: Cluster, table: PipelineTable, writer: Writer) -> None:
    before, made = table.log_id, uuid4()
    await append_draft(writer, encode_setting(LogId(log_id=made), now_ms=START))
    await caught_up(table)
    assert table.log_id == made != before
    assert await answered(lambda: read_log_id(cluster)) == made


async def test_without_a_log_id_none_is_found() -> None:
    empty = MemoryCluster(1)
    assert await read_log_id(empty) is None
    empty.append(encode_setting(pipeline("a"), now_ms=START))
    assert await read_log_id(empty) is None
