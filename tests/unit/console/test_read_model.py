"""The projection on SQLite and PostgreSQL: the same rows however it was read, and never another fold than the core's."""

from contextlib import contextmanager
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update

from hookline.chain.events import Verdict
from hookline.chain.fold import PartitionFold
from hookline.chain.state import Chain
from hookline.errors import ForeignLog, Unavailable
from hookline.log.codec import decode
from hookline.log.reader import PartitionReader
from hookline.log.records import LOGS, Draft, Place, Positions, Topic
from hookline.log.skips import Skip
from hookline.testing.memory import MemoryCluster
from services.console.readmodel.database import Database, ask_for_rebuild
from services.console.readmodel.model import ReadModel
from services.console.readmodel.schema import METADATA, chains, events, meta, positions, pushes
from services.console.readmodel.standing import standing
from services.console.readmodel.store import load_chains
from tests.unit.console.histories import LOG_ID, History, fill, plan, push
from tests.unit.log.faulty_fold import fault_in_fold

PARTITIONS = 3
Dump = dict[str, list[tuple[Any, ...]]]


def ends(cluster: MemoryCluster) -> dict[int, Positions]:
    return {p: Positions(*(cluster.end(Place(t, p)) for t in LOGS)) for p in range(PARTITIONS)}


def starts() -> dict[int, Positions]:
    return {p: Positions() for p in range(PARTITIONS)}


@contextmanager
def opened(database: Database, cluster: MemoryCluster, **held: int) -> Any:
    model = ReadModel(database, **held)
    assert model.lock()
    try:
        model.open(LOG_ID, starts(), ends(cluster))
        yield model
    finally:
        model.release()


def offer(model: ReadModel, cluster: MemoryCluster, random: Random | None = None) -> None:
    """Everything that is in the log, or a random part of each topic."""
    for partition, projection in model.projections.items():
        for topic in LOGS:
            records = cluster.log(Place(topic, partition))
            known = projection.reader.next_fetch(topic)
            most = len(records) if random is None else random.randint(known, len(records))
            projection.reader.offer(topic, records[:most])


def read_all(model: ReadModel, cluster: MemoryCluster) -> None:
    offer(model, cluster)
    while model.project(range(PARTITIONS)):
        pass


def dump(database: Database) -> Dump:
    """Every row of every table."""
    with database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in METADATA.sorted_tables
        }


def made(seed: int = 1, number: int = 60) -> MemoryCluster:
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    history.begin()
    for _ in fill(history, seed, number):
        pass
    return cluster


def one_pass(database: Database, cluster: MemoryCluster) -> Dump:
    with opened(database, cluster) as model:
        read_all(model, cluster)
    rows = dump(database)
    with database.write() as connection:
        METADATA.drop_all(connection)
    return rows


