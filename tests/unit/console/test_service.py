"""The console as a service: waiting for Kafka, standing by, rebuilding, refusing what it must not read."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from hookline.chain.ids import ChainId
from hookline.clock import SystemClock
from hookline.errors import ConfigError, DatabaseBroken, ForeignLog, OffsetOutOfRange, TopicsUnfit, Unavailable
from hookline.log.reader_status import READER_STATE, State
from hookline.log.records import LOGS, Draft, Place, Topic
from hookline.log.watch import LogState
from hookline.settings import Settings
from hookline.testing.memory import MemoryCluster
from services.console.fit import compare
from services.console.readmodel import model
from services.console.readmodel.database import Database, open_database
from services.console.readmodel.schema import METADATA, chains, meta, pushes
from services.console.rebuild import ends_now, rebuild
from services.console.service import Console
from tests.kit.waiting import until
from tests.metric_values import value_of
from tests.unit.console.histories import LOG_ID, History, fill, plan, push
from tests.unit.console.running import KEY, PARTITIONS, PASSWORD


def logs(number: int = 20) -> MemoryCluster:
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    history.begin()
    for _ in fill(history, 1, number):
        pass
    return cluster


def complete(settings: Settings) -> Settings:
    return settings.model_copy(update={"master_keys": Settings(master_keys=[KEY]).master_keys} | password())


def password() -> dict[str, object]:
    return {"admin_password": Settings(admin_password=PASSWORD).admin_password}


class HastyClock(SystemClock):
    """Time goes by a hundred times faster."""

    def monotonic(self) -> float:
        return 100 * super().monotonic()


@contextlib.asynccontextmanager
async def started(
    settings: Settings, cluster: MemoryCluster, log_id: UUID = LOG_ID, clock: SystemClock | None = None
) -> AsyncIterator[Console]:
    async def check_log() -> LogState:
        return LogState(log_id)

    console = Console(complete(settings), clock or SystemClock(), cluster, check_log)
    await console.start()
    try:
        yield console
    finally:
        await console.stop()


def dump(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in METADATA.sorted_tables
        }


def records(cluster: MemoryCluster) -> int:
    return sum(cluster.end(Place(topic, p)) for topic in LOGS for p in range(PARTITIONS))


async def test_ready_says_how_far_it_is(tmp_path: Path) -> None:
    cluster = logs()
    cluster.down = True
    async with started(Settings(data_dir=tmp_path), cluster) as console:
        assert not console.ready().ok
        await until(lambda: "no broker answers" in console.ready().detail)
        assert console.live().ok
        cluster.down = False
        await until(lambda: console.ready().ok)
        assert console.ready().detail == f"read all {records(cluster):,} records"


async def test_topics_that_do_not_fit_end_it(tmp_path: Path) -> None:
    async def check_log() -> LogState:
        raise TopicsUnfit("there is no topic pushes")

    console = Console(complete(Settings(data_dir=tmp_path)), SystemClock(), logs(), check_log)
    await console.start()
    with pytest.raises(TopicsUnfit):
        await asyncio.wait_for(console.wait(), 10)
    await console.stop()


@pytest.mark.parametrize("topic", [*LOGS, Topic.PIPELINES])
async def test_a_topic_that_is_made_anew_ends_it_and_the_next_start_says_what_to_do(
    tmp_path: Path, topic: Topic
) -> None:
    """What it holds, in memory and in its database, is of records that are gone."""
    settings, cluster = Settings(data_dir=tmp_path), logs()
    async with started(settings, cluster) as console:
        await until(lambda: console.ready().ok)
        cluster.make_anew(topic)
        with pytest.raises(OffsetOutOfRange if topic is Topic.PIPELINES else ForeignLog, match=topic):
            await asyncio.wait_for(console.wait(), 10)
    if topic is Topic.PIPELINES:  # `topics create` writes another log_id: see below
        return
    async with started(settings, cluster) as console:
        with pytest.raises(ForeignLog, match=f"has read {topic}.*--rebuild"):
            await asyncio.wait_for(console.wait(), 10)


async def test_a_record_whose_cause_is_lost_stops_its_partition_and_no_other_until_the_cause_is_there(
    tmp_path: Path,
) -> None:
    cluster = logs()
    writing = History(cluster, PARTITIONS)
    here = next(
        p for p in (push(number, (plan(),)) for number in range(1000, 2000)) if writing.partition_of(p.push_id) == 1
    )
    there = next(
        p for p in (push(number, (plan(),)) for number in range(1000, 2000)) if writing.partition_of(p.push_id) == 2
    )
    end = cluster.end(Place(Topic.PUSHES, 1))
    settings = Settings(data_dir=tmp_path)
    with capture_logs() as lines:
        async with started(settings, cluster, clock=HastyClock()) as console:
            await until(lambda: console.ready().ok)
            writing.verdict(ChainId(here.push_id, end, 0, 0), 1)
            said = f"stopped: callbacks[1]@{cluster.end(Place(Topic.CALLBACKS, 1)) - 1} rests on pushes[1]@{end}"
            await until(lambda: said in console.ready().detail)
            assert console.ready().ok
            assert value_of(READER_STATE.labels("console", 1)) == State.LOST
            writing.push(there)
            done = records(cluster) - 1
            await until(lambda: f"read all {done:,} records; partition 1: stopped: " in console.ready().detail)
            writing.push(here)
            await until(lambda: console.ready().detail == f"read all {records(cluster):,} records")
            assert value_of(READER_STATE.labels("console", 1)) == State.CURRENT
    assert [line["event"] for line in lines if line["log_level"] == "error"] == [
        "partition stopped: the cause of a record is lost"
    ]


async def test_records_that_rest_on_pushes_that_are_gone_end_a_rebuild_with_what_to_do(tmp_path: Path) -> None:
    cluster = logs()
    cluster.make_anew(Topic.PUSHES)
    with pytest.raises(Unavailable, match=r"rests on pushes\[\d\]@\d+, and pushes\[\d\] ends at 0"):
        await rebuilt(Settings(data_dir=tmp_path), cluster, clock=HastyClock())


async def test_what_an_operator_must_mend_is_said_and_sends_nobody_away(tmp_path: Path) -> None:
    """What there is can be read, whatever may be written."""

    async def check_log() -> LogState:
        return LogState(
            LOG_ID, ("x.commands has max.message.bytes=5",), ("Kafka does not let us write to x.pipelines",)
        )

    console = Console(complete(Settings(data_dir=tmp_path)), SystemClock(), logs(), check_log)
    await console.start()
    await until(lambda: console.ready().ok)
    for words in ("x.commands has max.message.bytes=5", "Kafka does not let us write to x.pipelines"):
        assert words in console.ready().detail
    await console.stop()


async def test_another_log_ends_it_in_words(tmp_path: Path) -> None:
    settings, cluster = Settings(data_dir=tmp_path), logs()
    async with started(settings, cluster) as console:
        await until(lambda: console.ready().ok)
    async with started(settings, cluster, uuid4()) as console:
        with pytest.raises(ForeignLog, match="--rebuild"):
            await asyncio.wait_for(console.wait(), 10)


async def test_a_setting_that_cannot_be_read_stops_the_pipelines_and_is_named(tmp_path: Path) -> None:
    cluster = logs()
    cluster.append(Draft(Place(Topic.PIPELINES, 0), b"p", b"{}", {"ce_type": b"hookline.Pipeline.v9"}))
    async with started(Settings(data_dir=tmp_path), cluster) as console:
        await until(lambda: "pipelines stopped: pipelines[0]@1: " in console.ready().detail)
        assert not console.ready().ok
        assert console.live().ok


BROKEN = {
    "no database": b"this is no database, and was never one" * 100,
    "cut off": None,
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_broken_database_ends_it_in_words_and_a_rebuild_mends_it(tmp_path: Path, how: str) -> None:
    settings, cluster = Settings(data_dir=tmp_path), logs()
    async with started(settings, cluster) as console:
        await until(lambda: console.ready().ok)
    for beside in ("-wal", "-shm"):
        (tmp_path / f"console.sqlite3{beside}").unlink(missing_ok=True)
    file = tmp_path / "console.sqlite3"
    file.write_bytes(BROKEN[how] or file.read_bytes()[: 3 * 4096] + bytes(4096))
    async with started(settings, cluster) as console:
        with pytest.raises(DatabaseBroken, match=r"console.sqlite3 is broken \(.*\). Rebuild it: python -m"):
            await asyncio.wait_for(console.wait(), 10)
    assert (await rebuilt(settings, cluster))[-1].startswith("rebuilt: ")
    async with started(settings, cluster) as console:
        await until(lambda: console.ready().ok)


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "nonsense", "sqlite://", "sqlite:///:memory:", "postgresql+nothing://x/y"]
)
def test_a_database_url_of_no_use(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="HOOKLINE_DATABASE_URL"):
        open_database(Settings(data_dir=tmp_path, database_url=url))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        open_database(Settings(data_dir=tmp_path / "file"))


def test_nobody_else_reads_the_file(tmp_path: Path) -> None:
    database = open_database(Settings(data_dir=tmp_path))
    with database.write() as connection:
        METADATA.create_all(connection)
        files = [*tmp_path.glob("console.sqlite3*")]
        assert len(files) == 3, "the write-ahead log, too"
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    database.close()


async def test_of_two_on_one_database_one_writes_and_the_other_takes_over(database_settings: Settings) -> None:
    cluster = logs()
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(started(database_settings, cluster))
        await until(lambda: first.ready().ok)
        async with started(database_settings, cluster) as second:
            await until(lambda: second.ready().ok)
            assert "standing by" in second.ready().detail
            History(cluster, PARTITIONS).push(push(1000, (plan(),)))
            await until(lambda: second.ready().detail.endswith(f"read all {records(cluster):,} records"))
            await stack.aclose()
            History(cluster, PARTITIONS).push(push(1001, (plan(),)))
            await until(lambda: second.ready().detail == f"read all {records(cluster):,} records")


async def test_a_database_that_fails_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, save, failed = logs(), model.save_rows, []

    def fails_once(*args: object) -> None:
        save(*args)  # type: ignore[arg-type]
        if not failed:
            failed.append(1)
            raise OperationalError("x", {}, Exception("disk I/O error"))

    monkeypatch.setattr(model, "save_rows", fails_once)
    async with started(Settings(data_dir=tmp_path), cluster) as console:
        await until(lambda: "disk I/O error" in console.ready().detail)
        await until(lambda: console.ready().ok)
    assert failed


async def rebuilt(
    settings: Settings, cluster: MemoryCluster, log_id: UUID = LOG_ID, clock: SystemClock | None = None
) -> list[str]:
    async def check_log() -> LogState:
        return LogState(log_id)

    database, said = open_database(settings), list[str]()
    await asyncio.wait_for(rebuild(database, cluster, check_log, clock or SystemClock(), said.append), 20)
    database.close()
    return said


@pytest.mark.parametrize("is_running", [False, True])
async def test_rebuild_with_and_without_a_running_console(
    database_settings: Settings, database: Database, is_running: bool
) -> None:
    cluster = logs()
    async with contextlib.AsyncExitStack() as stack:
        console = await stack.enter_async_context(started(database_settings, cluster))
        await until(lambda: console.ready().ok)
        expected = dump(database)
        if not is_running:
            await stack.aclose()
        with database.write() as connection:
            connection.execute(update(chains).values(status="wrong"))
        said = await rebuilt(database_settings, cluster)
        assert said[-1] == f"rebuilt: {records(cluster):,} records read"
        assert dump(database) == expected


async def test_rebuild_mends_another_log(database_settings: Settings, database: Database) -> None:
    cluster, other = logs(), uuid4()
    await rebuilt(database_settings, cluster)
    await rebuilt(database_settings, cluster, other)
    with database.read() as connection:
        assert connection.scalar(select(meta.c.value).where(meta.c.key == "log_id")) == str(other)
    async with started(database_settings, cluster, other) as console:
        await until(lambda: console.ready().ok)


async def test_rebuild_says_what_stops_it(tmp_path: Path) -> None:
    cluster = logs()
    cluster.append(Draft(Place(Topic.PUSHES, 1), b"k", b"{}", {"ce_type": b"hookline.New.v9"}))
    with pytest.raises(Exception, match=r"pushes\[1\]@"):
        await rebuilt(Settings(data_dir=tmp_path), cluster)


async def test_a_record_that_is_set_aside_is_named_by_readiness_by_a_rebuild_and_by_the_check(
    database_settings: Settings,
) -> None:
    """The service is ready, before and after a restart; what came behind it is there."""
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    history.begin()
    odd = push(1, (plan().model_copy(update={"n": 2**40}),))
    history.push(odd)
    (chain,) = history.push(push(1, (plan(),), received_at=history.now, window_s=0))
    place = f"pushes[{history.partition_of(odd.push_id)}]@0"
    named = f"{place} is set aside: n is a number that is too large"
    for _ in range(2):
        async with started(database_settings, cluster) as console:
            await until(lambda: console.ready().ok)
            assert console.ready().troubles == (named,)
    said = await rebuilt(database_settings, cluster)
    assert said[-2:] == [f"rebuilt: {records(cluster):,} records read", named]
    database = open_database(database_settings)
    assert compare(database, LogState(LOG_ID), await ends_now(cluster)).endswith(
        f", 0 records behind, 1 set aside: {place}: n is a number that is too large"
    )
    with database.read() as connection:
        assert chain.offset in set(connection.scalars(select(pushes.c.offset)))
    database.close()
