"""`python -m hookline.broker fetch` downloads the jars; `... lock` resolves and pins them anew after a change of version."""

import argparse
import sys

from hookline.broker.jars import fetch, lock
from hookline.errors import BrokerError


def main() -> int:
    """0 when done, 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m hookline.broker", description="The jars of Hookline's own Kafka broker."
    )
    parser.add_argument(
        "command",
        choices=("fetch", "lock"),
        help="fetch: download the pinned jars into the cache folder (HOOKLINE_CACHE_DIR), if they are not there; "
        "lock: for developers: resolve them from Maven Central and print the new jars.json",
    )
    try:
        if parser.parse_args().command == "fetch":
            fetch(_say)
        else:
            sys.stdout.write(lock())
    except BrokerError as error:
        _say(str(error))
        return 1
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
