"""Composition root of the console: `python -m services.console`, and `--rebuild` and `--check` of its database."""

import sys
from collections.abc import Callable

from hookline.clock import Clock
from hookline.errors import ConfigError, HooklineError
from hookline.kafka.check import LogCheck
from hookline.kafka.kafka_cluster import kafka_cluster
from hookline.log.records import Topic
from hookline.settings import Settings, load_settings
from hookline.visible import visible
from hookline.web.logging import configure_logging
from hookline.web.service import EXIT_CONFIG, EXIT_FAILED, run
from services.console.fit import check_database
from services.console.rebuild import rebuild_database
from services.console.service import Console

USAGE = """usage: python -m services.console [--rebuild | --check]

Runs the console in the foreground until SIGTERM. Its settings are environment variables with the prefix HOOKLINE_
(docs/settings.md); /livez, /readyz and /metrics are on its port + 1000.

--rebuild  drop the console's database and read the logs into it anew, then end. A console that is running may go on
           running: then that one does it. Nothing is lost: the logs in Kafka hold everything.
--check    say whether the database fits the log, and what to do where it does not. Reads only.
"""


def build(settings: Settings, clock: Clock) -> Console:
    """Raises ConfigError."""
    cluster = kafka_cluster(settings, "console")
    return Console(settings, clock, cluster, check_log=LogCheck(cluster, writes=(Topic.COMMANDS, Topic.PIPELINES)))


def main(arguments: list[str]) -> int:
    match arguments:
        case []:
            run(build, lambda settings: settings.console_port)
            return 0
        case ["--rebuild"]:
            return _done(rebuild_database)
        case ["--check"]:
            return _done(lambda settings: sys.stdout.write(f"{check_database(settings)}\n"))
        case ["-h" | "--help"]:
            sys.stdout.write(USAGE)
            return 0
        case _:
            sys.stderr.write(USAGE)
            return EXIT_CONFIG


def _done(work: Callable[[Settings], object]) -> int:
    """Its exit code."""
    try:
        settings = load_settings()
        configure_logging(settings.log_format, settings.log_level)
        work(settings)
    except HooklineError as error:
        sys.stderr.write(f"hookline: {visible(str(error), lines=True)}\n")
        return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
