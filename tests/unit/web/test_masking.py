"""Hook URLs as they may be shown (hookline/web/masking.py, I11)."""

import base64

import pytest

from hookline.web.masking import mask_json, mask_tokens, mask_url
from tests.token_encodings import ENCODINGS, TOKEN, URL, tells


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ci.example.com/hook", "https://ci.example.com/hook"),
        ("https://ci.example.com:8443/a/b/?token=s3cret#x", "https://ci.example.com:8443/a/b/"),
        ("https://user:pass@ci.example.com/hook", "https://ci.example.com/hook"),
        (
            "https://hooks.slack.com/services/T0/B0/XXXXXXXXXXXXXXXXXXXXXXXX",
            "https://hooks.slack.com/services/T0/B0/***",
        ),
        ("https://x.example/12345678901234567890/y", "https://x.example/12345678901234567890/y"),
        ("https://x.example/123456789012345678901/y", "https://x.example/***/y"),
        ("https://x.example/12345-67890-12345-67890-1", "https://x.example/***"),
        ("https://x.example/%41%41%41%41%41%41%41%41%41%41%41", "https://x.example/***"),
        ("http://[::1]:9000/x", "http://[::1]:9000/x"),
        ("http://[::1", "***"),
        ("http://x.example:port/", "***"),
        ("s3cret", "***"),
        ("", "***"),
    ],
)
def test_mask(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_tokens_are_masked_wherever_they_stand() -> None:
    token = "ab2" * 34
    said = f'{{"callback_url":"http:\\/\\/h\\/hook\\/{token}\\/"}}'
    assert mask_tokens(said) == '{"callback_url":"http:\\/\\/h\\/hook\\/***\\/"}'
    digest = f"sha256:{'ab01' * 16}"
    assert mask_tokens(digest) == digest


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_token_is_masked_in_whatever_encoding_it_stands(encoding: str) -> None:
    encoded = ENCODINGS[encoding](URL)
    for said in (encoded, f"see {encoded}, please", f'{{"url":"{encoded}"}}'):
        shown = mask_tokens(said)
        assert "***" in shown
        assert not tells(shown, encoded)
        half = encoded[len(encoded) // 4 : -len(encoded) // 4]
        assert half not in shown
        assert mask_tokens(shown) == shown


@pytest.mark.parametrize("encoding", ["as it is", "quoted", "base64", "in JSON"])
def test_what_stands_around_a_token_is_left(encoding: str) -> None:
    said = mask_tokens(f"387 tests PASSED, told {ENCODINGS[encoding](URL)} so")
    assert said.startswith("387 tests PASSED, told ")
    assert said.endswith(" so")


@pytest.mark.parametrize(
    "said",
    [
        "387 tests PASSED. " * 60,
        "<html><body>502 Bad Gateway</body></html>" * 20,
        f"sha256:{'ab01' * 16} sha384:{'ab01' * 24}",
        "9f86d081-884c-4d63-a0aa-5e6f6f6f6f6f " * 20,
        "%C3%A9" * 100,
        "&eacute;&#233;" * 60,
        base64.b64encode(bytes(range(256)) * 3).decode(),
        base64.b64encode(b"387 tests PASSED. " * 30).decode(),
        "https://ci.example/job/app/1284/console?x=" + "abcdefgh" * 30,
        "",
    ],
)
def test_what_has_no_token_stays_as_it_is(said: str) -> None:
    assert mask_tokens(said) == said


def test_json_is_masked_in_names_and_values() -> None:
    assert mask_json({"a": [URL, 1, None, {TOKEN: True}]}) == {"a": [URL.replace(TOKEN, "***"), 1, None, {"***": True}]}
