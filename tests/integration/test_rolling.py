"""Rollouts and scaling under load: nothing is lost, nothing is POSTed twice, and nobody sees an error that is ours.

Without a crash there is no reason for any of them: who stops or hands over a partition finishes what it has begun.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookline.chain.events import ChainCompleted, ChainHalted
from tests.integration.load import Load
from tests.integration.rollout import Kube
from tests.integration.system import Stand, System
from tests.kit.waiting import until
from tests.unit.console.postgres import PostgresMissing, run_postgres

pytestmark = pytest.mark.timeout(300)
"""Two cores, many tests: some fifteen processes are started one after the other."""

FINE = {"ingress": {202, 503}, "callbacks": {200, 503}, "console": {200, 503}}


@pytest.fixture
def shared_database() -> Iterator[dict[str, str]]:
    """What consoles that overlap need, to know each other's sessions: SQLite is one console's."""
    try:
        with run_postgres() as url:
            yield {"HOOKLINE_DATABASE_URL": url}
    except PostgresMissing:
        yield {}


async def test_every_service_is_replaced_twice_under_load(
    stand: Stand, tmp_path: Path, shared_database: dict[str, str]
) -> None:
    system = System(stand, tmp_path, partitions=4, settings=shared_database)
    replaced = ("ingress", "callbacks", "dispatcher", *(("console",) if shared_database else ()))
    async with Kube(system).running(ingress=1, callbacks=1, console=1, dispatcher=2) as kube:
        await system.make_pipeline("one", "two")
        async with Load(system).running() as load:
            for _ in range(2):
                for service in replaced:
                    before = len(load.pushed)
                    await kube.replace(service)
                    await until(lambda before=before: len(load.pushed) > before)
            await all_is_well(system, load)


@pytest.mark.parametrize("named", [True, False], ids=["static members", "dynamic members"])
async def test_dispatchers_come_and_go_under_load(stand: Stand, tmp_path: Path, named: bool) -> None:
    """One receiver takes longer than any single request to Kafka may: the group waits for it all the same."""
    system = System(stand, tmp_path, partitions=4)
    async with Kube(system, named_dispatchers=named).running(ingress=1, callbacks=1, console=1, dispatcher=1) as kube:
        await system.make_pipeline("one", "two")
        async with Load(system, slow_s=5.5).running(users=0) as load:
            for count in (3, 1):
                before = len(system.receiver.posts)
                await until(lambda before=before: len(system.receiver.posts) > before + 20)
                await kube.scale("dispatcher", count)
            after = len(system.receiver.posts)
            await until(lambda: len(system.receiver.posts) > after + 20)
            await all_is_well(system, load)


async def all_is_well(system: System, load: Load) -> None:
    """Every push that was accepted has its chain run to the end, by one POST a step."""
    await load.end()
    await until(lambda: ended(system, ChainCompleted, len(load.pushed)), within_s=60, pause_s=2)
    assert not await ended(system, ChainHalted, 1)
    for service, fine in FINE.items():
        seen = {what: count for (name, what), count in load.answers.items() if name == service}
        assert seen.keys() <= fine, f"{service}: {seen}"
    for hook in ("one", "two"):
        tags = Counter(post[2]["push_data"]["tag"] for post in system.receiver.of(hook))  # type: ignore[index]
        assert tags.keys() == load.pushed
        assert not {tag: count for tag, count in tags.items() if count > 1}, "POSTed again"


async def ended(system: System, kind: type, count: int) -> bool:
    return sum(read.valid and isinstance(read.record.event, kind) for read in await system.reads()) >= count
