"""Two short soaks, on one broker and on three: nothing is lost, nothing repeats without a reason, all who judge agree, and every
fault was really made."""

from pathlib import Path

import pytest

from tests.soak.fault_plan import Kind, kinds_of
from tests.soak.plan import Plan, make_plan
from tests.soak.report import Report
from tests.soak.run import run_soak

SEED_OF_ONE, SECONDS_OF_ONE = 1, 180.0
SEED_OF_THREE, SECONDS_OF_THREE = 1, 120.0
KINDS_OF_ONE = tuple(kind for kind in kinds_of(1) if kind != "disk-full")
"""A disk of a limited size needs a namespace of mounts: `scripts/soak` has one."""
KINDS_OF_THREE = (
    "stop-leader", "kill-controller", "kill-broker", "freeze-broker", "damage", "kill-all", "zombie", "pause",
    "refuse-answers", "hold-requests",
)  # fmt: skip
"""What is another thing with three brokers; the soak on one makes the rest."""


async def _soaked(plan: Plan, kinds: tuple[Kind, ...], folder: Path) -> Report:
    """The plan has each of these kinds, and it came to nothing bad."""
    assert {fault.kind for fault in plan.faults} == set(kinds)
    report = await run_soak(plan, folder, print)
    report.show()
    assert report.findings == ()
    assert report.lost == report.unexplained_duplicates == 0
    assert report.checkpoints > 0
    assert report.pushes >= len({push.tag for push in plan.pushes if push.at_s < plan.seconds}) / 2
    assert report.faults == report.planned, "each fault was made, and seen"
    return report


@pytest.mark.timeout(900)
async def test_three_minutes_on_one_broker(tmp_path: Path) -> None:
    await _soaked(make_plan(SEED_OF_ONE, SECONDS_OF_ONE, 1, kinds=KINDS_OF_ONE), KINDS_OF_ONE, tmp_path)


@pytest.mark.timeout(900)
async def test_two_minutes_on_three_brokers(tmp_path: Path) -> None:
    plan = make_plan(SEED_OF_THREE, SECONDS_OF_THREE, 3, kinds=KINDS_OF_THREE)
    await _soaked(plan, KINDS_OF_THREE, tmp_path)
