"""Producers that keep each registry's retry law, against an ingress that fails and recovers: one chain for each release."""

import json
from collections.abc import Awaitable, Callable

import pytest

from hookline.chain.fold import PartitionFold
from hookline.errors import AppendFailed
from hookline.log.codec import decode
from hookline.log.records import Draft, Place, Topic
from services.ingress.source import WINDOW_WITH_ID_S
from tests.registries.laws import LAWS, Producer
from tests.unit.ingress.conftest import DATA, PARTITIONS, Ingress, distribution_request, pipeline, running

EVENTS = {
    "acr": "acr-push", "ecr": "ecr-push", "forgejo": "forgejo-created", "gar": "gar-insert-tag", "gitea": "gitea-created",
    "github": "github-package", "harbor": "harbor-push", "jfrog": "jfrog-pushed", "nexus": "nexus-created",
    "quay": "quay-push", "zot": "zot-updated",
}  # fmt: skip
IDS = {"acr": "id", "ecr": "id"}
ID_HEADERS = {
    "forgejo": "X-Forgejo-Delivery", "gitea": "X-Gitea-Delivery", "github": "X-GitHub-Delivery",
    "nexus": "X-Nexus-Webhook-Delivery", "zot": "Ce-Id",
}  # fmt: skip


def request(source: str, number: int) -> tuple[str, dict[str, str]]:
    """Body and headers of the source's release of that number: of one tag, each under an event id of its own where it has one."""
    if source in ("distribution", "gitlab"):
        body, headers = distribution_request("v2.8.2-push-manifest-tag-v1")
        event_id = json.loads(body)["events"][0]["id"]
        return body.replace(event_id, f"{event_id}-{number}"), headers
    file = json.loads((DATA / "producers" / f"{EVENTS[source]}.json").read_text())
    body, headers = file["body"], dict(file["headers"])
    if source in IDS:
        body[IDS[source]] = f"id-{number}"
    elif source in ID_HEADERS:
        headers[ID_HEADERS[source]] = f"id-{number}"
    elif source == "gar":
        body["message"]["messageId"] = f"{number}"
    elif source == "harbor":
        body["occur_at"] += number
    return json.dumps(body), headers


def delivery(ingress: Ingress, source: str, number: int = 1) -> Callable[[], Awaitable[int]]:
    body, headers = request(source, number)

    async def deliver() -> int:
        answer = await ingress.post(source, body, headers | ingress.credential(source, body))
        return answer.status

    return deliver


def chains(ingress: Ingress) -> int:
    """Chains that the pushes in the log start, by the fold."""
    number = 0
    for partition in range(PARTITIONS):
        fold = PartitionFold()
        for raw in ingress.cluster.log(Place(Topic.PUSHES, partition)):
            fold.fold(decode(raw).event, raw.offset, raw.timestamp)
        number += len(fold.chains)
    return number


class Trouble:
    """Makes the first deliveries fail: Kafka is away, or (`lands`) they are appended and the answer says otherwise."""

    def __init__(self, ingress: Ingress, failures: int, *, lands: bool) -> None:
        self._append = ingress.appender.append
        self._left, self._lands = failures, lands
        ingress.appender.append = self._fail  # type: ignore[method-assign]

    async def _fail(self, draft: Draft) -> int:
        if self._left == 0:
            return await self._append(draft)
        self._left -= 1
        if self._lands:
            await self._append(draft)
        raise AppendFailed("no ack")


@pytest.fixture(params=LAWS)
def source(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=[name for name in LAWS if name != "distribution"])
def giving_up(request: pytest.FixtureRequest) -> str:
    """A source whose producers do not try forever."""
    name: str = request.param
    return name


@pytest.mark.parametrize("lands", [False, True], ids=["lost", "landed"])
async def test_every_failure_that_a_law_outlasts_ends_in_one_chain(source: str, lands: bool) -> None:
    law = LAWS[source]
    for failures in sorted({0, 1, 2, 5, min(law.attempts, 20) - 1}):
        async with running() as ingress:
            ingress.set_pipeline(pipeline("*"))
            producer = Producer(law, ingress.clock)
            Trouble(ingress, failures, lands=lands)
            taken = await producer.send(delivery(ingress, source))
            assert taken == (failures < law.attempts)
            # What landed without an ack is in the log all the same: the producer does not know, and it is one chain.
            assert chains(ingress) == (1 if taken or lands else 0)


async def test_an_event_given_up_holds_up_nobody_and_can_be_delivered_by_hand(giving_up: str) -> None:
    source, law = giving_up, LAWS[giving_up]
    async with running() as ingress:
        ingress.set_pipeline(pipeline("*"))
        producer, first = Producer(law, ingress.clock), delivery(ingress, source)
        Trouble(ingress, law.attempts, lands=False)
        assert not await producer.send(first)
        assert chains(ingress) == 0
        if producer.silent:
            assert not await producer.send(delivery(ingress, source, 2))
            producer.reset()
        assert await producer.send(delivery(ingress, source, 2))
        assert chains(ingress) == 1
        if law.by_hand:
            assert await first() == 202
            assert await first() == 202
            assert chains(ingress) == 2


async def test_the_next_release_of_a_tag_is_a_chain_of_its_own(source: str) -> None:
    """Also where its event is byte for byte the first one's (Quay, JFrog): once the producer's retries are over."""
    law = LAWS[source]
    async with running() as ingress:
        ingress.set_pipeline(pipeline("*"))
        producer = Producer(law, ingress.clock)
        Trouble(ingress, min(law.attempts, 3) - 1, lands=True)
        assert await producer.send(delivery(ingress, source))
        ingress.clock.advance(121)
        assert await producer.send(delivery(ingress, source, 2))
        assert chains(ingress) == 2


def test_windows_outlast_the_retries() -> None:
    """Design section 3: the window of producers without an event id is longer than their retries take."""
    from tests.unit.ingress.conftest import SOURCES

    without_id = {"harbor", "jfrog", "quay"}
    for name, law in LAWS.items():
        window = SOURCES[name].window_s if name in without_id else WINDOW_WITH_ID_S
        assert sum(law.waits_s[: law.attempts - 1]) < window, name
