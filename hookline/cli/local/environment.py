"""What the four services of `hookline up` are told, all of it by environment."""

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path

from hookline.broker_login import KAFKA_PASSWORD, MECHANISM, PROTOCOL, BrokerLogin
from hookline.cli.installed import SAFE_PATH
from hookline.cli.local.local_secrets import ADMIN_PASSWORD, INGRESS_TOKENS, MASTER_KEYS

__all__ = ["LOOPBACK_NETWORKS", "child_environment"]

LOOPBACK_NETWORKS = ",".join(str(ip_network(net)) for net in ("127.0.0.0/8", "::1/128"))
SESSION_TIMEOUT_MS = "3000"
"""Our own broker allows it; a killed dispatcher that does not come back is noticed after this."""

SECRETS_OF: Mapping[str, frozenset[str]] = {
    "ingress": frozenset({KAFKA_PASSWORD, INGRESS_TOKENS}),
    "dispatcher": frozenset({KAFKA_PASSWORD, MASTER_KEYS, "HOOKLINE_HOOK_PROXY"}),
    "callbacks": frozenset({KAFKA_PASSWORD, MASTER_KEYS}),
    "console": frozenset({KAFKA_PASSWORD, MASTER_KEYS, ADMIN_PASSWORD, "HOOKLINE_DATABASE_URL"}),
}
"""Who is given which secret; the others never see it."""
ALL_SECRETS = frozenset().union(*SECRETS_OF.values())


def child_environment(
    service: str,
    inherited: Mapping[str, str],
    secrets: Mapping[str, str],
    data_dir: Path,
    bootstrap_servers: Sequence[str],
    *,
    own_broker: bool,
    console_url: str,
) -> dict[str, str]:
    """The environment of one service: what `up` was given, completed; what the user set always wins.

    console_url: where the console is; empty where it has no one address.
    """
    defaults = {
        "HOOKLINE_ALLOW_PRIVATE_ADDRESSES": LOOPBACK_NETWORKS,
        "HOOKLINE_DATA_DIR": str(data_dir),
        "PYTHONUNBUFFERED": "1",
    }
    if own_broker:
        defaults["HOOKLINE_SESSION_TIMEOUT_MS"] = SESSION_TIMEOUT_MS
        defaults["HOOKLINE_KAFKA_SECURITY_PROTOCOL"] = PROTOCOL
        defaults["HOOKLINE_KAFKA_SASL_MECHANISM"] = MECHANISM
        defaults["HOOKLINE_KAFKA_USERNAME"] = BrokerLogin.username
    if service == "console":
        defaults["HOOKLINE_PUBLIC_CONSOLE_URL"] = console_url
    if service == "dispatcher":
        defaults["HOOKLINE_GROUP_INSTANCE_ID"] = group_instance_id(data_dir)
    environment = defaults | dict(inherited) | dict(secrets) | SAFE_PATH
    environment["HOOKLINE_KAFKA_BOOTSTRAP_SERVERS"] = ",".join(bootstrap_servers)
    hidden = ALL_SECRETS - SECRETS_OF[service]
    return {name: value for name, value in environment.items() if name not in hidden}


def group_instance_id(data_dir: Path) -> str:
    """The same over restarts of one `up`, another for every machine and folder (static membership)."""
    place = f"{platform.node()}\n{os.fspath(data_dir)}"
    return "up-" + hashlib.sha256(place.encode()).hexdigest()[:12]
