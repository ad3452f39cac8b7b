"""Durations, relative times, a sentence for every word, and which addresses become links."""

import pytest

from hookline.chain.events import AttemptError, HaltReason, HookAttemptFailed, ReadTo
from hookline.times import duration, milliseconds, relative
from hookline.web.masking import mask_tokens
from services.console.attempt_words import attempt_words
from services.console.pages.addresses import is_link, repository_path
from services.console.pages.words import reason_words
from tests.token_encodings import ENCODINGS, URL

NOW = 1_700_000_000_000


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (5, "5 s"),
        (90, "1 min 30 s"),
        (300, "5 min"),
        (3600, "1 h"),
        (3605, "1 h"),
        (50_400, "14 h"),
        (86_400, "1 day"),
        (90_000, "1 day 1 h"),
        (2_592_000, "30 days"),
    ],
)
def test_duration(seconds: int, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(("took", "said"), [(0, "0 ms"), (999, "999 ms"), (1250, "1.2 s"), (125_000, "2 min 5 s")])
def test_milliseconds(took: int, said: str) -> None:
    assert milliseconds(took) == said


@pytest.mark.parametrize(
    ("before_ms", "said"),
    [
        (0, "just now"),
        (-1999, "just now"),
        (2000, "2 s ago"),
        (59_999, "59 s ago"),
        (3_599_000, "59 min ago"),
        (86_399_000, "23 h ago"),
        (2 * 86_400_000, "2 days ago"),
        (-300_000, "in 5 min"),
        (-86_400_000, "in 1 day"),
    ],
)
def test_relative(before_ms: int, said: str) -> None:
    assert relative(NOW - before_ms, NOW) == said


def test_every_word_of_the_api_has_a_sentence() -> None:
    assert all(reason_words(reason) for reason in HaltReason)
    assert all(attempt_words(failed(error)) for error in AttemptError)
    assert attempt_words(failed(AttemptError.STATUS, status=503)) == "its receiver answered 503"
    assert attempt_words(failed(AttemptError.DNS, detail="there is no host with that name")).endswith(
        "did not resolve: there is no host with that name"
    )


def failed(error: AttemptError, **said: object) -> HookAttemptFailed:
    about = {
        "cause": 0,
        "chain_id": "c",
        "step": 1,
        "read_to": ReadTo(pushes=0, callbacks=0, commands=0),
        "decided_at": 1,
    }
    return HookAttemptFailed.model_validate(
        {**about, "attempt": 1, "started_at": 1, "took_ms": 1, "error": error, **said}
    )


@pytest.mark.parametrize("url", ["http://a.example", "HTTPS://a.example/x?y#z", "https://ü.example/"])
def test_links(url: str) -> None:
    assert is_link(url)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "javascript://x/%0aalert(1)",
        "JaVaScRiPt:alert(1)",
        " http://x",
        "java\nscript:alert(1)",
        "http://x\ny",
        "data:text/html,x",
        "//x.example",
        "/local",
        "http:x",
        "http:///x",
        "https://",
        "ftp://x",
        "",
    ],
)
def test_no_links(url: str) -> None:
    assert not is_link(url)


@pytest.mark.parametrize(
    ("repository", "path"),
    [
        ("acme/shop", "/repositories/acme/shop"),
        ("alpine", "/repositories/alpine"),
        ("acme/*", "/repositories/acme/%2A"),
        ("acme/v[0-9]?", "/repositories/acme/v%5B0-9%5D%3F"),
        ("acme/../*", "/pushes?repository=acme%2F..%2F%2A"),
        ("a/../b", "/pushes?repository=a%2F..%2Fb"),
        ("Acme/shop", "/pushes?repository=Acme%2Fshop"),
        ("a b?", "/pushes?repository=a+b%3F"),
    ],
)
def test_the_page_of_a_repository(repository: str, path: str) -> None:
    assert repository_path(repository) == path


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_links_to_what_is_masked_are_none(encoding: str) -> None:
    """A receiver's own callback URL as its `target_url`, as earlier versions wrote it, and as it is written now."""
    for url in (URL, f"https://ci.example/?back={ENCODINGS[encoding](URL)}"):
        assert not is_link(url)
        assert not is_link(mask_tokens(url))
