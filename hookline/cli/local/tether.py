"""Starts a program that dies with its parent: `python tether.py PARENT_PID PROGRAM ARGUMENT...`.

`hookline up` may itself be killed with -9 and must leave nobody behind. Linux does that for us: PR_SET_PDEATHSIG is
kept over `exec`, and `exec` keeps the process id, so the program is the parent's own child and `ps` shows its own name.
SIGKILL, because everything here is crash only and a new `up` wants the ports at once. Elsewhere the
program just runs. Imports nothing but the standard library, so that it is there in 10 ms.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, then become the program. The parent's thread that forked must stay alive."""
    parent, program = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we were tied to it
            sys.exit(1)
    os.execvp(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
