"""The same broker in a container: `HOOKLINE_KAFKA=docker` (design section 6, "The broker").

The image's own Kafka runs with our server.properties on our data folder, so a folder can go from the jars to the container and back.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hookline.broker.broker_answers import check_ports, wait_for_answer
from hookline.broker.config import HEAP_FLAGS, JVM_FLAGS, LOOPBACK, Node, render, server_properties
from hookline.broker.folder import DataFolder
from hookline.broker.jars import KAFKA_VERSION
from hookline.broker_login import BrokerLogin
from hookline.errors import BrokerError

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

__all__ = ["ContainerBroker", "Definition", "definition"]

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
INSIDE = "/hookline"
"""Where the data folder is inside the container."""
EVERYWHERE = "0.0.0.0"
"""Inside the container, the only way to be reached through a published port; that port is published on loopback alone."""

_SCRIPT = """
if [ ! -e data/meta.properties ]; then
  rm -rf data data.new
  (umask 077; sed 's/^log.dirs=.*/log.dirs=data.new/' server.properties > format.properties)
  /opt/kafka/bin/kafka-storage.sh format --cluster-id "$CLUSTER_ID" --config format.properties --standalone
  rm format.properties
  mv data.new data
fi
exec /opt/kafka/bin/kafka-server-start.sh server.properties
"""


@dataclass(frozen=True)
class Definition:
    """A container as it is to be; `ports` maps a port inside to an address and port of the host."""

    image: str
    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ports: Mapping[str, tuple[str, int]]
    volumes: Mapping[str, str]
    user: str
    working_dir: str


def definition(node: Node, folder: Path, cluster_id: str) -> Definition:
    """What runs the broker in `folder` from Apache's image: only its client port is published, and only on the host's loopback."""
    return Definition(
        image=IMAGE,
        name=f"hookline-kafka-{cluster_id}",
        command=("sh", "-e", "-c", _SCRIPT),
        environment={
            "CLUSTER_ID": cluster_id,
            "KAFKA_HEAP_OPTS": " ".join(HEAP_FLAGS),
            "KAFKA_JVM_PERFORMANCE_OPTS": " ".join(JVM_FLAGS),
            "KAFKA_LOG4J_OPTS": f"-Dlog4j2.configurationFile={INSIDE}/log4j2.properties -Dhookline.log={INSIDE}/kafka.log",
            "LOG_DIR": "/tmp",
        },
        ports={f"{node.port}/tcp": (LOOPBACK, node.port)},
        volumes={str(folder): INSIDE},
        user=f"{os.getuid()}:{os.getgid()}",  # so that the data stays ours
        working_dir=INSIDE,
    )


class ContainerBroker:
    """EmbeddedBroker's twin on a Docker engine of this machine."""

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        login: BrokerLogin | None = None,
        say: Callable[[str], None] = lambda _: None,
        properties: Mapping[str, str] | None = None,
        start_timeout_s: float = 120.0,
        stop_timeout_s: float = 20.0,
    ) -> None:
        """As EmbeddedBroker's."""
        self._folder = DataFolder(data_dir.absolute())
        self._node = Node(port)
        self._login = login
        self._say = say
        self._extra = dict(properties or {})
        self._start_timeout_s, self._stop_timeout_s = start_timeout_s, stop_timeout_s
        self._container: DockerContainer | None = None

    @property
    def bootstrap_servers(self) -> str:
        return self._node.address

    def is_alive(self) -> bool:
        if self._container is None:
            return False
        with _engine_in_words():
            self._container.reload()
            return self._container.status == "running"

    def start(self) -> None:
        """Return when the broker answers. Blocks.

        Raises BrokerError as EmbeddedBroker does, and when no Docker engine answers. Then nothing is left running.
        """
        if self.is_alive():
            return
        try:
            with self._folder.in_words(), _engine_in_words():
                self._folder.take()
                self._launch()
                wait_for_answer(
                    self._node.port, self._login, self._check_alive, self._last_word, self._say, self._start_timeout_s
                )
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop in order, after `stop_timeout_s` by force. The container goes, the data stays."""
        if self._container:
            with _engine_in_words():
                if self._container.status != "not_started":
                    self._container.get_wrapped_container().stop(timeout=round(self._stop_timeout_s))
                self._container.stop()
            self._container = None
        self._folder.release()

    def kill(self) -> None:
        """SIGKILL."""
        if self._container:
            with _engine_in_words():
                self._container.get_wrapped_container().kill()

    def last_log_lines(self, count: int = 20) -> list[str]:
        """The end of the broker's log."""
        return self._folder.last_log_lines(count)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        what = definition(self._node, self._folder.path, self._folder.cluster_id())
        self._container = container = _container(what)
        _remove_leftover(container, what.name)
        if holder := self._folder.leftover():
            raise self._folder.used_by(str(holder))
        check_ports(self._node)
        self._folder.write_properties(
            render(server_properties(self._node, (self._node,), self._extra, login=self._login, listen=EVERYWHERE))
        )
        shutil.copyfile(
            str(files("hookline.broker").joinpath("log4j2.properties")), self._folder.path / "log4j2.properties"
        )
        self._say(f"starting {IMAGE} on {self.bootstrap_servers} (the first time, the engine downloads it)")
        container.start()

    def _check_alive(self) -> None:
        if not self.is_alive():
            said = b"".join(self._container.get_logs()).decode(errors="replace") if self._container else ""
            lines = [*said.splitlines(), *self.last_log_lines(15)][-15:]
            raise BrokerError("the broker's container ended before it was ready. Its last words:\n" + "\n".join(lines))

    def _last_word(self) -> str:
        return (self.last_log_lines(1) or ["no word yet"])[0][:200]


def _container(what: Definition) -> "DockerContainer":
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    # Its reaper would listen beyond loopback; what a killed run leaves behind is found by its name instead.
    testcontainers_config.ryuk_disabled = True
    container = DockerContainer(what.image, env=dict(what.environment), name=what.name).with_command([*what.command])
    for outside, inside in what.volumes.items():
        container.with_volume_mapping(outside, inside, "rw")
    # with_bind_ports takes no address of the host, and would bind all of them; docker-py takes it so.
    container.ports.update(what.ports)  # type: ignore[arg-type]
    return container.with_kwargs(user=what.user, working_dir=what.working_dir)


def _remove_leftover(container: "DockerContainer", name: str) -> None:
    from docker.errors import NotFound  # type: ignore[import-untyped]  # docker-py has no types

    try:
        container.get_docker_client().client.containers.get(name).remove(force=True)
    except NotFound:
        return


@contextmanager
def _engine_in_words() -> Iterator[None]:
    instead = "or unset HOOKLINE_KAFKA: then the broker runs from its jars, without Docker"
    try:
        import testcontainers.core.container  # noqa: F401
        from docker.errors import DockerException
        from requests import RequestException
    except ImportError as error:
        raise BrokerError(
            f"HOOKLINE_KAFKA=docker needs testcontainers: `pip install testcontainers`, {instead}."
        ) from error
    try:
        yield
    except (DockerException, RequestException) as error:
        raise BrokerError(
            f"HOOKLINE_KAFKA=docker, but the Docker engine fails: {error}. Is it running, and may this user use it? Fix that, {instead}."
        ) from error
