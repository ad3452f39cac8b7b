"""Packed payloads: what lies in memory and in snapshots opens again, whatever packed it."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json
from zstandard import ZstdCompressor

from hookline.chain.payloads import COMMON, pack_payload, payload_json, unpack_payload

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON))
def test_what_is_packed_opens_as_it_was(payload: dict[str, object]) -> None:
    assert unpack_payload(pack_payload(payload)) == payload
    assert payload_json(pack_payload(payload)) == to_json(payload)


def test_what_was_packed_without_the_common_text_still_opens() -> None:
    payload = {"push_data": {"tag": "1"}, "repository": {"name": "app", "status": "Active"}}
    assert unpack_payload(ZstdCompressor().compress(to_json(payload))) == payload


def test_the_common_text_is_never_changed() -> None:
    """Snapshots in every installation were packed with it. A better one needs a new version of their records."""
    assert sha256(COMMON).hexdigest() == "a23e106e318b8fae37e799b280322110e40427fb35e311bddb24e5a9fd2be171"
