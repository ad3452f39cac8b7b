"""The figures as a table: value, the floor's, ratio, target, met or not."""

from rich.console import Console
from rich.table import Table

from bench.figures import Figures
from bench.targets import TARGETS

__all__ = ["show"]


def show(ours: Figures, floor: Figures, console: Console) -> None:
    table = Table(title="Hookline, and the least program that does one delivery on the same stack")
    table.add_column("figure", overflow="fold")
    for heading in ("value", "floor", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("target")
    table.add_column("met")
    part = ""
    for key in _in_order(ours, floor):
        if part and key.partition(".")[0] != part:
            table.add_section()
        part = key.partition(".")[0]
        table.add_row(key, *_cells(key, ours.get(key), floor.get(key)))
    console.print(table)


def _in_order(ours: Figures, floor: Figures) -> list[str]:
    """Those of one part together, as they were measured."""
    keys = list(dict.fromkeys((*ours, *floor)))
    parts = list(dict.fromkeys(key.partition(".")[0] for key in keys))
    return sorted(keys, key=lambda key: parts.index(key.partition(".")[0]))


def _cells(key: str, value: float | None, floor: float | None) -> tuple[str, str, str, str, str]:
    ratio = f"{value / floor:.2f}" if value is not None and floor else ""
    target = TARGETS.get(key)
    if target is None or value is None:
        return _number(value), _number(floor), ratio, "", ""
    met = target.met(value, floor)
    said = {True: "[green]yes[/]", False: "[red]no[/]", None: "?"}[met]
    return _number(value), _number(floor), ratio, target.words, said


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
