"""What each service of `up` is told, and which secrets it never sees."""

from pathlib import Path

import pytest

from hookline.broker_login import KAFKA_PASSWORD
from hookline.cli.local.environment import child_environment
from hookline.cli.local.local_secrets import ADMIN_PASSWORD, INGRESS_TOKENS, MASTER_KEYS
from hookline.cli.local.readiness import console_url
from hookline.settings import Settings

SECRETS = {MASTER_KEYS: "k1:key", ADMIN_PASSWORD: "password", INGRESS_TOKENS: "token"}
DATA = Path("/data")
CONSOLE_URL = "http://127.0.0.1:8080"


def environment(service: str, *, own_broker: bool = True, **inherited: str) -> dict[str, str]:
    return child_environment(
        service, inherited, SECRETS, DATA, ["127.0.0.1:9092"], own_broker=own_broker, console_url=CONSOLE_URL
    )


def test_every_service_is_told_kafka_and_the_folder() -> None:
    for service in ("ingress", "dispatcher", "callbacks", "console"):
        told = environment(service, PATH="/bin", HOOKLINE_LOG_LEVEL="debug")
        assert told["HOOKLINE_KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:9092"
        assert told["HOOKLINE_DATA_DIR"] == "/data"
        assert told["PATH"] == "/bin"
        assert told["HOOKLINE_LOG_LEVEL"] == "debug"


def test_every_service_is_let_into_our_own_broker_and_another_kafka_is_reached_as_the_user_says() -> None:
    reached = {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_MECHANISM": "PLAIN", "USERNAME": "hookline"}
    for service in ("ingress", "dispatcher", "callbacks", "console"):
        told = child_environment(
            service, {}, SECRETS | {KAFKA_PASSWORD: "made"}, DATA, ["k:1"], own_broker=True, console_url=""
        )
        assert {name: told[f"HOOKLINE_KAFKA_{name}"] for name in reached} == reached
        assert told[KAFKA_PASSWORD] == "made"
        given = {"HOOKLINE_KAFKA_SECURITY_PROTOCOL": "SSL"}
        assert {n: v for n, v in environment(service, own_broker=False, **given).items() if "_KAFKA_S" in n} == given


def test_only_the_dispatcher_is_told_the_outgoing_proxy() -> None:
    """Its URL may hold a password."""
    url = "http://user:password@proxy.example:3128"
    told = {s: environment(s, HOOKLINE_HOOK_PROXY=url) for s in ("ingress", "dispatcher", "callbacks", "console")}

    assert {s for s, env in told.items() if "HOOKLINE_HOOK_PROXY" in env} == {"dispatcher"}


def test_loopback_is_allowed_unless_the_user_says_otherwise() -> None:
    assert environment("dispatcher")["HOOKLINE_ALLOW_PRIVATE_ADDRESSES"] == "127.0.0.0/8,::1/128"
    told = environment("dispatcher", HOOKLINE_ALLOW_PRIVATE_ADDRESSES="10.0.0.0/8")
    assert told["HOOKLINE_ALLOW_PRIVATE_ADDRESSES"] == "10.0.0.0/8"


def test_the_dispatcher_is_a_static_member_noticed_soon() -> None:
    told = environment("dispatcher")
    assert told["HOOKLINE_SESSION_TIMEOUT_MS"] == "3000"
    assert told["HOOKLINE_GROUP_INSTANCE_ID"].startswith("up-")
    assert "HOOKLINE_GROUP_INSTANCE_ID" not in environment("callbacks")


def test_the_console_knows_where_it_is() -> None:
    name = "HOOKLINE_PUBLIC_CONSOLE_URL"
    assert environment("console")[name] == CONSOLE_URL
    assert environment("console", **{name: "https://ops.example.com"})[name] == "https://ops.example.com"
    assert name not in environment("ingress")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("::1", "http://[::1]:8080"),
        ("192.0.2.1", "http://192.0.2.1:8080"),
        ("0.0.0.0", ""),
        ("::", ""),
    ],
)
def test_a_console_on_all_addresses_has_no_one_url(host: str, url: str) -> None:
    assert console_url(Settings(host=host)) == url


def test_another_kafka_may_not_allow_three_seconds() -> None:
    assert "HOOKLINE_SESSION_TIMEOUT_MS" not in environment("dispatcher", own_broker=False)


def test_two_folders_are_two_members() -> None:
    other = child_environment("dispatcher", {}, SECRETS, Path("/other"), ["k:1"], own_broker=False, console_url="")
    assert other["HOOKLINE_GROUP_INSTANCE_ID"] != environment("dispatcher")["HOOKLINE_GROUP_INSTANCE_ID"]


@pytest.mark.parametrize(
    ("service", "hidden"),
    [
        ("ingress", [MASTER_KEYS, ADMIN_PASSWORD, "HOOKLINE_DATABASE_URL"]),
        ("dispatcher", [ADMIN_PASSWORD, INGRESS_TOKENS, "HOOKLINE_DATABASE_URL"]),
        ("callbacks", [ADMIN_PASSWORD, INGRESS_TOKENS, "HOOKLINE_DATABASE_URL"]),
        ("console", [INGRESS_TOKENS]),
    ],
)
def test_a_service_never_sees_anothers_secret(service: str, hidden: list[str]) -> None:
    told = environment(service, HOOKLINE_DATABASE_URL="postgresql://u:p@h/d", **{ADMIN_PASSWORD: "given"})
    assert not set(hidden) & set(told)
    assert MASTER_KEYS in hidden or told[MASTER_KEYS] == "k1:key"


def test_no_service_takes_packages_of_the_folder_that_it_runs_in() -> None:
    assert {environment(s, PYTHONSAFEPATH="")["PYTHONSAFEPATH"] for s in ("ingress", "console")} == {"1"}
