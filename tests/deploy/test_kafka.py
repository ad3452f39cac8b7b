"""How the chart speaks to Kafka, and the rule of one writer for each topic, as ACLs (design section 2)."""

from typing import Any

import pytest

from hookline.kafka.security import security_of
from hookline.kafka.topics import config_of, partitions_of
from hookline.log.records import LOGS, Topic
from hookline.log.retention import Keep
from hookline.log.snapshots import DISPATCHER_GROUP
from hookline.settings import load_settings
from tests.deploy.conftest import rendered

USERS = ("ingress", "dispatcher", "callbacks", "console", "topics")
WRITERS = {
    Topic.PUSHES: {"ingress"},
    Topic.QUARANTINE: {"ingress"},
    Topic.CALLBACKS: {"callbacks", "dispatcher"},  # it seals steps there
    Topic.COMMANDS: {"console", "dispatcher"},
    Topic.DELIVERIES: {"dispatcher"},
    Topic.SNAPSHOTS: {"dispatcher"},
    Topic.PIPELINES: {"console", "topics"},  # the job writes log_id, once
}
READERS = {
    **{topic: {"dispatcher", "callbacks", "console"} for topic in LOGS},
    Topic.PUSHES: {"ingress", "dispatcher", "callbacks", "console"},
    Topic.COMMANDS: {"ingress", "dispatcher", "callbacks", "console"},  # ingress: which record of pushes was skipped
    Topic.PIPELINES: set(USERS),
    Topic.SNAPSHOTS: {"dispatcher", "callbacks"},
    Topic.QUARANTINE: set(),
}


def acls(user: str) -> list[Any]:
    found: list[Any] = rendered("full").one("KafkaUser", f"hookline-{user}")["spec"]["authorization"]["acls"]
    return found


def who_may(operation: str, topic: Topic) -> set[str]:
    """By any ACL whose name could match it, whatever its kind."""
    return {
        user
        for user in USERS
        for acl in acls(user)
        if acl["resource"]["type"] == "topic" and acl["resource"]["name"] == f"hookline.{topic}"
        if operation in acl["operations"]
    }


@pytest.mark.parametrize("topic", Topic)
def test_a_topic_has_its_writers_and_no_other(topic: Topic) -> None:
    assert who_may("Write", topic) == WRITERS[topic]
    assert who_may("Read", topic) == READERS[topic]


@pytest.mark.parametrize("topic", Topic)
def test_only_the_dispatcher_deletes_and_only_snapshots(topic: Topic) -> None:
    assert who_may("Delete", topic) == ({"dispatcher"} if topic is Topic.SNAPSHOTS else set())


@pytest.mark.parametrize("topic", Topic)
def test_everyone_may_check_every_topic_before_it_starts(topic: Topic) -> None:
    assert who_may("Describe", topic) == who_may("DescribeConfigs", topic) == set(USERS)


@pytest.mark.parametrize("user", USERS)
def test_an_acl_names_one_thing_and_no_more(user: str) -> None:
    assert {acl["resource"]["patternType"] for acl in acls(user)} == {"literal"}
    assert "*" not in {acl["resource"]["name"] for acl in acls(user)}
    allowed = {"Describe", "DescribeConfigs", "Read", "Write", "Delete"}
    assert {operation for acl in acls(user) for operation in acl["operations"]} <= allowed


@pytest.mark.parametrize("user", USERS)
def test_the_dispatchers_group_is_joined_by_dispatchers_and_seen_by_those_who_ask_for_it(user: str) -> None:
    groups = {
        acl["resource"]["name"]: set(acl["operations"]) for acl in acls(user) if acl["resource"]["type"] == "group"
    }
    own = {"dispatcher": {"Describe", "Read"}, "callbacks": {"Describe"}, "topics": {"Describe"}}

    assert groups == ({f"hookline.{DISPATCHER_GROUP}": own[user]} if user in own else {})


@pytest.mark.parametrize("topic", Topic)
def test_strimzis_topics_are_those_that_topics_create_makes(topic: Topic) -> None:
    spec = rendered("full").one("KafkaTopic", f"hookline.{topic}")["spec"]

    assert spec["topicName"] == f"hookline.{topic}"
    assert spec["partitions"] == partitions_of(topic, 24)
    assert spec["replicas"] == 3
    assert {key: str(value) for key, value in spec["config"].items()} == config_of(
        topic, 3, Keep(logs_ms=str(90 * 86_400_000))
    )


