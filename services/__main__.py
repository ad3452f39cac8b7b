"""`python -m services NAME`: one service in the foreground, as the container image starts it (without the CLI and its Typer)."""

import runpy
import sys

NAMES = ("ingress", "dispatcher", "callbacks", "console")

USAGE = f"""usage: python -m services {{{",".join(NAMES)}}}

Runs one of Hookline's services in the foreground until SIGTERM. Its settings are environment variables
with the prefix HOOKLINE_ (docs/settings.md); /livez, /readyz and /metrics are on its port + 1000.

example: HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092 HOOKLINE_MASTER_KEYS=k1:... python -m services ingress
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
        case _:
            sys.stderr.write(USAGE)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
