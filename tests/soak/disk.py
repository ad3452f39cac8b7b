"""A disk of a limited size for the broker, to be filled and freed: a tmpfs, which needs a mount namespace of our own."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["SmallDisk"]

SIZE_MB = 400
"""More than a broker wants free when it starts, and little enough to fill."""
CHUNK = b"\0" * 1024 * 1024


class SmallDisk:
    """`scripts/soak` runs us in a namespace of mounts where it may: then a mount is gone with us, however we end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ballast = folder / "ballast"

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Raises CalledProcessError where that may not be."""
        self._folder.mkdir(parents=True, exist_ok=True)
        where = str(self._folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", where], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", where], check=True)

    def fill(self) -> None:
        """Not a byte is left."""
        with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while file.write(CHUNK):
                pass

    def left(self) -> int:
        """Bytes that can still be written."""
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)
