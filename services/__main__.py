"""`python -m services NAME`: one service in the foreground, or the topics, as the container image does it (without the CLI and its Typer)."""

import runpy
import sys

NAMES = ("ingress", "dispatcher", "callbacks", "console")

USAGE = f"""usage: python -m services {{{",".join(NAMES)}}}
       python -m services topics create

Runs one of Hookline's services in the foreground until SIGTERM. Its settings are environment variables
with the prefix HOOKLINE_ (docs/settings.md); /livez, /readyz and /metrics are on its port + 1000.

topics create  make the topics that are missing, and the log's id, then end. Run again it changes nothing.

examples: HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 HOOKLINE_MASTER_KEYS=k1:... python -m services ingress
          HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 python -m services topics create
"""


def main(arguments: list[str]) -> int:
    match arguments:
        case ["-h" | "--help"]:
            sys.stdout.write(USAGE)
            return 0
        case [name] if name in NAMES:
            sys.argv[1:] = []
            runpy.run_module(f"services.{name}", run_name="__main__", alter_sys=True)
            return 0
        case ["topics", "create"]:
            return _create_topics()
        case _:
            sys.stderr.write(USAGE)
            return 2


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _create_topics() -> int:
    """1 where Kafka does not answer or has other topics, 2 for a wrong setting."""
    # Only here: a service of another name needs none of it.
    import asyncio
    import logging

    from hookline.errors import ConfigError, HooklineError
    from hookline.kafka.kafka_cluster import kafka_cluster
    from hookline.kafka.topics import create_topics
    from hookline.settings import load_settings

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it would print comes as our one sentence
    try:
        settings = load_settings()
        cluster = kafka_cluster(settings, "topics")
        work = create_topics(
            cluster,
            partitions=settings.partitions,
            replication=settings.replication,
            retention_days=settings.retention_days,
            tell=_say,
        )
        said = asyncio.run(work)
    except HooklineError as error:
        sys.stderr.write(f"hookline: {error}\n")
        return 2 if isinstance(error, ConfigError) else 1
    if not said:
        _say("nothing to do: all seven are there and fit")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
