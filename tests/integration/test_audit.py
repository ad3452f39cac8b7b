"""`hookline audit` on real Kafka, over what the real services wrote: clean, the same from a bundle, and nothing is written (I12)."""

import asyncio
import json
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from hookline.log.records import LOGS, Place, Topic
from hookline.log.snapshots import DISPATCHER_GROUP
from tests.integration.system import PARTITIONS, Stand, System
from tests.kit.waiting import until
from tests.unit.cli.inprocess import Done, hookline

HOOKS = ("one", "two")


async def audit(system: System, *arguments: str | Path) -> Done:
    settings = {name: value for name, value in system.environment().items() if name.startswith("HOOKLINE_")}
    done = await asyncio.to_thread(hookline, "audit", *arguments, cwd=system.folder, settings=settings)
    assert "Traceback" not in done.stderr, done.stderr
    return done


async def all_there_is(system: System) -> object:
    """Ends and beginnings of every topic, what the dispatchers' group committed, and which groups there are."""
    offsets = await system.cluster().offsets()
    admin = AIOKafkaAdminClient(bootstrap_servers=system.broker.bootstrap_servers)
    await admin.start()
    try:
        single = (Topic.PIPELINES, Topic.QUARANTINE)
        places = [Place(topic, p) for topic in Topic for p in range(1 if topic in single else PARTITIONS)]
        commits = await offsets.committed(DISPATCHER_GROUP, [place for place in places if place.topic in LOGS])
        groups = sorted(name for name, _ in await admin.list_consumer_groups() if name.startswith(system.prefix))
        return await offsets.starts(places), await offsets.ends(places), commits, groups
    finally:
        await admin.close()
        await offsets.close()


async def ended(system: System, chains: int) -> bool:
    return sum(row["status"] != "pending" for row in await system.history()) == chains


async def test_what_the_services_wrote_is_clean_and_stays_as_it_is(stand: Stand, tmp_path: Path) -> None:
    system = System(stand, tmp_path)

    async def call_back_first(path: str, body: dict[str, object]) -> int:
        """A receiver that calls back before it answers; its third POST fails."""
        if len(system.receiver.posts) == 3:
            return 503
        state = "failure" if body["push_data"]["tag"] == "bad" else "success"  # type: ignore[index]
        await until(lambda: called_back(system, body, state))
        return 200

    system.receiver.answer = call_back_first
    async with system.running():
        await system.make_pipeline(*HOOKS, retry_delays=[1, 1])
        for tag in ("good", "later", "bad"):
            assert await system.push(tag) == 202
        assert await system.push("good") == 202, "a repeat"
        await until(lambda: ended(system, 3))
        # The next owner finds what this one leaves: a checkpoint of its last moment.
        system.processes["dispatcher"].terminate()
        await system.processes["dispatcher"].wait()
        await system.kill("dispatcher")
        await system.start("dispatcher")
        (chain,) = [row["uuid"] for row in await system.history() if row["tag"] == "bad"]
        assert (await system.console("POST", f"/api/chains/{chain}/run", {"from_step": 2}))[0] == 202
        await until(lambda: ended(system, 4))
        await system.kill("dispatcher")
        before = await all_there_is(system)

        database = f"sqlite:///{tmp_path / 'console.sqlite3'}"
        code, out, error = await audit(system, "verify", "--settled", "--console", database, "--json")
        assert code == 0, out + error
        figures = json.loads(out)["figures"]
        assert figures["findings"] == figures["open"] == 0
        assert figures["started"] == figures["rows"] == 4
        assert figures["checkpoints"] == PARTITIONS
        assert figures["ended"] == {"completed": 2, "callback_failure": 2}
        assert "events/s" in error

        bundle = tmp_path / "log.hookline"
        code, out, error = await audit(system, "export", bundle)
        assert code == 0, error
        assert "seal " in out
        code, told, error = await audit(system, "verify", "--settled", "--input", bundle, "--json")
        assert code == 0, told + error
        assert json.loads(told)["figures"] == figures | {"rows": 0}

        for arguments in (["replay", "--json"], ["state", "--json"], ["replay", "--json", "--chain", str(chain)]):
            code, there, error = await audit(system, *arguments)
            assert code == 0, error
            assert there
            assert there == (await audit(system, *arguments, "--input", bundle))[1]

        assert await all_there_is(system) == before


async def called_back(system: System, body: dict[str, object], state: str) -> bool:
    return (await system.call_back(body, state))[0] == 200
