"""Text from outside, as a terminal may show it."""

import pytest

from hookline.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("acme/shop:1.0.0", "acme/shop:1.0.0"),
        ("grüße, 你好 🙂", "grüße, 你好 🙂"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b8m", r"\x9b8m"),  # CSI in one character
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        ("a\u2066b\u2069\u200b\ufeff", r"a\u2066b\u2069\u200b\ufeff"),
        ("\u2028\u2029\x85", r"\u2028\u2029\x85"),
        ("\udcff", r"\udcff"),
        ("\x00\x7f", r"\x00\x7f"),
        ("\U000e0041", r"\U000e0041"),  # a tag character: ASCII that nobody sees
    ],
)
def test_what_has_no_shape_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


def test_lines_stay_where_they_are_asked_for() -> None:
    assert visible("a\nb\r\n\x1bc", lines=True) == "a\nb\\r\n\\x1bc"


def test_no_character_at_all_is_left_that_has_no_shape() -> None:
    every = "".join(map(chr, range(0x110000)))
    assert visible(every).isprintable()
