"""`hookline ingress / dispatcher / callbacks / console`: one service in the foreground, as a container runs it."""

import os
from typing import Annotated

import typer

from hookline.cli.installed import run_service

__all__ = ["callbacks", "console", "dispatcher", "ingress"]


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
    run_service("ingress")


def dispatcher() -> None:
    """Calls the hooks, step by step, and records the outcome of each.

    Settings come from the environment; `hookline doctor` shows them.

    Example:
        export HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092
        export HOOKLINE_MASTER_KEYS=k1:...
        hookline dispatcher
    """
    run_service("dispatcher")


def callbacks() -> None:
    """Accepts verdicts from receivers: POST to the callback_url that a hook was given.

    Settings come from the environment; `hookline doctor` shows them.

    Example:
        export HOOKLINE_KAFKA_BOOTSTRAP_SERVERS=kafka:9092
        export HOOKLINE_MASTER_KEYS=k1:...
        hookline callbacks
    """
    run_service("callbacks")


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
    run_service("console", *(["--rebuild"] if rebuild else []))
