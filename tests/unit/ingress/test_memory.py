"""What clients without a credential cost in memory, measured from outside."""

import pytest

from tests.unit.ingress.siege import besieged, others_answered, together

ABORTED = 300
MOST_MB = 64
"""More than before; a body that stayed would be one each, and 1.7 as they were."""


@pytest.mark.parametrize("source", ["dockerhub", "github"])
async def test_aborted_uploads_leave_no_memory_behind(source: str) -> None:
    """Whether the head is refused, or the body must be read to tell."""
    async with besieged() as ingress:
        await together([lambda: ingress.abort(source)] * 20, 4)
        before = ingress.memory()
        async with others_answered(ingress) as times:
            await together([lambda: ingress.abort(source)] * ABORTED, 4)
        assert times
        assert ingress.memory("VmHWM") - before < MOST_MB
