"""The one user of the console: the name and password of the settings, compared in a time that says nothing about them."""

import hmac
from hashlib import sha256

from hookline.errors import ConfigError
from hookline.secret_bounds import password_fault
from hookline.settings import Settings

__all__ = ["Administrator"]


class Administrator:
    """Who may log in."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError without a name, and a password that is not to be guessed."""
        self.name, self._password = settings.admin_username, settings.admin_password.get_secret_value()
        if not self.name:
            raise ConfigError("HOOKLINE_ADMIN_USERNAME is empty: set it to the name that the console asks for")
        if (fault := password_fault(self._password)) is not None:
            raise ConfigError(fault)

    def is_named(self, name: str) -> bool:
        return _same(name, self.name)

    def is_right(self, name: str, password: str) -> bool:
        """Takes the same time whichever is wrong."""
        right_name, right_password = self.is_named(name), _same(password, self._password)
        return right_name and right_password

    def fingerprint(self, key: bytes) -> str:
        """Of name and password, under that key: another for another password."""
        return hmac.digest(key, f"{self.name}\n{self._password}".encode(), sha256).hex()[:32]


def _same(given: str, right: str) -> bool:
    """In a time that says nothing about how much of it is right."""
    digests = (sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (given, right))
    return hmac.compare_digest(*digests)
