"""Payloads and chains as they lie in memory and in snapshots."""

import threading

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.chain.events import AttemptError, HaltReason, Payload
from hookline.chain.fold import PartitionFold
from hookline.chain.packer import RECORD_BYTES, WINDOWS_PER_RECORD, ChainPacker, ChainUnpacker
from hookline.chain.payloads import pack_payload, payload_json, unpack_payload
from hookline.chain.state import Chain
from tests.kit.events import START, plan, push
from tests.unit.chain.logs import Logs

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_a_payload_comes_back_as_it_was_in_its_order(payload: Payload) -> None:
    got = unpack_payload(pack_payload(payload))
    assert got == payload
    assert repr(got) == repr(payload), "order of keys, 1 and 1.0 and True told apart"


def test_a_payload_is_packed_json() -> None:
    payload: Payload = {"callback_url": "x", "push_data": {"pushed_at": 1417566161}}
    assert payload_json(pack_payload(payload)) == b'{"callback_url":"x","push_data":{"pushed_at":1417566161}}'
    assert len(pack_payload({"a": "b" * 2000})) < 100


def test_packing_is_the_same_every_time_and_in_every_thread() -> None:
    payload: Payload = {"repository": {"repo_name": "acme/app", "n": [*range(100)]}}
    packed: list[bytes] = []
    threads = [threading.Thread(target=lambda: packed.append(pack_payload(payload))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(packed) == {pack_payload(payload)}


def round_trip(chains: dict[str, Chain], windows: dict[str, int], **kwargs: bool) -> ChainUnpacker:
    unpacker = ChainUnpacker(**kwargs)
    for record in ChainPacker().pack(chains.values(), windows):
        unpacker.add(record)
    return unpacker


def test_chains_in_every_state_come_back() -> None:
    logs = Logs()
    logs.fence()
    first, second, third = logs.push(plan(3), plan(2, n=1), plan(1, n=2))
    run = logs.rerun(first, plan(5), from_step=4)
    logs.failed(first, 1, next_attempt_at=START + 5, error=AttemptError.BLOCKED)
    logs.verdict(first, 1)
    logs.delivered(first, 2)
    logs.sealed(first, 2, logs.closing(first, 2))
    logs.failed(second, 1, last=True)
    logs.cancel(run)
    fold = logs.fold()
    got = round_trip(fold.chains, fold.repeats.until)
    assert got.chains == fold.chains
    assert list(got.chains) == [first, second, third, run]
    assert got.windows == fold.repeats.until
    closing = got.chains[first].step(2).closing
    assert closing is not None
    assert closing.reason is HaltReason.CALLBACK_TIMEOUT
    assert got.chains[first].step(2).seal == 1


def test_a_reader_of_steps_only_gets_no_payloads() -> None:
    fold = PartitionFold()
    fold.fold(push(plan()), 0, START)
    (chain,) = round_trip(fold.chains, {}, keep_payload=False).chains.values()
    assert chain.payload == b""


def test_equal_plans_become_one_and_chains_of_a_push_share_a_payload() -> None:
    fold = PartitionFold()
    fold.fold(push(plan(), plan(n=1), name="a"), 0, START)
    fold.fold(push(plan(), name="b"), 1, START)
    first, second, third = round_trip(fold.chains, {}).chains.values()
    assert first.plan is third.plan
    assert first.payload is second.payload


def test_records_are_bounded() -> None:
    fold = PartitionFold()
    noise = ["".join(f"{(i * 7919 + j * 104729) % 1000003:x}" for j in range(400)) for i in range(500)]
    for i, text in enumerate(noise):
        fold.fold(push(plan(20), plan(20, n=1), name=str(i)).model_copy(update={"payload": {"noise": text}}), i, START)
    windows = {push(name=str(i)).push_id: i for i in range(WINDOWS_PER_RECORD + 1)}
    records = list(ChainPacker().pack(fold.chains.values(), windows))
    assert len(records) > 3
    assert max(map(len, records)) < 3 * RECORD_BYTES
    got = ChainUnpacker()
    for record in records:
        got.add(record)
    assert got.chains == fold.chains
    assert got.windows == windows


def test_nothing_makes_no_record() -> None:
    assert list(ChainPacker().pack((), {})) == []


@pytest.mark.parametrize("value", [msgpack.packb([1, [], [], [], []]), msgpack.packb({}), msgpack.packb(1)])
def test_a_record_of_another_version_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="version"):
        ChainUnpacker().add(value)


def packed_records() -> list[bytes]:
    logs = Logs()
    logs.fence()
    (first,) = logs.push(plan(2))
    logs.failed(first, 1, next_attempt_at=START + 5_000)
    logs.verdict(first, 1)
    logs.closing(first, 2)
    logs.push(plan(), name="b")
    return list(ChainPacker().pack(logs.fold().chains.values(), {push().push_id: START}))


@given(st.data())
def test_what_is_packed_otherwise_is_refused_by_a_value_error_and_nothing_else(data: st.DataObject) -> None:
    """So that no reader of a snapshot meets a shape that it is not ready for."""
    value = bytearray(data.draw(st.sampled_from(packed_records())))
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    unpacker = ChainUnpacker()
    try:
        unpacker.add(bytes(value))
    except ValueError:
        return
    for chain in unpacker.chains.values():
        assert 1 <= chain.first_step <= len(chain.steps) == len(chain.plan.hooks)
        assert chain.cause >= 0
        assert chain.current >= chain.first_step
    assert all(type(end) is int for end in unpacker.windows.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [(0, "no id"), (1, 7), (2, None), (3, 0), (3, 3), (4, -1), (4, 9), (5, 9), (6, []), (7, 1)],
)  # fmt: skip
def test_a_chain_that_contradicts_itself_is_refused(field: int, value: object) -> None:
    record = msgpack.unpackb(packed_records()[0])
    record[3][0][field] = value

    with pytest.raises(ValueError, match=r"shape|not a chain id"):
        ChainUnpacker().add(msgpack.packb(record))
