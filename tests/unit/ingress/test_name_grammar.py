"""What a push may name is checked once, for every source: what does not fit is in no chain, and quarantine says which field."""

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from hookline.chain.events import Payload
from hookline.chain.registry_names import RegistryNames
from services.ingress.contents import contents_of
from services.ingress.delivery import Delivery, Ignored, Push
from services.ingress.name_grammar import is_digest, is_registry, is_repository, is_tag
from services.ingress.source import Source
from tests.unit.ingress.conftest import TOKEN, Ingress

HEX = "0123456789abcdef" * 4
GOOD = {
    "repository": ["a", "library/nginx", "a/b/c/d", "a.b/c_d/e__f/g-h/i---j", "0/1", "a" * 255],
    "tag": ["v1", "1.2.3", "_x", "A-b.c_d", "latest", "a" * 128, "sha256-abc"],
    "digest": [f"sha256:{HEX}", f"sha512:{HEX * 2}", f"sha384:{HEX + HEX[:32]}", "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX"],
    "registry": ["docker.io", "localhost", "localhost:5000", "r.example.com:65535", "10.0.0.1:5000", "[::1]:5000", "xn--bcher-kva.example"],
}  # fmt: skip
BAD = {
    "repository": [
        "../../x", "a/../b", "a//b", "a b", "a\0b", "a:b", "a@b", "-a", "a-", "a..b", "a___b", "A/b", "ä/b", "a/b?c", "a%2fb",
        "a\n", "a/b/\u202e", "https://a/b", "a" * 256,
    ],
    "tag": ["", "team/api:1.2.3", "a b", "a:b", "-a", ".a", "a\n", "ä", "a\0", "a" * 129, "a\u202e", "a\x1b[2J"],
    "digest": ["", "sha256:", "sha256:aa", f"sha256:{HEX}0", f"sha256:{HEX.upper()}", HEX, "SHA256:aa", "sha256:a b", f"sha256:{HEX}\n", "x:" + "a" * 256],
    "registry": ["", "a b", "https://a", "a/b", "a:0", "a:65536", "a:port", "a:", "-a.b", "a..b", "a_b", "Ä", "a\0", "u@h", "a" * 64, "a.b\n"],
}  # fmt: skip
CHECKS = {"repository": is_repository, "tag": is_tag, "digest": is_digest, "registry": is_registry}


class Says(Source):
    """Makes of every body the push that it is given."""

    name: ClassVar[str] = "says"
    title: ClassVar[str] = "Says"
    setup: ClassVar[str] = ""

    def __init__(self, push: Push) -> None:
        self._push = push

    def normalise(self, event: Payload, delivery: Delivery) -> Push | Ignored:
        return self._push


def pushed(**fields: str) -> Push:
    return Push(
        **{"repository": "acme/app", "tag": "v1", "registry": "r.example.com", "digest": f"sha256:{HEX}"} | fields
    )


@pytest.mark.parametrize(("field", "text"), [(field, text) for field, texts in GOOD.items() for text in texts])
def test_what_fits(field: str, text: str) -> None:
    assert CHECKS[field](text)


@pytest.mark.parametrize(("field", "text"), [(field, text) for field, texts in BAD.items() for text in texts])
def test_what_does_not_fit_is_no_push_and_its_field_is_named(field: str, text: str) -> None:
    assert not CHECKS[field](text)
    contents = contents_of(Says(pushed(**{field: text})), Delivery(b"{}", {}, MultiDict()), RegistryNames())
    assert contents.pushes == []
    (unread,) = contents.unread
    assert unread.reason.startswith(f"{field}: ")
    assert len(text) < 2 or text not in unread.reason, "what somebody wrote is in the body, not in the reason"


def test_repository_and_registry_together_have_a_limit() -> None:
    long = pushed(repository="a" * 242)  # with `r.example.com/` one too many
    (unread,) = contents_of(Says(long), Delivery(b"{}", {}, MultiDict()), RegistryNames()).unread
    assert unread.reason.startswith("repository: with its registry")


@given(st.sampled_from(list(CHECKS)), st.text())
def test_no_text_is_taken_that_a_url_or_a_shell_reads_otherwise(field: str, text: str) -> None:
    if CHECKS[field](text):
        assert text.isascii()
        assert text.isprintable()
        assert not set(text) & set(" \"'<>?#%&\\$`;|(){}^~*!,")
        assert ".." not in text.split("/")


@pytest.mark.parametrize("name", ["../../x", "acme/a\0b", "acme/" + "a" * 8000, "acme/a b", "acme/app:a b"])
async def test_docker_hub_names_are_checked_too(ingress: Ingress, name: str) -> None:
    body = {"push_data": {"tag": "v1"} if ":" not in name else {}, "repository": {"repo_name": name}}
    answer = await ingress.client.post("/events/dockerhub", json=body, headers={"Authorization": "Bearer " + TOKEN})
    assert answer.status == 202
    assert ingress.pushes() == []
    assert [kept.reason.partition(":")[0] for kept in ingress.quarantine()] == ["tag" if ":" in name else "repository"]
