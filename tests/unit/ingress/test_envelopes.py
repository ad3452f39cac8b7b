"""What SNS, Pub/Sub and Event Grid put around an event, and what they say of themselves."""

import base64
import json
from typing import Any

import pytest
from multidict import CIMultiDict, MultiDict

from hookline.errors import Unreadable
from services.ingress.delivery import Delivery
from services.ingress.envelopes import ENVELOPE_HEADERS, Opened, opened
from services.ingress.event_grid import MAX_CODE, MAX_HANDSHAKE, VALIDATION, grid_events, validation_code
from tests.unit.ingress.conftest import BEARER, SOURCES, TOKEN, Ingress

EVENT = {"image": "acme/app", "tag": "1"}
TEXT = json.dumps(EVENT)
AT, TIME = 1_795_510_800_123, "2026-11-24T09:00:00.123Z"
DATA = base64.b64encode(TEXT.encode()).decode()


def delivery(body: object = None, **headers: str) -> Delivery:
    sent = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Delivery(b"" if body is None else json.dumps(body).encode(), sent, MultiDict())


@pytest.mark.parametrize(
    ("event", "message_id", "published_at"),
    [
        (EVENT, None, None),
        ({"Type": "Notification", "Message": TEXT}, None, None),
        ({"Type": "Notification", "MessageId": "m", "Message": TEXT, "Timestamp": TIME}, "m", AT),
        ({"message": {"data": DATA}, "subscription": "s"}, None, None),
        ({"message": {"data": DATA, "messageId": "m", "publishTime": TIME}}, "m", AT),
        ({"message": {"data": DATA, "message_id": "m", "publish_time": TIME}, "subscription": "s"}, "m", AT),
    ],
)
def test_what_is_in_an_envelope(event: dict[str, Any], message_id: str | None, published_at: int | None) -> None:
    assert opened(event, delivery()) == Opened(EVENT, message_id, published_at)


@pytest.mark.parametrize(
    "event",
    [
        {"Type": "Notification", "text": "no Message"},
        {"Type": "Other", "Message": "x"},
        {"type": "Notification", "Message": "x"},
        {"message": "text"},
        {"message": {"text": "x"}, "subscription": "s"},
        {"message": {"data": "x"}},
        {"message": {"data": "x", "messageId": ""}},
    ],
)
def test_what_has_not_all_the_marks_of_one_is_none(event: dict[str, Any]) -> None:
    assert opened(event, delivery()).event is event


def test_without_a_wrapper_headers_say_the_rest() -> None:
    by_pubsub = delivery(x_goog_pubsub_message_id="m", x_goog_pubsub_publish_time=TIME)
    assert opened(EVENT, by_pubsub) == Opened(EVENT, "m", AT)
    by_sns = delivery(x_amz_sns_message_type="Notification", x_amz_sns_message_id="m", x_amz_sns_rawdelivery="true")
    assert opened(EVENT, by_sns) == Opened(EVENT, "m", None)


def test_the_wrapper_wins_over_headers() -> None:
    sent = delivery(x_amz_sns_message_type="Notification", x_amz_sns_message_id="other")
    assert opened({"Type": "Notification", "MessageId": "m", "Message": TEXT}, sent).message_id == "m"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"Type": "Notification", "Message": "Hello"}, "SNS: Message: not JSON: "),
        ({"Type": "Notification", "Message": "[]"}, "SNS: Message: not a JSON object"),
        ({"Type": "Notification", "Message": EVENT}, "SNS: Message is not text"),
        ({"Type": "Notification", "Message": ""}, "SNS: Message is not text"),
        ({"Type": "Notification", "Message": '{"a":' * 101 + "1" + "}" * 101}, "nested more than"),
        ({"Type": "Notification", "Message": '"\ud800"'}, "SNS: Message: not JSON: "),
        ({"message": {"data": "?", "messageId": "m"}}, "Pub/Sub: message.data is not base64"),
        ({"message": {"data": None, "messageId": "m"}}, "Pub/Sub: no message.data"),
        ({"message": {"data": base64.b64encode(b"x").decode()}, "subscription": "s"}, "Pub/Sub: message.data: not JSON: "),
    ],
)  # fmt: skip
def test_an_envelope_with_something_else_in_it(event: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable) as error:
        opened(event, delivery())
    assert str(error.value).startswith(reason)


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
@pytest.mark.parametrize("in_header", [True, False])
def test_what_sns_says_of_itself_is_for_an_operator(kind: str, in_header: bool) -> None:
    """Its URL is in the body that is kept, not in the reason, which answers and logs repeat."""
    url = "https://sns.example.com/?Action=ConfirmSubscription&Token=secret"
    event = {"SubscribeURL": url, "Message": "You have chosen to subscribe."} | ({} if in_header else {"Type": kind})
    with pytest.raises(Unreadable, match="SubscribeURL") as error:
        opened(event, delivery(x_amz_sns_message_type=kind) if in_header else delivery())
    assert "secret" not in str(error.value)
    assert "hookline quarantine show" in str(error.value)


