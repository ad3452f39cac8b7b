"""What every client is told: how long it goes by what it knows."""

from hookline.kafka.client import ClientTimes, Connection
from hookline.kafka.kafka_cluster import KafkaCluster, kafka_cluster
from hookline.settings import load_settings


def times(connection: Connection) -> tuple[object, object]:
    options = connection.options()
    return options["metadata_max_age_ms"], options["request_timeout_ms"]


def test_services_notice_a_broker_that_went_away_in_seconds() -> None:
    assert times(kafka_cluster(load_settings(), "ingress").connection) == (3000, 5000)


def test_a_client_may_be_made_to_hear_late_of_another_leader() -> None:
    late = ClientTimes(metadata_max_age_ms=300_000, request_timeout_ms=20_000)
    connection = KafkaCluster("127.0.0.1:9092", "t.", client_id="late", times=late).connection

    assert times(connection) == (300_000, 20_000)
    assert connection.options(2000)["request_timeout_ms"] == 2000, "one that waits otherwise than others still does"
