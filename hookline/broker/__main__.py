"""`python -m hookline.broker fetch` downloads the jars; `... lock` resolves them anew, after a change of version."""

import argparse
import sys

from hookline.broker.jars import cache_dir, fetch, lock
from hookline.errors import BrokerError

EXAMPLES = """examples:
  python -m hookline.broker fetch                             into the cache folder, quick when all is there
  HOOKLINE_CACHE_DIR=/opt/jars python -m hookline.broker fetch
  python -m hookline.broker lock > hookline/broker/jars.json  for developers
"""


def main(arguments: list[str] | None = None) -> int:
    """0 when done, 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m hookline.broker",
        description="The jars of Hookline's own Kafka broker.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="fetch | lock")
    commands.add_parser("fetch", help="download the pinned jars that are not in the cache folder yet")
    commands.add_parser("lock", help="print a new jars.json: what the versions in jars.py need, from Maven Central")
    try:
        if parser.parse_args(arguments).command == "fetch":
            fetch(_say)
            _say(f"the broker's jars are in {cache_dir()}")
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
