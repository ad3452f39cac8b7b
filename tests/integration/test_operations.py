"""What an operator does, by the command line, beside services that run on a real Kafka."""

import asyncio
import json
import sys
from pathlib import Path

from hookline.chain.events import HookDelivered
from hookline.log.records import Topic
from tests.integration.system import MASTER_KEY, Stand, System, until

NEW_KEY = "k2:" + "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="


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


async def test_keys_says_what_rests_on_an_old_one(stand: Stand, tmp_path: Path) -> None:
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
        before = await hookline(system, "keys", "--since", "-1d", "--json", **rotated)
        assert json.loads(before[1])["tokens"]["steps"] == 0
