"""The console's rows are compared with the fold, at the positions that its database stands at, on SQLite and PostgreSQL."""

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, update

from hookline.audit.console import open_console
from hookline.audit.findings import Finding
from hookline.audit.verify import Figures, verify
from hookline.errors import ConfigError, ForeignLog, Unavailable
from hookline.log.records import LOGS, Topic
from hookline.settings import Settings
from services.console.readmodel.database import Database
from services.console.readmodel.model import ReadModel
from services.console.readmodel.schema import chains, meta, positions
from tests.kit.events import plan, push
from tests.unit.audit.record import FOLDER
from tests.unit.audit.script import Script
from tests.unit.audit.sources import Records, of_bundle
from tests.unit.console.conftest import database, database_settings, postgres_url

__all__ = ["database", "database_settings", "postgres_url"]


@pytest.fixture
async def records() -> Records:
    return await of_bundle(FOLDER / "faults-1.hookline")


def url(settings: Settings) -> str:
    return settings.database_url.get_secret_value() or f"sqlite:///{settings.data_dir / 'console.sqlite3'}"


def fill(database: Database, records: Records, part: float = 1.0) -> None:
    """Project the log's records, or the first part of each log."""
    model = ReadModel(database)
    assert model.lock()
    assert records.log_id is not None
    extents = records.source().origin.extents
    model.open(records.log_id, dict(enumerate(e.starts for e in extents)), dict(enumerate(e.ends for e in extents)))
    for number, projection in model.projections.items():
        for topic in LOGS:
            line = records.of(topic, number)
            projection.reader.offer(topic, line[: round(len(line) * part)])
    while model.project(range(records.partitions)):
        pass
    model.release()


async def compared(settings: Settings, records: Records) -> tuple[list[Finding], Figures]:
    findings: list[Finding] = []
    with open_console(url(settings)) as rows:
        return findings, await verify(records.source(), findings.append, console=rows)


@pytest.mark.parametrize("part", [1.0, 0.7, 0.3, 0.0])
async def test_rows_that_the_console_wrote_are_clean_however_far_it_is(
    database: Database, database_settings: Settings, records: Records, part: float
) -> None:
    fill(database, records, part)
    findings, figures = await compared(database_settings, records)

    assert findings == []
    assert (figures.rows == figures.started) == (part == 1.0)
    assert bool(figures.rows) == bool(part)


async def test_a_row_that_says_otherwise_is_found(
    database: Database, database_settings: Settings, records: Records
) -> None:
    fill(database, records)
    with database.write() as connection:
        row = connection.execute(select(chains).where(chains.c.status == "success")).first()
        assert row is not None
        connection.execute(update(chains).where(chains.c.id == row.id).values(status="failure", step=7))
    findings, _ = await compared(database_settings, records)

    assert [(f.invariant, f.chain_id) for f in findings] == [("I6", row.id)] * 2
    assert "step 7" in findings[0].said
    assert "'failure', and the fold 'success'" in findings[1].said


async def test_a_row_that_is_missing_is_found(
    database: Database, database_settings: Settings, records: Records
) -> None:
    fill(database, records)
    with database.write() as connection:
        gone = connection.scalar(select(chains.c.id))
        connection.execute(delete(chains).where(chains.c.id == gone))
    findings, _ = await compared(database_settings, records)

    assert ("I6", gone) in [(f.invariant, f.chain_id) for f in findings]


async def test_a_row_of_a_chain_that_is_none_is_found(
    database: Database, database_settings: Settings, records: Records
) -> None:
    fill(database, records)
    with database.write() as connection:
        row = connection.execute(select(chains)).mappings().first()
        assert row is not None
        connection.execute(insert(chains).values(**{**row, "id": f"{row['push_id']}-0-99-0"}))
    findings, figures = await compared(database_settings, records)

    assert [f.invariant for f in findings] == ["I6"]
    assert "the console has" in findings[0].said
    assert figures.rows == figures.started


async def test_a_console_that_read_what_is_lost_is_found(
    database: Database, database_settings: Settings, records: Records
) -> None:
    fill(database, records)
    with database.write() as connection:
        connection.execute(update(positions).where(positions.c.partition == 1).values(callbacks=10_000))
    findings, _ = await compared(database_settings, records)

    assert [(f.invariant, f.topic, f.partition) for f in findings] == [("I6", Topic.CALLBACKS, 1)]


async def test_what_it_reads_is_one_moment(database: Database, database_settings: Settings, records: Records) -> None:
    """The console goes on meanwhile."""
    fill(database, records, 0.5)
    findings: list[Finding] = []
    with open_console(url(database_settings)) as rows:
        fill(database, records)
        await verify(records.source(), findings.append, console=rows)

    assert findings == []


async def test_a_database_of_another_log_is_refused(
    database: Database, database_settings: Settings, records: Records
) -> None:
    fill(database, records)
    with database.write() as connection:
        connection.execute(
            update(meta).where(meta.c.key == "log_id").values(value="00000000-0000-4000-8000-000000000001")
        )
    with pytest.raises(ForeignLog, match="this is log"):
        await compared(database_settings, records)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("nonsense", ConfigError, "not a database URL"),
        ("oracle+nothing://x/y", ConfigError, "not a database URL"),
        ("sqlite:////no/such/file", ConfigError, "no console database at /no/such/file"),
        ("postgresql://u:s3cret@127.0.0.1:1/x", Unavailable, "cannot be read"),
    ],
)
def test_a_database_that_cannot_be_used_is_said_without_its_password(
    text: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as raised:
        open_console(text)
    assert "s3cret" not in str(raised.value)


def test_a_database_without_our_tables_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(Unavailable, match="no such table"):
        open_console(f"sqlite:///{tmp_path / 'empty'}")


async def test_a_name_is_compared_as_the_console_keeps_it(database: Database, database_settings: Settings) -> None:
    script = Script()
    script.records.log_id = UUID(int=1)
    odd = push(plan(1)).model_copy(update={"repository": "acme/\0" + "\N{SNOWMAN}" * 1000})
    script.records.append(odd)
    fill(database, script.records)
    findings, figures = await compared(database_settings, script.records)
    assert [finding.said for finding in findings if "console" in finding.said] == []
    assert figures.rows == 1
