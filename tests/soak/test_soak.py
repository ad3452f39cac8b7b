"""A short soak on one broker: nothing is lost, nothing repeats without a reason, and all who judge agree."""

from pathlib import Path

import pytest

from tests.soak.plan import make_plan
from tests.soak.run import run_soak

SECONDS = 90.0
SEED = 3


@pytest.mark.timeout(600)
async def test_short_soak(tmp_path: Path) -> None:
    plan = make_plan(SEED, SECONDS)
    report = await run_soak(plan, tmp_path, print)
    report.show()
    assert report.findings == ()
    assert report.lost == report.unexplained_duplicates == 0
    assert report.checkpoints > 0
    assert report.pushes >= len({push.tag for push in plan.pushes})
    assert sum(report.faults.values()) > len(plan.faults) > 0, "each fault was made, and clocks were skewed"
