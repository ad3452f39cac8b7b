"""What a soak came to: one table for people, one object for machines."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.soak.judge import Judgement
from tests.soak.ledger import Ledgers
from tests.soak.naive import ChainSeen, Damage
from tests.soak.plan import Plan

__all__ = ["Report", "make_report"]

NO_SMALL_DISK = "disk full: not made (a disk of a limited size needs `unshare --mount`, and one broker)"


@dataclass(frozen=True)
class Report:
    """`longest_recovery_s`: from when a fault was lifted until every service was ready. `ends`: chains by how they ended.

    `faults`: how often each kind was made, and seen to be; `planned`: how often it was to be made.

    `damaged`: records of the only copy of a batch that was damaged: they are excused, and not among the lost.

    `checkpoints`: partitions whose last snapshot was compared with the fold."""

    seed: int
    pushes: int
    orders: dict[str, int]
    chains: int
    posts: int
    duplicates: int
    unexplained_duplicates: int
    explained_by: dict[str, int]
    lost: int
    faults: dict[str, int]
    planned: dict[str, int]
    longest_recovery_s: float
    ends: dict[str, int]
    unanswered: dict[str, int]
    checkpoints: int
    damaged: int
    findings: tuple[str, ...]

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self) | {"findings": len(self.findings), "said": self.findings}) + "\n")

    def show(self) -> None:
        table = Table(title=f"soak, seed {self.seed}", show_header=False)
        rows = {
            "pushes answered": self.pushes,
            "chains": f"{self.chains} ({_words(self.ends)})",
            "orders of users answered": _words(self.orders),
            "POSTs seen by receivers": self.posts,
            "duplicates": f"{self.duplicates} ({_words(self.explained_by)})",
            "  of them unexplained": self.unexplained_duplicates,
            "unanswered, so unknown": _words(self.unanswered),
            "lost": self.lost,
            "taken by damaged batches": self.damaged,
            "partitions with a checkpoint": self.checkpoints,
            "faults seen": f"{sum(self.faults.values())} of {sum(self.planned.values())} ({_words(self.faults)})",
            "": "" if "disk-full" in self.faults else NO_SMALL_DISK,
            "longest recovery": f"{self.longest_recovery_s:.1f} s",
            "findings": len(self.findings),
        }
        for name, value in rows.items():
            table.add_row(name, str(value))
        Console().print(table)
        for finding in self.findings:
            print(finding)


def make_report(
    plan: Plan,
    chains: dict[str, ChainSeen],
    ledgers: Ledgers,
    judgement: Judgement,
    findings: list[str],
    checkpoints: int,
    damaged: Sequence[Damage] = (),
) -> Report:
    """`findings`: those of the judgement and all others."""
    faults = Counter(fault.kind for fault in ledgers.happened if fault.proof)
    return Report(
        seed=plan.seed,
        pushes=sum(push.status is not None and push.status < 300 for push in ledgers.pushed),
        orders=dict(Counter(order.action for order in ledgers.ordered if order.status == 202)),
        chains=len(chains),
        posts=len(ledgers.seen),
        duplicates=judgement.repeats.duplicates,
        unexplained_duplicates=len(judgement.repeats.unexplained),
        explained_by=judgement.repeats.explained_by,
        lost=judgement.lost,
        faults=dict(sorted(faults.items())),
        planned=dict(sorted(Counter(fault.kind for fault in plan.faults).items())),
        longest_recovery_s=round(max((fault.recovery_s for fault in ledgers.happened), default=0.0), 1),
        ends=dict(Counter(chain.end[0] if chain.end else "open" for chain in chains.values())),
        unanswered={
            "pushes": sum(push.status is None for push in ledgers.pushed),
            "callbacks": sum(call.status is None for call in ledgers.called),
            "orders": sum(order.status is None for order in ledgers.ordered),
        },
        checkpoints=checkpoints,
        damaged=sum(len(damage.lost) for damage in damaged),
        findings=tuple(findings),
    )


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{word} {count}" for word, count in counts.items()) or "-"