def full_fold(cluster: MemoryCluster) -> dict[str, Chain]:
    """All chains by the pure fold alone."""
    found: dict[str, Chain] = {}
    for partition in range(PARTITIONS):
        reader, fold = PartitionReader(partition, Positions()), PartitionFold(keep_ended=True, keep_payload=False)
        for topic in LOGS:
            reader.offer(topic, cluster.log(Place(topic, partition)))
        for record, valid in reader.read():
            if valid:
                fold.fold(record.event, record.offset, record.timestamp)
        found |= fold.chains
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_rows_are_what_the_fold_says(database: Database, seed: int) -> None:
    cluster = made(seed)
    with opened(database, cluster) as model:
        read_all(model, cluster)
    expected = full_fold(cluster)
    with database.read() as connection:
        assert load_chains(connection, expected) == expected
        rows = {row.id: row for row in connection.execute(select(chains))}
    assert rows.keys() == expected.keys()
    for chain_id, chain in expected.items():
        row = rows[chain_id]
        assert (row.step, row.status, row.reason, row.ended_at) == standing(chain)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_restarts_small_batches_and_a_small_memory_give_the_same_rows(
    database: Database, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, random = made(seed), Random(seed)
    expected = one_pass(database, cluster)
    monkeypatch.setattr("services.console.readmodel.model.BATCH", 7)
    restarts = count()
    while next(restarts) < 1000:
        held = random.choice((1, 2, 100))
        with opened(database, cluster, chains_held=PARTITIONS * held) as model:
            for _ in range(random.randint(1, 6)):
                offer(model, cluster, random)
                model.project(random.sample(range(PARTITIONS), random.randint(1, PARTITIONS)))
                assert all(projection.held <= held for projection in model.projections.values())
            if model.positions() == ends(cluster):
                break
    assert next(restarts) > 5
    assert dump(database) == expected


def test_what_is_offered_again_is_written_once(database: Database) -> None:
    cluster = made()
    expected = one_pass(database, cluster)
    for _ in range(2):
        with opened(database, cluster) as model:
            for partition, projection in model.projections.items():
                for topic in LOGS:
                    projection.reader.offer(topic, cluster.log(Place(topic, partition)))
                    projection.reader.offer(topic, cluster.log(Place(topic, partition)))
            while model.project(range(PARTITIONS)):
                pass
            assert model.project(range(PARTITIONS)) == 0
    assert dump(database) == expected


def test_a_batch_that_fails_leaves_nothing_behind(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = made()
    expected = one_pass(database, cluster)
    with opened(database, cluster) as model:
        before = dump(database)
        offer(model, cluster)
        with monkeypatch.context() as patched:
            patched.setattr("services.console.readmodel.store._MOVE", update(positions).values(nothing=1))
            with pytest.raises(Exception, match="nothing"):
                model.project(range(PARTITIONS))
        assert dump(database) == before
    with opened(database, cluster) as model:
        read_all(model, cluster)
    assert dump(database) == expected


def test_a_rebuild_gives_the_same_rows(database: Database) -> None:
    cluster = made()
    with opened(database, cluster) as model:
        read_all(model, cluster)
        expected = dump(database)
    with database.write() as connection:
        ask_for_rebuild(connection)
        connection.execute(update(chains).values(status="wrong"))
    with opened(database, cluster) as model:
        assert not model.rebuild_asked()
        assert set(model.positions().values()) == {Positions()}
        read_all(model, cluster)
    assert dump(database) == expected


def test_another_schema_version_is_dropped_and_rebuilt(database: Database) -> None:
    cluster = made()
    with opened(database, cluster) as model:
        read_all(model, cluster)
    expected = dump(database)
    with database.write() as connection:
        connection.execute(update(meta).where(meta.c.key == "schema").values(value="0"))
    with opened(database, cluster) as model:
        read_all(model, cluster)
    assert dump(database) == expected


def test_another_log_is_refused_in_words(database: Database) -> None:
    cluster = made()
    with opened(database, cluster) as model:
        read_all(model, cluster)
    model = ReadModel(database)
    assert model.lock()
    other = UUID("00000000-0000-4000-8000-000000000002")
    with pytest.raises(ForeignLog, match=f"{LOG_ID}.*{other}.*services.console --rebuild"):
        model.open(other, starts(), ends(cluster))
    with pytest.raises(ForeignLog, match="3 partitions, the topics have 1"):
        model.open(LOG_ID, {0: Positions()}, {0: ends(cluster)[0]})
    for log_ends in (starts(), ends(cluster)):  # it says so again, however far the log has grown by then
        with pytest.raises(ForeignLog, match="ends at 0: records were lost"):
            model.open(LOG_ID, starts(), log_ends)
    model.release()


def test_a_topic_that_was_made_anew_is_refused_also_where_it_is_as_long_again(database: Database) -> None:
    """Its records are others, under the same offsets: those that lie there already would never be read."""
    cluster = made()
    topics = {topic: UUID(int=n) for n, topic in enumerate(LOGS)}
    for _ in range(2):  # the first time they are noted
        model = ReadModel(database)
        assert model.lock()
        model.open(LOG_ID, starts(), ends(cluster), topics)
        read_all(model, cluster)
        model.release()
    for topic in LOGS:
        model = ReadModel(database)
        assert model.lock()
        with pytest.raises(
            ForeignLog, match=f"a topic {topic} that is gone: it was deleted and made anew. Rebuild it: "
        ):
            model.open(LOG_ID, starts(), ends(cluster), topics | {topic: UUID(int=99)})
        model.release()


def test_only_one_process_writes(database: Database, database_settings: Any) -> None:
    cluster = made()
    with opened(database, cluster) as model:
        assert model.lock(), "it has the lock already"
        other = ReadModel(database)
        assert not other.lock()
    assert other.lock()
    other.release()


def test_a_record_that_cannot_be_read_stops_its_partition_only(database: Database) -> None:
    cluster = made(number=5)
    bad = cluster.append(Draft(Place(Topic.CALLBACKS, 1), b"k", b"{}", {"ce_type": b"hookline.CallbackReceived.v2"}))
    history = History(cluster, PARTITIONS)
    for number in range(100, 110):
        (chain,) = history.push(push(number, (plan(),)))
        history.verdict(chain, 1)
    with opened(database, cluster) as model:
        read_all(model, cluster)
        stopped = {p: str(m.stopped) for p, m in model.projections.items() if m.stopped}
        assert list(stopped) == [1]
        assert stopped[1].startswith(f"callbacks[1]@{bad}: ")
        assert model.positions()[1].callbacks == bad
        for partition in (0, 2):
            assert model.positions()[partition] == ends(cluster)[partition]


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_a_record_that_cannot_be_folded_stops_its_partition_only_and_is_passed_over_once_it_is_skipped(
    database: Database, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """All before it is in the database, nothing behind it; a restart stops there, too."""
    cluster = made(number=12)
    verdicts = [decode(raw) for p in range(PARTITIONS) for raw in cluster.log(Place(Topic.CALLBACKS, p))]
    at_fault = next(record for record in verdicts if record.partition == 1)
    monkeypatch.setattr("services.console.readmodel.model.BATCH", batch)
    before = one_pass(database, cluster)
    raised = fault_in_fold(monkeypatch, lambda event: event == at_fault.event)
    for _ in range(2):
        with opened(database, cluster) as model:
            read_all(model, cluster)
            (stopped,) = (p for p in model.projections.values() if p.stopped)
            assert str(stopped.stopped).startswith(f"callbacks[1]@{at_fault.offset}: it can be read but not folded")
            assert model.positions()[1].callbacks == at_fault.offset
            assert [model.positions()[p] == ends(cluster)[p] for p in (0, 2)] == [True, True]
    with opened(database, cluster) as model:
        read_all(model, cluster)
        model.projections[1].go_on(Skip(Topic.CALLBACKS, at_fault.offset))
        read_all(model, cluster)
        assert model.positions()[1] == ends(cluster)[1]
    assert raised
    chain_id = at_fault.event.chain_id  # type: ignore[union-attr]
    after = dump(database)
    assert {row for row in after[events.name] if row not in before[events.name] and row[0] != chain_id} == set()
    assert len(before[events.name]) - len(after[events.name]) == 1, "that record alone is missing"


def test_an_event_that_does_not_fit_its_chain_is_void_and_changes_nothing(database: Database) -> None:
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    (chain,) = history.push(push(1, (plan(hooks=1),)))
    history.fence(of=chain)
    odd = history.verdict(chain, 9)
    with opened(database, cluster) as model:
        read_all(model, cluster)
        assert not any(projection.stopped for projection in model.projections.values())
    with database.read() as connection:
        assert [(row.offset, row.void) for row in connection.execute(select(events))] == [(odd, "misfit")]
        (row,) = connection.execute(select(chains))
    assert (row.status, row.step) == ("pending", 1)


def test_void_events_are_kept_and_change_nothing(database: Database) -> None:
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    (chain,) = history.push(push(1, (plan(hooks=1),)))
    place = history.partition_of(chain.push_id)
    old = history.fence(of=place)
    history.fence(of=place)
    fenced = history.completed(chain, 1, fence=old)
    first = history.verdict(chain, 1, Verdict.FAILURE)
    later = history.verdict(chain, 1, Verdict.SUCCESS)
    with opened(database, cluster) as model:
        read_all(model, cluster)
    with database.read() as connection:
        void = {(row.topic, row.offset): row.void for row in connection.execute(select(events))}
        (row,) = connection.execute(select(chains))
    assert void == {("deliveries", fenced): "fenced", ("callbacks", first): None, ("callbacks", later): "later"}
    assert row.status == "pending"


def test_a_seal_holds_when_its_chain_is_read_back_from_its_rows(database: Database) -> None:
    """Its intent lies in another log, and must be folded before it: else a later verdict would count."""
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    (chain,) = history.push(push(1, (plan(hooks=2),)))
    history.delivered(chain, 1)
    stray = history.sealed(chain, 1, 1)
    seal = history.sealed(chain, 1, history.closing(chain, 1))
    with opened(database, cluster) as model:
        read_all(model, cluster)
    above = history.verdict(chain, 1)
    with opened(database, cluster) as model:  # its memory is empty
        read_all(model, cluster)
    with database.read() as connection:
        void = {row.offset: row.void for row in connection.execute(select(events)) if row.topic == "callbacks"}
        (row,) = connection.execute(select(chains))
        folded = load_chains(connection, [str(chain)])
    assert void == {stray: "misfit", seal: None, above: "later"}
    assert (row.status, row.step) == ("pending", 1)
    assert folded == full_fold(cluster)


def test_a_repeat_starts_nothing_over_a_restart(database: Database) -> None:
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    first = push(1, (plan(),), window_s=60)
    history.push(first)
    with opened(database, cluster) as model:
        read_all(model, cluster)
    began, hour = history.now, 3_600_000
    for after in (59_999, 60_000, 60_001, 365 * 24 * hour, 61_000, 62_000, 121_000):
        # A repeat has no window of its own; one that a clock that was ahead gave is over for a restart, too.
        history.now = began + after - 10
        history.push(first)
        with opened(database, cluster) as model:
            read_all(model, cluster)
    with database.read() as connection:
        repeats = [row.repeat for row in connection.execute(select(pushes).order_by("offset"))]
        assert repeats == [False, True, False, True, False, False, True, False]
        assert len(connection.execute(select(chains)).all()) == 5


def test_texts_and_numbers_that_no_database_takes(database: Database) -> None:
    cluster = MemoryCluster(PARTITIONS)
    history = History(cluster, PARTITIONS)
    strange = {"tag": "a\0b", "repository": "é" * 100_000, "pusher": "\0", "pushed_at": 10**30}
    history.push(push(1, ()).model_copy(update=strange))
    with opened(database, cluster) as model:
        read_all(model, cluster)
    with database.read() as connection:
        (row,) = connection.execute(select(pushes))
    assert (row.tag, row.pusher, len(row.repository)) == ("a\ufffdb", "\ufffd", 512)


def test_a_read_before_there_are_tables_is_unavailable(database: Database) -> None:
    with pytest.raises(Unavailable, match="database does not answer"), database.read() as connection:
        connection.execute(select(chains)).all()


def test_readers_do_not_see_half_a_batch(database: Database) -> None:
    cluster = made(number=1)
    with opened(database, cluster):
        with database.write() as connection:
            connection.execute(insert(meta), [{"key": "half", "value": "x"}])
            assert "half" not in {row[0] for row in dump(database)[meta.name]}
        assert "half" in {row[0] for row in dump(database)[meta.name]}
