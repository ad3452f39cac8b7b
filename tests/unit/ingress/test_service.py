"""ingress as a service: what its probes say, and what it does when Kafka comes and goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from structlog.testing import capture_logs

from hookline.chain.pipeline import LogId
from hookline.errors import LogUnavailable, TopicsUnfit
from hookline.log.cluster import Consumer
from hookline.log.codec import encode_setting
from hookline.log.records import PIPELINES, Draft
from hookline.log.watch import CheckLog, LogState
from hookline.settings import Settings
from hookline.testing.memory import MemoryCluster
from hookline.web.service import app_runner
from services.ingress.service import Ingress
from tests.kit.clocks import QuickClock
from tests.kit.waiting import until
from tests.unit.ingress.conftest import BEARER, LOG_ID, NOW, TOKEN, pipeline

PUSH = '{"push_data":{"tag":"v1"},"repository":{"repo_name":"acme/app"}}'


class Running:
    """A started service and a client of its HTTP."""

    def __init__(self, service: Ingress, client: ClientSession) -> None:
        self.service, self.client = service, client

    async def push(self) -> int:
        async with self.client.post("/events/dockerhub", data=PUSH, headers=BEARER) as answer:
            if answer.status == 503:
                assert int(answer.headers["Retry-After"]) >= 1
            return answer.status

    async def harbor(self, secret: str) -> int:
        async with self.client.post("/events/harbor", data="{}", headers={"Authorization": secret}) as answer:
            return answer.status

    async def until_harbor(self, secret: str, status: int) -> None:
        async def answers() -> bool:
            return await self.harbor(secret) == status

        await until(answers)

    async def until(self, ready: bool, said: str = "") -> None:
        """Wait until readiness says so."""
        await until(lambda: (status := self.service.ready()).ok == ready and said in status.detail)


@asynccontextmanager
async def serving(
    cluster: MemoryCluster, check: CheckLog | None = None, *, secrets_file: str = ""
) -> AsyncIterator[Running]:
    async def check_log() -> LogState:
        await cluster.partitions(PIPELINES.topic)
        return LogState(LOG_ID)

    settings = Settings(ingress_tokens=(TOKEN,), ingress_secrets_file=secrets_file)
    service = Ingress(settings, QuickClock(), cluster, check or check_log)
    await service.start()
    runner = app_runner(service.app, drain_s=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
        yield Running(service, client)
    await runner.cleanup()
    await service.stop()


@pytest.fixture
def cluster() -> MemoryCluster:
    made = MemoryCluster()
    made.append(encode_setting(LogId(log_id=LOG_ID), now_ms=NOW))
    return made


async def test_ready_when_the_pipelines_are_read_to_their_end(cluster: MemoryCluster) -> None:
    cluster.append(encode_setting(pipeline("acme/app"), now_ms=NOW))
    async with serving(cluster) as it:
        await it.until(True)
        assert it.service.ready().detail == "pipelines read to 2"
        assert it.service.live().ok
        assert await it.push() == 202


async def test_kafka_away_at_the_start_is_no_error(cluster: MemoryCluster) -> None:
    cluster.down = True
    async with serving(cluster) as it:
        await it.until(False, "connecting to Kafka: ")
        assert it.service.live().ok
        assert await it.push() == 503
        cluster.down = False
        await it.until(True)
        assert await it.push() == 202


async def test_kafka_going_away_and_coming_back(cluster: MemoryCluster) -> None:
    async with serving(cluster) as it:
        await it.until(True)
        for _ in range(3):
            cluster.down = True
            assert await it.push() == 503
            await it.until(False)
            assert it.service.live().ok
            cluster.down = False
            await it.until(True)
            assert await it.push() == 202


async def test_topics_that_do_not_fit_end_it(cluster: MemoryCluster) -> None:
    async def check() -> LogState:
        raise TopicsUnfit("run `hookline topics create`")

    async with serving(cluster, check) as it:
        with pytest.raises(TopicsUnfit, match="topics create"):
            await it.service.wait()
        assert not it.service.live().ok


async def test_a_pipeline_record_that_cannot_be_read_stops_it_and_readiness_says_where(cluster: MemoryCluster) -> None:
    async with serving(cluster) as it:
        await it.until(True)
        good = encode_setting(pipeline("acme/app"), now_ms=NOW)
        cluster.append(Draft(PIPELINES, b"x", b"{}", {**good.headers, "ce_type": b"hookline.Pipeline.v9"}))
        await it.until(False, "pipelines[0]@1")
        assert it.service.live().ok
        assert await it.push() == 503


async def test_a_consumer_that_gives_up_is_replaced(cluster: MemoryCluster) -> None:
    made = 0
    make = cluster.consumer

    async def consumer(gather_ms: int = 0) -> Consumer:
        nonlocal made
        made += 1
        if made < 3:
            raise LogUnavailable("no broker answers")
        return await make()

    cluster.consumer = consumer  # type: ignore[method-assign]
    async with serving(cluster) as it:
        await it.until(True)
        assert made == 3
        assert await it.push() == 202


async def test_without_a_credential_it_says_so_once() -> None:
    with capture_logs() as lines:
        Ingress(Settings(ingress_tokens=()), QuickClock(), MemoryCluster(), lambda: asyncio.sleep(0, LogState(LOG_ID)))
    assert "HOOKLINE_INGRESS_TOKENS" in lines[0]["event"]


async def test_a_changed_secrets_file_counts_without_a_restart(cluster: MemoryCluster, tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    file.write_text('harbor = ["first"]')

    def replace(text: str) -> None:
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").replace(file)  # as Kubernetes does: another file takes its place

    async with serving(cluster, secrets_file=str(file)) as it:
        await it.until(True)
        assert await it.harbor("first") == 202
        assert await it.harbor("second") == 401
        replace('harbor = ["second", "first"]')
        await it.until_harbor("second", 202)
        assert await it.harbor("first") == 202
        for wrong in ("harbor = [", 'harbour = ["third"]', None):
            with capture_logs() as said:
                replace(wrong) if wrong else file.unlink()
                await until(lambda said=said: any(line["log_level"] == "error" for line in said))
            assert "stay valid" in str(said)
            assert "third" not in str(said)
            assert await it.harbor("second") == 202
        replace('harbor = ["second"]')
        await it.until_harbor("first", 401)
        assert await it.harbor("second") == 202
