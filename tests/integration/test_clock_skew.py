"""Each service shows how far its own clock is from the broker's, and a chain ends all the same."""

import re
from pathlib import Path

from tests.integration.system import Stand, System, until

SKEWS_S = {"ingress": 40, "dispatcher": -25, "callbacks": 10, "console": 0}
SLACK_S = 5.0
"""What sending and ack may explain of it, on a machine that is busy."""


class SkewedSystem(System):
    """Each service with a clock of its own."""

    def environment(self, service: str = "") -> dict[str, str]:
        return {
            **super().environment(service),
            "HOOKLINE_CLOCK_SKEW_MS": str(SKEWS_S.get(service, 0) * 1000),
        }

    async def skew_s(self, service: str) -> float:
        async with self.http.get(f"http://127.0.0.1:{self.ports[service] + 1000}/metrics") as answer:
            found = re.search(r"^hookline_clock_skew_seconds (\S+)$", await answer.text(), re.M)
        assert found is not None
        return float(found[1])


async def test_every_service_that_appends_shows_its_skew(stand: Stand, tmp_path: Path) -> None:
    others = [service for service in SKEWS_S if service != "dispatcher"]
    async with SkewedSystem(stand, tmp_path).running(*others) as system:
        for service in others:
            assert str(await system.skew_s(service)) == "nan", "before it appended anything it does not know"
        await system.start("dispatcher")  # which appends a Fence before it is ready
        await system.make_pipeline("build")
        assert await system.push() == 202
        (_, _, body) = (await until(lambda: system.receiver.of("build")))[0]
        assert await system.call_back(body) == (200, '"OK"')
        await until(lambda: completed(system))
        shown = {service: await system.skew_s(service) for service in SKEWS_S}
    for service, skew in SKEWS_S.items():
        # At least that far: never further than it is.
        assert abs(skew) - SLACK_S <= abs(shown[service]) <= abs(skew), shown
        assert shown[service] * skew >= 0, shown


async def completed(system: System) -> bool:
    return [row["status"] for row in await system.history()] == ["success"]
