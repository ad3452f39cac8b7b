"""Several brokers of ours as one cluster, each its own controller: for tests of what one broker cannot show."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from hookline.broker.config import Membership, Node
from hookline.broker.folder import DataFolder, new_cluster_id
from hookline.broker.server import EmbeddedBroker
from hookline.errors import BrokerError

__all__ = ["EmbeddedCluster"]


class EmbeddedCluster:
    """Brokers 1, 2, ... in `data_dir`/1, /2, ...; topics have three replicas (or one a broker), two of them in sync to ack."""

    def __init__(
        self,
        data_dir: Path,
        ports: Sequence[int],
        *,
        say: Callable[[str], None] = lambda _: None,
        properties: Mapping[str, str] | None = None,
        format_arguments: Sequence[str] = (),
    ) -> None:
        """One broker for each port, permanently: who the controllers are, and where, is made with `data_dir` and kept there.

        The other parameters are EmbeddedBroker's. Raises BrokerError when `data_dir` was made with other ports.
        """
        nodes = tuple(Node(port, id) for id, port in enumerate(ports, start=1))
        membership = _membership(data_dir.absolute(), nodes)
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


def _membership(data_dir: Path, nodes: Sequence[Node]) -> Membership:
    folder = DataFolder(data_dir)
    with folder.in_words():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        cluster_id = folder.cluster_id()
        file = data_dir / "controllers"
        if not file.exists():
            file.write_text(",".join(f"{node.id}@{node.controller_address}:{new_cluster_id()}" for node in nodes))
        controllers = file.read_text()
    if [text.rpartition(":")[0] for text in controllers.split(",")] != [
        f"{node.id}@{node.controller_address}" for node in nodes
    ]:
        raise BrokerError(f"{data_dir} holds a cluster with other ports ({controllers}): use those, or another folder.")
    return Membership(nodes, cluster_id, controllers)