def test_strimzis_topics_outlive_the_release() -> None:
    kept = [topic["metadata"]["annotations"] for topic in rendered("full").of("KafkaTopic").values()]

    assert kept == len(Topic) * [{"helm.sh/resource-policy": "keep"}]


WAYS = {
    "plaintext": ("minimal", ()),
    "scram over tls": ("full", ()),
    "scram in the clear": ("minimal", ("kafka.securityProtocol=SASL_PLAINTEXT", "kafka.saslMechanism=SCRAM-SHA-256")),
    "tls": ("minimal", ("kafka.securityProtocol=SSL", "kafka.ca.secretName=kafka-ca")),
    "mtls": (
        "minimal",
        ("kafka.securityProtocol=SSL", "kafka.clientCertificates=true", "kafka.ca.secretName=kafka-ca"),
    ),
    "strimzi with mtls": ("full", ("kafka.securityProtocol=SSL", "kafka.clientCertificates=true")),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("user", USERS)
def test_what_a_pod_is_told_goes_together(user: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The services' own code judges the environment; files are judged by their mounts."""
    values, more = WAYS[way]
    chart = rendered(values, *more)
    environment = chart.environment(user)
    spec = chart.pods()[user]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    files = {
        f"{mount['mountPath']}/{item['path']}"
        for mount in spec["containers"][0]["volumeMounts"]
        if mount["name"].startswith("kafka")
        for item in volumes[mount["name"]]["secret"]["items"]
    }
    named = {
        name: value
        for name, value in environment.items()
        if name.startswith("HOOKLINE_KAFKA_") and name.endswith("_FILE")
    }

    for name, value in environment.items():
        if name not in named:
            monkeypatch.setenv(name, value if isinstance(value, str) else "a secret")
    monkeypatch.delenv("HOOKLINE_MASTER_KEYS", raising=False)
    assert security_of(load_settings()).protocol == environment["HOOKLINE_KAFKA_SECURITY_PROTOCOL"]
    assert set(named.values()) == files
    assert ("HOOKLINE_KAFKA_CERT_FILE" in named) == way.endswith("mtls")
    assert ("HOOKLINE_KAFKA_CA_FILE" in named) == (way not in ("plaintext", "scram in the clear"))


def test_strimzi_makes_the_credentials_that_the_pods_use() -> None:
    chart = rendered("full", "kafka.securityProtocol=SSL", "kafka.clientCertificates=true")

    assert {user["spec"]["authentication"]["type"] for user in chart.of("KafkaUser").values()} == {"tls"}
    assert {user["spec"]["authentication"]["type"] for user in rendered("full").of("KafkaUser").values()} == {
        "scram-sha-512"
    }
    assert set(chart.of("KafkaUser")) == {f"hookline-{user}" for user in USERS}


def test_a_name_of_your_own_is_user_and_secret() -> None:
    more = (
        "kafka.securityProtocol=SASL_SSL",
        "kafka.users.console.username=ui",
        "kafka.users.console.secretName=ui-kafka",
    )
    environment = rendered("minimal", *more).environment("console")

    assert environment["HOOKLINE_KAFKA_USERNAME"] == "ui"
    assert environment["HOOKLINE_KAFKA_PASSWORD"]["secretKeyRef"] == {"name": "ui-kafka", "key": "password"}


@pytest.mark.parametrize(
    ("more", "servers"),
    [
        ((), "events-kafka-bootstrap:9093"),
        (("kafka.securityProtocol=SASL_PLAINTEXT",), "events-kafka-bootstrap:9092"),
        (("kafka.strimzi.namespace=kafka",), "events-kafka-bootstrap.kafka.svc:9093"),
        (("kafka.bootstrapServers={a:1,b:2}",), "a:1,b:2"),
    ],
)
def test_strimzis_brokers_are_found_unless_others_are_named(more: tuple[str, ...], servers: str) -> None:
    assert rendered("full", *more).environment("ingress")["HOOKLINE_KAFKA_BOOTSTRAP_SERVERS"] == servers


def test_strimzis_objects_go_where_its_operators_look() -> None:
    chart = rendered("full", "kafka.strimzi.namespace=kafka")
    found = [*chart.of("KafkaTopic").values(), *chart.of("KafkaUser").values()]

    assert {(t["metadata"]["namespace"], t["metadata"]["labels"]["strimzi.io/cluster"]) for t in found} == {
        ("kafka", "events")
    }
