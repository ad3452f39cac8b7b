"""The broker's server.properties: loopback only, tuned, and overridable."""

import pytest

from hookline.broker.config import Node, render, server_properties
from hookline.broker_login import BrokerLogin
from hookline.errors import BrokerError

THREE = (Node(9092, 1), Node(9093, 2), Node(9094, 3))


def test_a_single_broker_listens_and_advertises_on_loopback_only() -> None:
    properties = server_properties(Node(9092), [Node(9092)])
    assert properties["listeners"] == "CLIENTS://127.0.0.1:9092,CONTROLLER://127.0.0.1:10092"
    assert properties["advertised.listeners"] == properties["listeners"]
    assert properties["controller.quorum.bootstrap.servers"] == "127.0.0.1:10092"


def test_a_single_broker_asks_for_no_replicas() -> None:
    properties = server_properties(Node(9092), [Node(9092)])
    replicas = {
        key: value
        for key, value in properties.items()
        if key.endswith(("replication.factor", "min.isr", "insync.replicas"))
    }
    assert set(replicas.values()) == {"1"}
    assert len(replicas) == 7


def test_topics_do_not_come_into_being_by_themselves_and_commits_do_not_expire() -> None:
    properties = server_properties(Node(9092), [Node(9092)])
    assert properties["auto.create.topics.enable"] == "false"
    assert int(properties["offsets.retention.minutes"]) > 5 * 365 * 24 * 60
    assert properties["group.min.session.timeout.ms"] == "1000"


def test_three_brokers_replicate_and_know_each_other() -> None:
    properties = server_properties(THREE[1], THREE)
    assert properties["node.id"] == "2"
    assert properties["listeners"] == "CLIENTS://127.0.0.1:9093,CONTROLLER://127.0.0.1:10093"
    assert properties["controller.quorum.bootstrap.servers"] == "127.0.0.1:10092,127.0.0.1:10093,127.0.0.1:10094"
    assert properties["default.replication.factor"] == "3"
    assert properties["min.insync.replicas"] == "2"


def test_with_a_login_no_listener_is_open() -> None:
    properties = server_properties(Node(9092), [Node(9092)], login=BrokerLogin('a\\b"c'))
    protocols = dict(pair.split(":") for pair in properties["listener.security.protocol.map"].split(","))
    names = {one.partition("://")[0] for one in properties["listeners"].split(",")}
    assert protocols == dict.fromkeys(names, "SASL_PLAINTEXT")
    for name in names:
        jaas = properties[f"listener.name.{name.lower()}.plain.sasl.jaas.config"]
        assert jaas.endswith(r'username="hookline" password="a\\b\"c" user_hookline="a\\b\"c";')


def test_extra_properties_win() -> None:
    properties = server_properties(Node(9092), [Node(9092)], {"num.io.threads": "9", "super.users": "User:admin"})
    assert properties["num.io.threads"] == "9"
    assert properties["super.users"] == "User:admin"


def test_the_text_escapes_what_java_would_misread() -> None:
    text = render({"path": "C:\\data", "jaas": 'required name="ü";', "two": "a\nb"})
    assert text == 'path=C:\\\\data\njaas=required name=\\"\\u00fc\\";\ntwo=a\\nb\n'


@pytest.mark.parametrize("port", [0, -1, 64536, 70000])
def test_a_port_without_room_for_the_controllers_is_refused_in_words(port: int) -> None:
    with pytest.raises(BrokerError, match=r"HOOKLINE_KAFKA_PORT to 1 to 64535"):
        Node(port)
