"""Several brokers of ours as one cluster, each its own controller: for tests of what one broker cannot show."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from hookline.broker.config import Node
from hookline.broker.folder import DataFolder, new_cluster_id
from hookline.broker.server import EmbeddedBroker, Membership

__all__ = ["EmbeddedCluster"]


def _quiet(_: str) -> None:
    pass


class EmbeddedCluster:
    """Brokers 1, 2, ... in `data_dir`/1, /2, ...; topics have three replicas (or one a broker), two of them in sync to ack."""

    def __init__(
        self,
        data_dir: Path,
        ports: Sequence[int],
        *,
        say: Callable[[str], None] = _quiet,
        properties: Mapping[str, str] | None = None,
        format_arguments: Sequence[str] = (),
    ) -> None:
        """One broker for each port; the other parameters are EmbeddedBroker's."""
        nodes = tuple(Node(port, id) for id, port in enumerate(ports, start=1))
        controllers = ",".join(f"{node.id}@{node.controller_address}:{new_cluster_id()}" for node in nodes)
        membership = Membership(nodes, DataFolder(data_dir.absolute()).cluster_id(), controllers)
        self.brokers = tuple(
            EmbeddedBroker(
                data_dir / str(node.id),
                node.port,
                say=say,
                properties=properties,
                format_arguments=format_arguments,
                node_id=node.id,
                membership=membership,
            )
            for node in nodes
        )

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(broker.bootstrap_servers for broker in self.brokers)

    def start(self) -> None:
        """All at once: none answers before a majority is there. Raises BrokerError; then none runs."""
        try:
            with ThreadPoolExecutor(len(self.brokers)) as pool:
                for done in [pool.submit(broker.start) for broker in self.brokers]:
                    done.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        with ThreadPoolExecutor(len(self.brokers)) as pool:
            list(pool.map(EmbeddedBroker.stop, self.brokers))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
