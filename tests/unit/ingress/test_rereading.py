"""What was taken in can be read again from its record alone. (Every test over HTTP ends with that, too: `conftest.running`.)"""

import json
from uuid import UUID

import pytest

from hookline.chain.artifacts import ArtifactType
from hookline.errors import Unreadable
from services.ingress.rereading import Rereader
from services.ingress.sources import discover
from tests.unit.ingress.conftest import LOG_ID, READER, Ingress
from tests.unit.ingress.test_producers import FILES


async def test_a_binary_event_of_several_resources_is_read_again_part_by_part(ingress: Ingress) -> None:
    """Each part is kept as an event of its own, beside the headers of the whole."""
    data = FILES["harbor-cloudevents-push"]["body"]
    event = json.loads(data) if isinstance(data, str) else data
    resources = event["data"]["resources"]
    body = {**event["data"], "resources": [{**resources[0], "tag": tag} for tag in ("1", "2")]}
    headers = {f"ce-{name}": event[name] for name in ("specversion", "id", "source", "type")}
    await ingress.deliver("harbor", json.dumps(body), headers)

    assert sorted(push.tag or "" for push in ingress.pushes()) == ["1", "2"]
    assert ingress.wrong() == []


async def test_of_a_source_that_goes_by_settings_the_fields_stand_and_the_payload_follows(ingress: Ingress) -> None:
    await ingress.deliver("generic", json.dumps({"name": "acme/app", "versions": ["1"], "id": 7}))
    (push,) = ingress.pushes()

    assert READER.read_again(push, LOG_ID) == push
    evil = push.model_copy(update={"payload": {"push_data": {"tag": "evil"}}})
    assert READER.read_again(evil, LOG_ID) == push


async def test_so_does_what_kind_of_artifact_it_is(ingress: Ingress) -> None:
    await ingress.deliver("generic", json.dumps({"name": "acme/app", "versions": ["1"], "id": 7}))
    (push,) = ingress.pushes()
    data = push.payload["push_data"]
    assert isinstance(data, dict)
    chart = "application/vnd.cncf.helm.config.v1+json"
    told = {"artifact_media_type": chart, "artifact_type": ArtifactType.HELM_CHART}
    sent = {"push_data": data | {"media_type": chart, "artifact_type": "helm_chart"}}
    push = push.model_copy(update={**told, "payload": push.payload | sent})

    assert READER.read_again(push, LOG_ID) == push


async def test_a_source_that_is_not_here_is_nobodys_to_read_and_a_body_without_a_push_is_said(ingress: Ingress) -> None:
    await ingress.deliver("quay", json.dumps({"repository": "acme/app", "updated_tags": ["1"]}))
    (push,) = ingress.pushes()

    assert Rereader({}).read_again(push, LOG_ID) is None
    for raw in ("{", "{}", '{"repository": "acme/app", "updated_tags": []}'):
        with pytest.raises(Unreadable):
            READER.read_again(push.model_copy(update={"raw": raw}), LOG_ID)
    assert READER.read_again(push, UUID(int=7)) != push, "its id is of this log"


def test_settings_read_one_source_only() -> None:
    """A new one that does is said so: an audit has none."""
    assert [name for name, source in discover().items() if source.by_settings] == ["generic"]
