"""`hookline ingress / dispatcher / callbacks / console`: one service in the foreground, as a container runs it.

The only place that knows the services by their modules; `runpy` keeps them out of every other command.
"""

import os
import runpy
import sys
from typing import Annotated

import typer

__all__ = ["callbacks", "console", "dispatcher", "ingress"]


def _run(name: str, *arguments: str) -> None:
    sys.argv[1:] = arguments
    runpy.run_module(f"services.{name}", run_name="__main__", alter_sys=True)


def ingress(
    insecure_ingress: Annotated[
        bool,
        typer.Option("--insecure-ingress", help="Open the sources without a credential to anyone who can reach them."),
    ] = False,
) -> None:
    """Accepts events from registries: POST /events/{source}.

    Settings come from the environment; `hookline doctor` shows them, `hookline
    sources` what to paste into a registry's configuration.

    Examples:
        export HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092
        export HOOKLINE_INGRESS_TOKENS=...
        hookline ingress
    """
    if insecure_ingress:
        os.environ["HOOKLINE_INSECURE_INGRESS"] = "true"
    _run("ingress")


def dispatcher() -> None:
    """Calls the hooks, step by step, and records the outcome of each.

    Settings come from the environment; `hookline doctor` shows them.

    Example:
        export HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092
        export HOOKLINE_MASTER_KEYS=k1:...
        hookline dispatcher
    """
    _run("dispatcher")


def callbacks() -> None:
    """Accepts verdicts from receivers: POST to the callback_url that a hook was given.

    Settings come from the environment; `hookline doctor` shows them.

    Example:
        export HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092
        export HOOKLINE_MASTER_KEYS=k1:...
        hookline callbacks
    """
    _run("callbacks")


def console(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Drop the database, rebuild it from the logs, and exit.")
    ] = False,
) -> None:
    """Settings, the Docker Hub compatible API and the History pages.

    Settings come from the environment; `hookline doctor` shows them.

    Examples:
        export HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092
        export HOOKLINE_ADMIN_PASSWORD=...
        hookline console
        hookline console --rebuild           # nothing is lost: it is all in Kafka
    """
    _run("console", *(["--rebuild"] if rebuild else []))
