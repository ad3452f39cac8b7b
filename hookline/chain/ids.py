"""Names of things: push, chain, webhook and event ids, and the one function that places a push in a partition (design section 1)."""

import hashlib
from typing import NamedTuple
from uuid import UUID, uuid5

__all__ = ["ChainId", "decision_id", "partition_of", "push_id", "webhook_id"]


class ChainId(NamedTuple):
    """`<push_id>-<offset>-<n>-<run>`.

    offset: of its PushReceived in `pushes`; n: the pipeline's number in that push's plans;
    run: 0, or the offset of its RedeliveryRequested in `commands` plus one (model, `run_plus`).
    """

    push_id: str
    offset: int
    n: int
    run: int

    def __str__(self) -> str:
        return f"{self.push_id}-{self.offset}-{self.n}-{self.run}"

    @property
    def cause(self) -> int:
        """Offset of what started it: in `pushes` for run 0, else in `commands`."""
        return self.offset if self.run == 0 else self.run - 1

    @classmethod
    def parse(cls, text: str) -> "ChainId":
        """Raises ValueError for anything that `str` did not make."""
        push, offset, n, run = text.rsplit("-", 3)
        made = cls(str(UUID(push)), int(offset), int(n), int(run))
        if str(made) != text:
            raise ValueError(f"not a chain id: {text[:100]!r}")
        return made


def push_id(log_id: UUID, source: str, producer_id: str | None, body: bytes) -> str:
    """UUIDv5 in the namespace `log_id` of the source and the producer's event id, or of the body where it has none."""
    if producer_id is not None:
        return str(uuid5(log_id, f"{source}\nid\n{producer_id}"))
    return str(uuid5(log_id, f"{source}\nsha256\n{hashlib.sha256(body).hexdigest()}"))


def partition_of(push: str, partitions: int) -> int:
    """The partition of everything about that push; the same for all co-partitioned topics, for good."""
    return int(push[:8], 16) % partitions


def webhook_id(chain_id: str, step: int) -> str:
    """The Standard Webhooks `webhook-id`: the same over all attempts of a step."""
    return f"{chain_id}-{step}"


def decision_id(chain_id: str, step: int, attempt: int | None, event_type: str) -> str:
    """`ce_id` of a decision: one written twice shows as such. The fold never uses it."""
    name = f"{chain_id}\n{step}\n{attempt or 0}\n{event_type}"
    # `uuid5` in its namespace, in a third of its time: two a hook are made.
    digest = hashlib.sha1(bytes.fromhex(chain_id[:36].replace("-", "")) + name.encode(), usedforsecurity=False).digest()
    return str(UUID(bytes=digest[:16], version=5))
