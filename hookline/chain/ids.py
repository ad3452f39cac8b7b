"""Names of things: push, chain, webhook and event ids, and the one function that places a push in a partition (design section 1)."""

import hashlib
import re
from typing import NamedTuple
from uuid import UUID

from pydantic_core import from_json, to_json

__all__ = [
    "ChainId",
    "decision_id",
    "is_uuid",
    "partition_of",
    "push_id",
    "push_of",
    "uuid_bytes",
    "uuid_text",
    "webhook_id",
]

DOCKER_HUB, CALLBACK_URL = "dockerhub", b'"callback_url"'
UUID_LENGTH = 36
_NUMBER = "(0|[1-9][0-9]*)"
_UUID_TEXT = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_UUID = re.compile(_UUID_TEXT)
_CHAIN_ID = re.compile(f"({_UUID_TEXT})-{_NUMBER}-{_NUMBER}-{_NUMBER}")


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
        if (found := _CHAIN_ID.fullmatch(text)) is None:
            raise ValueError(f"not a chain id: {text[:100]!r}")
        push, offset, n, run = found.groups()
        return cls(push, int(offset), int(n), int(run))


def push_id(log_id: UUID, source: str, producer_id: str | None, body: bytes) -> str:
    """UUIDv5 in the namespace `log_id` of the source and the producer's event id, or of the body where it has none."""
    if producer_id is not None:
        return _uuid5(log_id.bytes, f"{source}\nid\n{producer_id}")
    digest = hashlib.sha256(_what_is_told(source, body)).hexdigest()
    return _uuid5(log_id.bytes, f"{source}\nsha256\n{digest}")


def _what_is_told(source: str, body: bytes) -> bytes:
    """The body; of Docker Hub's without its `callback_url`, which is another one each time that it tells of the same push."""
    if source != DOCKER_HUB or CALLBACK_URL not in body:
        return body
    try:
        event = from_json(body)
    except ValueError:
        return body
    if not isinstance(event, dict) or event.pop("callback_url", None) is None:
        return body
    return to_json(event)


def partition_of(push: str, partitions: int) -> int:
    """The partition of everything about that push; the same for all co-partitioned topics, permanently."""
    return int(push[:8], 16) % partitions


def push_of(chain_id: str) -> str:
    """The push_id that a chain id begins with, without reading the rest."""
    return chain_id[:UUID_LENGTH]


def webhook_id(chain_id: str, step: int) -> str:
    """The Standard Webhooks `webhook-id`: the same over all attempts of a step."""
    return f"{chain_id}-{step}"


def decision_id(chain_id: str, step: int, attempt: int | None, event_type: str) -> str:
    """`ce_id` of a decision: one written twice shows as such. The fold never uses it."""
    return _uuid5(uuid_bytes(push_of(chain_id)), f"{chain_id}\n{step}\n{attempt or 0}\n{event_type}")


def is_uuid(text: str) -> bool:
    """Is it written as every id here is, in lower case?"""
    return _UUID.fullmatch(text) is not None


def uuid_bytes(text: str) -> bytes:
    """`UUID(text).bytes` of a text that is one, in a fifth of its time."""
    return bytes.fromhex(text.replace("-", ""))


def uuid_text(data: bytes | bytearray) -> str:
    """`str(UUID(bytes=data))`, in a fifth of its time."""
    digits = data.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _uuid5(namespace: bytes, name: str) -> str:
    """`str(uuid5(UUID(bytes=namespace), name))`, in a third of its time: every push and every decision has one."""
    digest = bytearray(hashlib.sha1(namespace + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50  # version 5
    digest[8] = digest[8] & 0x3F | 0x80  # RFC 9562's variant
    return uuid_text(digest)
