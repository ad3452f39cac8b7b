"""Hook URLs as they may be shown (hookline/web/masking.py, I11)."""

import pytest

from hookline.web.masking import mask_tokens, mask_url


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
