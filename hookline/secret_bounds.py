"""Lower bounds of secrets that people choose: what is refused at start, and why, in words that never repeat the secret."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["MIN_PASSWORD", "MIN_TOKEN", "password_fault", "token_faults"]

MIN_PASSWORD = 8
"""Characters (OWASP ASVS 5.0, 6.2.1)."""
MIN_TOKEN = 16
"""Characters: nobody types a token, so it can be as long as nobody guesses."""
PASSWORD, TOKENS = "HOOKLINE_ADMIN_PASSWORD", "HOOKLINE_INGRESS_TOKENS"
_COMMON = Path(__file__).with_name("common_passwords.txt")


def password_fault(password: str) -> str | None:
    """What is wrong with the console's password; None for nothing."""
    if not password.strip():
        return (
            f"{PASSWORD} is empty: set it to the password that the console asks for (`hookline up` makes one by itself)"
        )
    if len(password) < MIN_PASSWORD:
        return f"{PASSWORD} is too short: at least {MIN_PASSWORD} characters, because anyone who reaches the console may try one"
    if password.lower() in _common():
        return f"{PASSWORD} is one of the 10,000 most common passwords: an attacker tries those first. Choose another"
    return None


def token_faults(tokens: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with each of the ingress tokens."""
    for number, token in enumerate(tokens, 1):
        if len(token) < MIN_TOKEN:
            yield (
                f"{TOKENS} entry {number} is too short: at least {MIN_TOKEN} characters, such as `openssl rand -hex 24` gives"
            )


@cache
def _common() -> frozenset[str]:
    """Of 8 characters and more; the file says whence they are, and under which licence."""
    lines = _COMMON.read_text().splitlines()
    return frozenset(line for line in lines if line and not line.startswith("# ") and line != "#")
