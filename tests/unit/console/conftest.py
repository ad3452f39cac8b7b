"""A database for each test: SQLite always, PostgreSQL where its programs are."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from hookline.settings import Settings
from services.console import session_store
from services.console.readmodel.database import Database, open_database
from services.console.readmodel.schema import METADATA
from tests.unit.console.postgres import PostgresMissing, run_postgres
from tests.unit.console.running import Running, running


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    try:
        with run_postgres() as url:
            yield url
    except PostgresMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings whose database is empty."""
    if request.param == "sqlite":
        return Settings(data_dir=tmp_path)
    settings = Settings(data_dir=tmp_path, database_url=request.getfixturevalue("postgres_url"))
    database = open_database(settings)
    with database.write() as connection:
        METADATA.drop_all(connection)
        session_store.METADATA.drop_all(connection)
    database.close()
    return settings


@pytest.fixture
def database(database_settings: Settings) -> Iterator[Database]:
    database = open_database(database_settings)
    yield database
    database.close()


@pytest_asyncio.fixture
async def console(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as console:
        yield console
