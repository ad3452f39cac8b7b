"""Text from outside as a terminal may show it: what would move the cursor, hide, link or reorder text is written out (CWE-150)."""

__all__ = ["visible"]


def visible(text: str, *, lines: bool = False) -> str:
    r"""`text` with every character that has no shape of its own as Python writes it: ESC as `\x1b`, a newline as `\n`.

    So are bidirectional controls, zero-width characters, spaces that look like others, and halves of surrogate pairs.
    lines: newlines stay, for text whose lines are put where they cannot be taken for ours.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or (lines and letter == "\n") else _written(letter) for letter in text
    )


def _written(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
