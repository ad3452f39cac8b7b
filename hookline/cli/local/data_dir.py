"""The folder of one `hookline up`: Kafka's data, the console's database, secrets, logs; used by one process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hookline.errors import ConfigError

__all__ = ["DataDir"]


class DataDir:
    """`DIR` with what lies in it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.kafka = self.path / "kafka"
        self.logs = self.path / "logs"

    def log_of(self, service: str) -> Path:
        return self.logs / f"{service}.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and hold it. Raises ConfigError when it cannot be made or another process holds it.

        The system drops the lock when this process ends, however it ends.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot use {self.path} as data folder: {error.strerror or error}") from None
        with os.fdopen(descriptor, "r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = file.read().strip()
                who = f" (process {holder})" if holder else ""
                raise ConfigError(
                    f"another `hookline up`{who} runs on {self.path}: stop it, or use another folder with --data DIR "
                    "and other ports (HOOKLINE_KAFKA_PORT, HOOKLINE_INGRESS_PORT, ...)"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
