"""What settings say of hooks is what services do: real processes, with an outgoing proxy, and with rules that came later."""

import asyncio
from pathlib import Path

from hookline.chain.events import AttemptError, HookAttemptFailed, HookDelivered
from hookline.log.records import Topic
from tests.integration.system import Stand, System
from tests.kit.waiting import until
from tests.unit.dispatcher.connect_proxy import authorities, connect_proxy

PASSWORD = "only-of-the-proxy"
BASIC = "dXNlcjpvbmx5LW9mLXRoZS1wcm94eQ=="


def all_logs(folder: Path) -> str:
    return "".join(log.read_text() for log in folder.glob("*.log"))


async def test_hooks_go_through_the_proxy_and_stop_where_rules_forbid_them(stand: Stand, tmp_path: Path) -> None:
    async with connect_proxy() as proxy:
        url = f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}"
        system = System(stand, tmp_path, log_level="debug", settings={"HOOKLINE_HOOK_PROXY": url})
        async with system.running():
            await system.make_pipeline("one")
            assert await system.push("v1") == 202
            await until(lambda: system.own_records(Topic.DELIVERIES, HookDelivered))

            port = system.receiver.url("one").split(":")[2].partition("/")[0]
            assert authorities(proxy) == [f"127.0.0.1:{port}"]
            assert f"Proxy-Authorization: Basic {BASIC}".encode() in proxy.requests[0]
            assert len(system.receiver.posts) == 1

            await system.stop("dispatcher")
            system.settings["HOOKLINE_HOOK_HTTPS_ONLY"] = "true"  # the hook in the log is older
            await system.start("dispatcher")
            assert await system.push("v2") == 202
            (failed, *_) = await until(lambda: system.own_records(Topic.DELIVERIES, HookAttemptFailed))

            assert isinstance(failed.event, HookAttemptFailed)
            assert failed.event.error is AttemptError.BLOCKED
            assert failed.event.detail is not None
            assert "HOOKLINE_HOOK_HTTPS_ONLY" in failed.event.detail
            assert (len(proxy.lines), len(system.receiver.posts)) == (1, 1)

            await asyncio.gather(*(system.stop(service) for service in list(system.processes)))
        said = all_logs(tmp_path)
        assert said
        assert PASSWORD not in said
        assert BASIC not in said
