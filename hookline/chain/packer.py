"""Chains to bytes and back, for snapshots: MessagePack arrays, plans and payloads once a record (design section 4, rule 3).

A record's layout (version 2): [version, plans, payloads, chains, windows]
  plans      JSON texts
  payloads   as `hookline.chain.payloads` made them
  chains     [id, cause, repository, first_step, plan index, payload index, steps, cancelled]
  steps      null where pending, else [failed, retry_at, was_blocked, expires_at, verdict, closing, seal, last_offset]
  windows    [push_id as 16 bytes, end of its window in Unix ms]
"""

from collections.abc import Iterable, Iterator, Mapping
from sys import intern
from typing import Any, TypeAlias

import msgpack

from hookline.chain.events import HaltReason, Plan, Verdict
from hookline.chain.ids import ChainId, uuid_bytes, uuid_text
from hookline.chain.state import PENDING, Chain, Closing, FirstVerdict, StepState

__all__ = ["ChainPacker", "ChainUnpacker"]

VERSION = 2
RECORD_BYTES = 256 * 1024
"""Payload and plan bytes after which a record is closed: far below 4 MiB, and a pause of a few ms for the event loop."""
WINDOWS_PER_RECORD = 10_000
UUID_BYTES = 16

_Packed: TypeAlias = list[Any]


class ChainPacker:
    """Packs open chains and windows into record values of bounded size."""

    def pack(self, chains: Iterable[Chain], windows: Mapping[str, int]) -> Iterator[bytes]:
        """Lazily, so that other work may go on between two records."""
        yield from self._chains(chains)
        items = list(windows.items())
        for at in range(0, len(items), WINDOWS_PER_RECORD):
            part = [(uuid_bytes(push), end) for push, end in items[at : at + WINDOWS_PER_RECORD]]
            yield msgpack.packb([VERSION, [], [], [], part])

    def _chains(self, chains: Iterable[Chain]) -> Iterator[bytes]:
        plans: dict[int, int] = {}
        plan_texts: list[bytes] = []
        payloads: list[bytes] = []
        packed: list[_Packed] = []
        size = 0
        for chain in chains:
            if (plan := plans.get(id(chain.plan))) is None:
                plan = plans[id(chain.plan)] = len(plan_texts)
                plan_texts.append(chain.plan.model_dump_json().encode())
                size += len(plan_texts[-1])
            # The chains of one push follow each other and share its payload.
            if not payloads or payloads[-1] is not chain.payload:
                payloads.append(chain.payload)
                size += len(chain.payload)
            packed.append(_pack_chain(chain, plan, len(payloads) - 1))
            size += 100
            if size >= RECORD_BYTES:
                yield msgpack.packb([VERSION, plan_texts, payloads, packed, []])
                plans, plan_texts, payloads, packed, size = {}, [], [], [], 0
        if packed:
            yield msgpack.packb([VERSION, plan_texts, payloads, packed, []])


class ChainUnpacker:
    """The opposite; equal plans become one object over all records."""

    def __init__(self, *, keep_payload: bool = True) -> None:
        self.chains: dict[str, Chain] = {}
        self.windows: dict[str, int] = {}
        self._keep_payload = keep_payload
        self._plans: dict[bytes, Plan] = {}

    def add(self, value: bytes) -> None:
        """Raises ValueError, and nothing else, for a version or shape that is not ours."""
        try:
            record: _Packed = msgpack.unpackb(value, strict_map_key=False)
            if not isinstance(record, list) or record[0] != VERSION:
                raise ValueError(f"a snapshot record of version {record[0] if isinstance(record, list) else '?'}")
            self._add(record)
        except (LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"a snapshot record of another shape ({type(error).__name__})") from error

    def _add(self, record: _Packed) -> None:
        _, plan_texts, payloads, chains, windows = record
        _check(all(type(payload) is bytes for payload in payloads), "a payload")
        plans = [self._plan(text) for text in plan_texts]
        if not self._keep_payload:
            payloads = [b""] * len(payloads)
        for packed in chains:
            chain = _unpack_chain(packed, plans, payloads)
            self.chains[chain.id] = chain
        for push, end in windows:
            _check(type(push) is bytes and len(push) == UUID_BYTES and type(end) is int, "a window")
            self.windows[uuid_text(push)] = end

    def _plan(self, text: bytes) -> Plan:
        if (plan := self._plans.get(text)) is None:
            plan = self._plans[text] = Plan.model_validate_json(text)
        return plan


def _pack_chain(chain: Chain, plan: int, payload: int) -> _Packed:
    steps = [None if state == PENDING else state for state in chain.steps]
    return [chain.id, chain.cause, chain.repository, chain.first_step, plan, payload, steps, chain.cancelled]


def _unpack_chain(packed: _Packed, plans: list[Plan], payloads: list[bytes]) -> Chain:
    chain_id, cause, repository, first_step, plan, payload, steps, cancelled = packed
    states = tuple(PENDING if state is None else _unpack_step(state) for state in steps)
    _check(type(cause) is int and ChainId.parse(chain_id).cause == cause, "a chain's cause")
    _check(type(repository) is str and type(cancelled) is bool, "a chain")
    _check(type(plan) is type(payload) is int and plan >= 0 and payload >= 0, "a chain's plan or payload")
    _check(len(states) == len(plans[plan].hooks), "a chain's steps")
    _check(type(first_step) is int and 1 <= first_step <= len(states), "a chain's first step")
    return Chain(chain_id, intern(repository), first_step, plans[plan], payloads[payload], states, cancelled)


def _unpack_step(packed: _Packed) -> StepState:
    failed, retry_at, was_blocked, expires_at, verdict, closing, seal, last_offset = packed
    _check(type(failed) is type(last_offset) is int and type(was_blocked) is bool, "a step")
    _check(retry_at is None or type(retry_at) is int, "a step's next attempt")
    _check(expires_at is None or type(expires_at) is int, "a step's deadline")
    _check(verdict is None or type(verdict[1]) is int, "a verdict")
    _check(closing is None or type(closing[1]) is int, "an intent")
    _check(seal is None or type(seal) is int, "a seal")
    return StepState(
        failed,
        retry_at,
        was_blocked,
        expires_at,
        None if verdict is None else FirstVerdict(Verdict(verdict[0]), verdict[1]),
        None if closing is None else Closing(HaltReason(closing[0]), closing[1]),
        seal,
        last_offset,
    )


def _check(fits: bool, what: str) -> None:
    """Raises ValueError: whoever folds what a snapshot holds need not doubt it any more."""
    if not fits:
        raise ValueError(f"{what} of a snapshot record is of another shape")
