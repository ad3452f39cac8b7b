"""Names. The vectors here are written out: changing one would give every push, or every partition, a new meaning."""

from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.chain.ids import ChainId, decision_id, partition_of, push_id, uuid_bytes, uuid_text, webhook_id
from tests.kit.events import LOG_ID

PUSH = "6b8f3a52-1111-5222-8333-444455556666"

chain_ids = st.builds(
    lambda push, offset, n, run: ChainId(str(push), offset, n, run),
    st.uuids(),
    *[st.integers(0, 2**63 - 1)] * 3,
)


@given(chain_ids)
def test_a_chain_id_survives_its_text(made: ChainId) -> None:
    assert ChainId.parse(str(made)) == made


def test_a_chain_id_reads_push_offset_n_run() -> None:
    assert str(ChainId(PUSH, 7, 1, 0)) == f"{PUSH}-7-1-0"


@pytest.mark.parametrize(
    "text",
    [
        "", "x", PUSH, f"{PUSH}-7-1", f"{PUSH}-7-1-0-0", f"{PUSH}-7-1-", f"{PUSH}-+7-1-0", f"{PUSH}-07-1-0", f"{PUSH}--7-1-0",
        f"{PUSH}-7-1-0 ", f" {PUSH}-7-1-0", f"{PUSH}-7-1_0-0", f"{PUSH}-٧-1-0", f"{PUSH.upper()}-7-1-0",
        f"{PUSH.replace('-', '')}-7-1-0", f"{{{PUSH}}}-7-1-0", f"{PUSH[:-1]}-7-1-0",
    ],
)  # fmt: skip
def test_nothing_else_is_a_chain_id(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        ChainId.parse(text)


def test_the_cause_is_the_push_for_the_first_run_and_the_request_for_a_later_one() -> None:
    assert ChainId(PUSH, 7, 1, 0).cause == 7
    assert ChainId(PUSH, 7, 1, 1).cause == 0, "a request at offset 0 is not the first run"
    assert ChainId(PUSH, 7, 1, 43).cause == 42


def test_push_id_vectors() -> None:
    assert push_id(LOG_ID, "dockerhub", None, b"{}") == "497fe80c-fd7e-525e-ab56-fddf504b956d"
    assert push_id(LOG_ID, "distribution", "evt-1", b"") == "42ddaf6e-350b-5f68-8584-e75314f5f123"
    sha256_of_braces = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert push_id(LOG_ID, "dockerhub", None, b"{}") == str(uuid5(LOG_ID, f"dockerhub\nsha256\n{sha256_of_braces}"))


def test_push_id_depends_on_log_source_and_producer_id_or_body() -> None:
    made = [
        push_id(LOG_ID, "dockerhub", None, b"1"),
        push_id(LOG_ID, "dockerhub", None, b"2"),
        push_id(LOG_ID, "quay", None, b"1"),
        push_id(UUID(int=1), "dockerhub", None, b"1"),
        push_id(LOG_ID, "dockerhub", "1", b"1"),
        push_id(LOG_ID, "dockerhub", "2", b"1"),
        push_id(LOG_ID, "quay", "1", b"1"),
    ]
    assert len(set(made)) == len(made)
    assert push_id(LOG_ID, "quay", "1", b"1") == push_id(LOG_ID, "quay", "1", b"other"), "the producer's id is enough"
    assert all(UUID(name).version == 5 for name in made)


@pytest.mark.parametrize(
    ("push", "of_12", "of_24", "of_5"),
    [
        ("00000000-0000-5000-8000-000000000000", 0, 0, 0),
        ("0000000b-0000-5000-8000-000000000000", 11, 11, 1),
        ("0000000c-0000-5000-8000-000000000000", 0, 12, 2),
        ("ffffffff-ffff-5fff-bfff-ffffffffffff", 3, 15, 0),
        (PUSH, 6, 18, 0),
        ("497fe80c-fd7e-525e-ab56-fddf504b956d", 0, 12, 4),
        ("42ddaf6e-350b-5f68-8584-e75314f5f123", 2, 14, 2),
    ],
)
def test_partition_vectors(push: str, of_12: int, of_24: int, of_5: int) -> None:
    assert (partition_of(push, 12), partition_of(push, 24), partition_of(push, 5)) == (of_12, of_24, of_5)
    assert partition_of(push, 1) == 0


@given(st.lists(st.uuids(), min_size=1), st.integers(1, 200))
def test_partitions_are_in_range(pushes: list[UUID], partitions: int) -> None:
    assert all(0 <= partition_of(str(p), partitions) < partitions for p in pushes)


def test_pushes_spread_over_the_partitions() -> None:
    counts = [0] * 12
    for number in range(12_000):
        counts[partition_of(push_id(LOG_ID, "test", str(number), b""), 12)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


def test_webhook_id_is_the_same_over_all_attempts() -> None:
    assert webhook_id(f"{PUSH}-7-1-0", 2) == f"{PUSH}-7-1-0-2"


def test_decision_id_vectors() -> None:
    chain = f"{PUSH}-7-0-0"
    delivered = decision_id(chain, 2, 3, "hookline.HookDelivered.v1")
    assert delivered == "45eb9c58-f98a-5f10-96fb-4323ce3ec7cd"
    assert decision_id(chain, 2, None, "hookline.StepClosing.v1") == "f8feb51d-55ee-55a9-a52c-0443b8c3fa83"
    others = {
        decision_id(f"{PUSH}-7-0-1", 2, 3, "hookline.HookDelivered.v1"),
        decision_id(chain, 1, 3, "hookline.HookDelivered.v1"),
        decision_id(chain, 2, 2, "hookline.HookDelivered.v1"),
        decision_id(chain, 2, 3, "hookline.HookAttemptFailed.v1"),
    }
    assert len(others | {delivered}) == 5


@given(st.uuids(), st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.binary())
def test_names_are_version_5_uuids(namespace: UUID, told: str, body: bytes) -> None:
    assert push_id(namespace, "s", told, body) == str(uuid5(namespace, f"s\nid\n{told}"))
    assert decision_id(f"{namespace}-1-0-0", 1, 2, "t") == str(uuid5(namespace, f"{namespace}-1-0-0\n1\n2\nt"))


@given(st.uuids())
def test_uuids_to_bytes_and_back(made: UUID) -> None:
    assert (uuid_text(made.bytes), uuid_bytes(str(made))) == (str(made), made.bytes)
