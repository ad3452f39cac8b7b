"""What an operator does, by the command line, beside services that run on a real Kafka."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from hookline.chain.events import ChainHalted, HookDelivered
from hookline.log.records import Draft, Place, Topic
from tests.integration.system import MASTER_KEY, SERVICES, Stand, System
from tests.kit.waiting import until

NEW_KEY = "k2:" + "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXpBQkNERUY="


async def hookline(system: System, *arguments: str, **settings: str) -> tuple[int, str]:
    """Exit code, and what it said (on standard output, or else on standard error)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hookline.cli", *arguments,
        env={**system.environment(), "TERM": "dumb", "COLUMNS": "160", **settings}, cwd=system.folder,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, (out or err).decode()


async def test_what_rests_on_an_old_key_and_what_is_open_is_said(stand: Stand, tmp_path: Path) -> None:
    rotated = {"HOOKLINE_MASTER_KEYS": f"{NEW_KEY},{MASTER_KEY}"}
    system = System(stand, tmp_path)
    async with system.running():
        await system.make_pipeline("build", "test")
        assert await system.push() == 202
        await until(lambda: system.records(Topic.DELIVERIES, HookDelivered))
        code, said = await hookline(system, "keys", "--json", **rotated)
        found = json.loads(said)
        assert code == 0
        assert [(key["key"], key["signs"], key["hooks"], key["open_hooks"]) for key in found["keys"]] == [
            ("k2", True, 0, 0),
            ("k1", False, 2, 2),
        ]
        assert found["tokens"]["steps"] == 1
        code, said = await hookline(system, "keys", HOOKLINE_MASTER_KEYS=NEW_KEY)
        assert code == 1
        assert "k1" in said
        assert "missing" in said
        code, said = await hookline(system, "topics", "drain", "--status", "--json")
        assert code == 1
        assert (json.loads(said)["open_chains"], json.loads(said)["tokens"]) == (1, 1)
        before = await hookline(system, "keys", "--since", "-1d", "--json", **rotated)
        assert json.loads(before[1])["tokens"]["steps"] == 0
        (_, _, body) = system.receiver.of("build")[0]
        assert await system.call_back(body, "failure") == (200, '"OK"')
        await until(lambda: system.records(Topic.DELIVERIES, ChainHalted))
        code, said = await hookline(system, "topics", "drain", "--status")
        assert code == 0
        assert "drained: nothing is under way" in said


@pytest.mark.parametrize("topic", [Topic.PUSHES, Topic.COMMANDS])
async def test_a_record_that_nobody_can_read_is_skipped_and_all_go_on(
    stand: Stand, tmp_path: Path, topic: Topic
) -> None:
    """In `commands` the skip itself lies behind it. All four logs, in memory: tests/unit/log/test_skips.py."""
    system = System(stand, tmp_path)
    async with system.running():
        await system.make_pipeline("build")
        offset = await write_garbage(system, Place(topic, 0))
        place = f"{topic}[0]@{offset}"
        for service in ("dispatcher", "callbacks", "console"):
            await until(lambda service=service: says(system, service, place))
        code, said = await hookline(system, "log", "show", place)
        assert code == 0
        assert "cannot be read" in said
        assert "geheim" not in said
        code, said = await hookline(system, "log", "skip", place, "--reason", "a test wrote it", "--by", "ada", "--yes")
        assert code == 0, said
        await until(lambda: all_ready(system))
        # Who starts later finds it, too.
        await asyncio.gather(*(system.kill(service) for service in SERVICES))
        await asyncio.gather(*(system.start(service) for service in SERVICES))
        await until(lambda: all_ready(system))
        for number in range(10):  # among them some for that partition
            assert await system.push(f"v{number}") == 202
        await until(lambda: len({webhook_id for _, webhook_id, _ in system.receiver.posts}) == 10)
        code, said = await hookline(system, "audit", "verify", "--json")
        assert code == 0, said
        assert json.loads(said.splitlines()[-1])["figures"]["passed"]["skipped"] == 1
        code, said = await hookline(system, "audit", "replay")
        assert said.count("skipped by ada: a test wrote it") == 1


async def write_garbage(system: System, place: Place) -> int:
    producer = await system.cluster().producer()
    try:
        return await producer.append(Draft(place, None, b"geheim", {"ce_type": b"broken"}))
    finally:
        await producer.close()


async def says(system: System, service: str, place: str) -> bool:
    async with system.http.get(f"http://127.0.0.1:{system.ports[service] + 1000}/readyz") as answer:
        return place in await answer.text()


async def all_ready(system: System) -> bool:
    ready = [await system.is_ready(service) for service in SERVICES]
    stopped = [await says(system, service, "stopped") for service in SERVICES]
    return all(ready) and not any(stopped)