@pytest.mark.parametrize("source", ["ecr", "gar"])
def test_headers_that_are_read_are_kept(source: str) -> None:
    """All of them, by each source that opens envelopes: an audit reads what was kept."""
    assert SOURCES[source].kept_headers >= ENVELOPE_HEADERS


# Event Grid's handshake


def asked(data: object, **more: object) -> dict[str, object]:
    return {"id": "1", "eventType": VALIDATION, "data": data, "dataVersion": "1", **more}


CODE = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"
NO_HANDSHAKES: dict[str, object] = {
    "no list": asked({"validationCode": CODE}),
    "of two": [asked({"validationCode": CODE}), asked({"validationCode": CODE})],
    "beside a push": [asked({"validationCode": CODE}), {"eventType": "Microsoft.ContainerRegistry.ImagePushed"}],
    "no code": [asked({})],
    "no data": [asked(None)],
    "data is text": [asked("x")],
    "an empty code": [asked({"validationCode": ""})],
    "a number": [asked({"validationCode": 7})],
    "a list": [asked({"validationCode": [CODE]})],
    "a long code": [asked({"validationCode": "x" * (MAX_CODE + 1)})],
    "control characters": [asked({"validationCode": "a\r\nb"})],
    "a lone surrogate": [asked({"validationCode": "\ud800"})],
    "named elsewhere": [{"eventType": "Other", "data": {"validationCode": CODE, "of": VALIDATION}}],
    "a large body": [asked({"validationCode": CODE, "more": "x" * MAX_HANDSHAKE})],
    "no object": [VALIDATION],
}


@pytest.mark.parametrize("code", [CODE, "abc", "x" * MAX_CODE])
def test_the_code_of_a_handshake(code: str) -> None:
    assert validation_code(delivery([asked({"validationCode": code})])) == code


@pytest.mark.parametrize("body", NO_HANDSHAKES.values(), ids=NO_HANDSHAKES)
async def test_what_is_no_handshake_is_taken_in_as_any_event(ingress: Ingress, body: object) -> None:
    assert validation_code(delivery(body)) is None
    answer = await ingress.post("acr", json.dumps(body), BEARER)
    assert answer.status == 202
    assert "validationResponse" not in await answer.json()
    assert ingress.quarantine()
    assert not ingress.pushes()


def test_a_list_of_one_is_kept_byte_for_byte() -> None:
    body = b'[ {"eventType": "x", "n": 1.0} ]\n'
    (part,) = grid_events(Delivery(body, {}, MultiDict()))
    assert part.raw == body


def test_a_list_of_none_is_no_delivery_that_leaves_no_trace() -> None:
    with pytest.raises(Unreadable, match="without events"):
        list(grid_events(Delivery(b"[]", {}, MultiDict())))


def test_damaged_json_is_no_handshake() -> None:
    assert validation_code(Delivery(f'[{{"eventType": "{VALIDATION}"'.encode(), {}, MultiDict())) is None


@pytest.mark.parametrize("source", SOURCES)
async def test_only_the_source_that_has_event_grid_answers(ingress: Ingress, source: str) -> None:
    body = json.dumps([asked({"validationCode": CODE})])
    answer = await ingress.post(source, body, ingress.credential(source, body))
    told = await answer.json()
    assert (answer.status == 200 and told == {"validationResponse": CODE}) == (source == "acr")


@pytest.mark.parametrize("query", ["", "?token=wrong"])
async def test_nobody_without_a_credential_has_a_code_sent_back(ingress: Ingress, query: str) -> None:
    answer = await ingress.post("acr", json.dumps([asked({"validationCode": CODE})]), {}, query)
    assert answer.status == 401
    assert CODE not in await answer.text()
    assert not ingress.quarantine()


async def test_the_token_may_stand_in_the_url(ingress: Ingress) -> None:
    answer = await ingress.post("acr", json.dumps([asked({"validationCode": CODE})]), {}, f"?token={TOKEN}")
    assert (answer.status, await answer.json()) == (200, {"validationResponse": CODE})
