"""Each service shows how far its own clock is from the broker's, and a chain ends all the same."""

import re
from pathlib import Path

from hookline.chain.events import StepClosing
from hookline.log.records import Topic
from tests.integration.system import Stand, System
from tests.kit.waiting import until

SKEWS_S = {"ingress": 40, "dispatcher": -25, "callbacks": 10, "console": 0}
DAY_S = 86_400
SLACK_S = 5.0
"""What sending and ack may explain of it, on a machine that is busy."""


class SkewedSystem(System):
    """Each service with a clock of its own."""

    skews_s = SKEWS_S

    def environment(self, service: str = "") -> dict[str, str]:
        return {
            **super().environment(service),
            "HOOKLINE_CLOCK_SKEW_MS": str(self.skews_s.get(service, 0) * 1000),
        }

    async def set_clock(self, service: str, skew_s: int) -> None:
        """The process is started again: the clock of one that runs cannot be moved from outside."""
        await self.stop(service)
        self.skews_s = {**self.skews_s, service: skew_s}
        await self.start(service)

    async def readiness(self, service: str) -> tuple[int, str]:
        async with self.http.get(f"http://127.0.0.1:{self.ports[service] + 1000}/readyz") as answer:
            return answer.status, str((await answer.json())["detail"])

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


async def test_a_clock_that_is_known_to_be_wrong_ends_no_chain_and_refuses_no_verdict(
    stand: Stand, tmp_path: Path
) -> None:
    """A day ahead: the dispatcher closed all that was open, and callbacks refused every verdict for good."""
    async with SkewedSystem(stand, tmp_path).running() as system:
        for service in SKEWS_S:
            await system.set_clock(service, 0)
        await system.make_pipeline("first", "second", callback_deadline=DAY_S)
        assert await system.push() == 202
        (_, _, first) = (await until(lambda: system.receiver.of("first")))[0]
        for service in ("dispatcher", "callbacks"):
            await system.set_clock(service, 2 * DAY_S)
        status, said = await system.readiness("dispatcher")
        assert status == 200
        assert re.search(r"this clock is \d+ s ahead of the brokers'.*no step is closed at its deadline", said)
        assert await system.skew_s("dispatcher") > DAY_S
        assert (await system.call_back(first))[0] == 503
        assert "this clock has not been compared" in (await system.readiness("callbacks"))[1]
        await system.set_clock("callbacks", 0)
        assert await system.call_back(first) == (200, '"OK"')
        await until(lambda: system.receiver.of("second"))  # POSTs go on
        assert await system.records(Topic.DELIVERIES, StepClosing) == []
        await system.set_clock("dispatcher", 0)
        (_, _, second) = system.receiver.of("second")[-1]
        assert await system.call_back(second) == (200, '"OK"')
        await until(lambda: completed(system))


async def test_an_ingress_whose_clock_is_wrong_is_not_ready_and_swallows_nothing(stand: Stand, tmp_path: Path) -> None:
    async with SkewedSystem(stand, tmp_path).running("console", "callbacks", "dispatcher") as system:
        await system.make_pipeline("build")
        system.skews_s = {"ingress": 365 * DAY_S}
        await system.spawn("ingress")
        await until(lambda: system.is_ready("ingress"))
        assert await system.push("other") == 202
        await until(lambda: is_unready(system, "ingress"))
        assert "this clock is 31" in (await system.readiness("ingress"))[1]
        await system.set_clock("ingress", 0)
        for tag in ("v1", "v1", "v2"):
            assert await system.push(tag) == 202
        await until(lambda: len(system.receiver.of("build")) == 3)  # the second one repeats the first


async def is_unready(system: SkewedSystem, service: str) -> bool:
    return (await system.readiness(service))[0] == 503
