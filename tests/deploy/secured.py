"""A real broker that asks who its clients are, and the services as the chart's pods: with the environment, topics and ACLs it renders."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from hookline.broker import EmbeddedBroker
from tests.deploy.authority import Authority
from tests.deploy.conftest import Rendered
from tests.integration.system import MASTER_KEY, PASSWORD, SERVICES, TOKEN, System
from tests.kafka import free_broker_port

__all__ = ["USERS", "Pods", "SecuredBroker", "password"]

USERS = (*SERVICES, "topics")
OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Delete": AclOperation.DELETE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}
RESOURCES = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}


class SecuredBroker:
    """TLS with SCRAM on one port, TLS with certificates of clients on another, Strimzi's two ways; ACLs for all.

    Whoever comes to the third port, in the clear and without a name, may do anything: Strimzi's operators, here.
    """

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "ca")
        certificate, key = self.authority.issue("broker")
        both = folder / "broker.pem"
        both.write_bytes(key.read_bytes() + certificate.read_bytes())
        plain, scram, mutual = (free_broker_port() for _ in range(3))
        self.servers = {"scram-sha-512": f"127.0.0.1:{scram}", "tls": f"127.0.0.1:{mutual}"}
        """By Strimzi's name of the way."""
        listeners = f"CLIENTS://127.0.0.1:{plain},SCRAM://127.0.0.1:{scram},MUTUAL://127.0.0.1:{mutual}"
        controller = f"CONTROLLER://127.0.0.1:{plain + 1000}"
        self.proxy_ports: dict[str, tuple[int, int]] = {}
        self.broker = EmbeddedBroker(
            folder / "kafka",
            plain,
            properties={
                "listeners": f"{listeners},{controller}",
                "advertised.listeners": f"{listeners},{controller}",
                "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT,SCRAM:SASL_SSL,MUTUAL:SSL",
                "sasl.enabled.mechanisms": "SCRAM-SHA-512",
                "listener.name.scram.scram-sha-512.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                ),
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(both),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.authority.certificate),
                "listener.name.mutual.ssl.client.auth": "required",
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
                # Nobody kills this one: on a busy machine it need not be taken for dead after 1.5 s.
                "broker.session.timeout.ms": "18000",
            },
            format_arguments=[
                word
                for user in USERS
                for word in ("--add-scram", f"SCRAM-SHA-512=[name=hookline-{user},password={password(user)}]")
            ],
        )

    @contextlib.contextmanager
    def running(self) -> Iterator["SecuredBroker"]:
        with self.broker:
            yield self

    def operate(self, chart: Rendered) -> None:
        """What Strimzi's operators make of the chart's KafkaTopics and KafkaUsers; one copy a topic, for one broker."""
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap_servers})
        topics = [topic["spec"] for topic in chart.of("KafkaTopic").values()]
        new = [
            NewTopic(
                t["topicName"],
                t["partitions"],
                1,
                config={k: str(v) for k, v in t["config"].items()} | {"min.insync.replicas": "1"},
            )
            for t in topics
        ]
        acls = [binding for user in chart.of("KafkaUser").values() for binding in _bindings(user)]
        for done in (*admin.create_topics(new).values(), *admin.create_acls(acls).values()):
            done.result()


def password(user: str) -> str:
    return f"password-of-{user}"


def _bindings(user: Any) -> Iterator[AclBinding]:
    """As Strimzi names principals: by user, or by the common name of the certificate that it makes."""
    name, spec = user["metadata"]["name"], user["spec"]
    principal = f"User:CN={name}" if spec["authentication"]["type"] == "tls" else f"User:{name}"
    for acl in spec["authorization"]["acls"]:
        resource = acl["resource"]
        pattern = ResourcePatternType[resource["patternType"].upper()]
        for operation in acl["operations"]:
            yield AclBinding(
                RESOURCES[resource["type"]],
                resource["name"],
                pattern,
                principal,
                acl["host"],
                OPERATIONS[operation],
                AclPermissionType.ALLOW,
            )


class Pods(System):
    """The chart's pods on that broker, without Kubernetes: its variables, with files and secrets where they are here."""

    def __init__(self, broker: SecuredBroker, chart: Rendered, folder: Path) -> None:
        super().__init__(broker, folder, partitions=2)
        self.way = {user["spec"]["authentication"]["type"] for user in chart.of("KafkaUser").values()}.pop()
        self.prefix = chart.environment("topics")["HOOKLINE_TOPIC_PREFIX"]
        self._secured = broker
        self._chart = chart
        self._certificates: dict[str, tuple[Path, Path]] = {}

    async def make_topics(self) -> None:
        """By Strimzi's operators, and then the job, as its own user."""
        await asyncio.to_thread(self._secured.operate, self._chart)
        code, said = await self.job()
        assert code == 0, said

    async def job(self, **more: str) -> tuple[int, str]:
        """`topics create`: its exit code and what it says."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services", "topics", "create"),
            env=self.environment("topics") | more,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    def environment(self, service: str = "") -> dict[str, str]:
        rendered = {name: self._given(name, value, service) for name, value in self._chart.environment(service).items()}
        certificate, key = self.certificate(service)
        files = {"CA": self._secured.authority.certificate, "CERT": certificate, "KEY": key}
        here = {
            **{f"HOOKLINE_KAFKA_{name}_FILE": str(path) for name, path in files.items()},
            "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": self._secured.servers[self.way],
            "HOOKLINE_REPLICATION": "1",
            "HOOKLINE_HOST": "127.0.0.1",
            "HOOKLINE_PUBLIC_CALLBACK_URL": f"http://127.0.0.1:{self.ports['callbacks']}",
            "HOOKLINE_ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
            "HOOKLINE_HOOK_PORTS": "",  # receivers are on whatever port is free
        }
        ports = {f"HOOKLINE_{setting}": str(self.ports[name]) for name, setting in SERVICES.items()}
        own = {"HOOKLINE_DATA_DIR": str(self.folder), "PATH": os.environ["PATH"]}
        return rendered | {name: value for name, value in here.items() if name in rendered} | ports | own

    def certificate(self, service: str) -> tuple[Path, Path]:
        """What Strimzi puts into a user's secret, once."""
        if service not in self._certificates:
            self._certificates[service] = self._secured.authority.issue(f"hookline-{service}")
        return self._certificates[service]

    @staticmethod
    def _given(name: str, value: object, service: str) -> str:
        """A variable's text, or what the secret or field has that it names."""
        secrets = {
            "HOOKLINE_MASTER_KEYS": MASTER_KEY,
            "HOOKLINE_ADMIN_PASSWORD": PASSWORD,
            "HOOKLINE_INGRESS_TOKENS": TOKEN,
            "HOOKLINE_KAFKA_PASSWORD": password(service),
            "HOOKLINE_GROUP_INSTANCE_ID": f"hookline-{service}-0",
        }
        return value if isinstance(value, str) else secrets[name]
