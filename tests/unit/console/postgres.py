"""A PostgreSQL server of the test's own, from Debian's programs where they are found; on a socket in its folder, no port."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PostgresMissing", "run_postgres"]

PROGRAMS = "usr/lib/postgresql/*/bin/initdb"
START_S = 60


class PostgresMissing(Exception):
    """Why there is none here, in words."""


@contextlib.contextmanager
def run_postgres() -> Iterator[str]:
    """The URL of a running server's database. Raises PostgresMissing."""
    programs = _programs()
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="hookline-pg-"))
    try:
        os.chmod(folder, 0o700)
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        data = folder / "data"
        _run(user, folder, programs / "initdb", "-D", data, "-U", "hookline", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses='' -c fsync=off -k {folder}"
        log = folder / "log"
        _run(user, folder, programs / "pg_ctl", "-D", data, "-l", log, "-w", "-t", START_S, "-o", options, "start")
        try:
            yield f"postgresql://hookline@/postgres?host={folder}"
        finally:
            _run(user, folder, programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = sorted(Path("/").glob(PROGRAMS))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise PostgresMissing(f"no PostgreSQL here: neither /{PROGRAMS} nor initdb on the PATH")
    return Path(on_path).resolve().parent


def _user() -> pwd.struct_passwd | None:
    """Who runs the server: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresMissing("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")


def _run(user: pwd.struct_passwd | None, folder: Path, *command: object) -> None:
    became = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
    # Its output into a file: a server that pg_ctl started would hold a pipe open.
    said = folder / f"said-{os.getpid()}"
    with said.open("w") as output:
        ended = subprocess.run(
            list(map(str, command)),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            timeout=2 * START_S,
            check=False,
            **became,
        )
    if ended.returncode:
        raise RuntimeError(f"{command[0]} ended with {ended.returncode}:\n{said.read_text()}")
