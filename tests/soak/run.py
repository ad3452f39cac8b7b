"""One soak from its beginning to its judgement."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

from tests.integration.system import TOKEN
from tests.soak.faults import Faults, not_made
from tests.soak.judge import compare, judge
from tests.soak.ledger import Ledgers
from tests.soak.naive import ChainSeen, fold, read_log
from tests.soak.operators import Operators, log_in
from tests.soak.plan import PipelinePlan, Plan
from tests.soak.product import audit, console_rows, product_fold
from tests.soak.receivers import Receivers
from tests.soak.registries import Registries
from tests.soak.report import Report, make_report
from tests.soak.stage import PREFIX, Stage

__all__ = ["run_soak"]

QUIET_S = 120.0
"""How long after the load every chain may take to its end; a chain with a deadline still to come may be open then."""
LEVEL_S = 30.0
"""How long after that the console may take to read the rest."""
LOOK_S = 2.0


async def run_soak(plan: Plan, folder: Path, say: Callable[[str], None], *, may_mount: bool = False) -> Report:
    """may_mount: there is a namespace of mounts of our own, so the broker's disk can be a small one. Raises what the stage raises where the system does not start or get whole again."""
    ledgers = Ledgers()
    receivers = Receivers(plan.seed, ledgers)
    stage = Stage(folder, plan.brokers, plan.skews_ms, say, may_mount=may_mount)
    await receivers.start()
    try:
        async with stage.running():
            say(f"{plan.brokers} broker(s) and the services are ready")
            headers = await _make_pipelines(stage, receivers, plan)
            await _load(stage, ledgers, plan, headers, say)
            say("the load is over; waiting for every chain's end")
            await _quiet(stage, receivers)
            return await _judge(stage, ledgers, plan)
    finally:
        await receivers.stop()


async def _load(
    stage: Stage, ledgers: Ledgers, plan: Plan, headers: dict[str, str], say: Callable[[str], None]
) -> None:
    """`headers`: those of someone who is logged in."""
    registries = Registries(stage.url("ingress"), TOKEN, ledgers)
    operators = Operators(stage.url("console"), headers, ledgers)
    made = asyncio.Event()

    def is_over(at_s: float) -> bool:
        """Where recoveries take long the last fault comes late, and there must be something that it disturbs."""
        return made.is_set() and at_s > plan.seconds

    pushing = asyncio.create_task(registries.run(plan.pushes, is_over))
    ordering = asyncio.create_task(operators.run(plan.orders, is_over))
    try:
        await Faults(stage, ledgers, lambda: not pushing.done(), say).run(plan.faults)
        made.set()
        await asyncio.gather(pushing, ordering)
    finally:
        pushing.cancel()
        ordering.cancel()


async def _make_pipelines(stage: Stage, receivers: Receivers, plan: Plan) -> dict[str, str]:
    """The headers of the one who made them."""
    async with aiohttp.ClientSession() as http:
        headers = await log_in(http, stage.url("console"))
        for pipeline in plan.pipelines:
            path = f"/v2/repositories/{pipeline.repository}/webhook_pipeline/"
            body = _settings(pipeline, receivers)
            async with http.post(stage.url("console") + path, json=body, headers=headers) as answer:
                assert answer.status == 201, await answer.text()
    return headers


def _settings(pipeline: PipelinePlan, receivers: Receivers) -> dict[str, object]:
    deadline = pipeline.callback_deadline_s
    steps = range(1, pipeline.hooks + 1)
    return {
        "name": pipeline.name,
        "webhooks": [{"name": f"h{n}", "hook_url": receivers.url(pipeline.name, n, deadline)} for n in steps],
        "expect_final_callback": pipeline.expect_final_callback,
        "callback_deadline": deadline,
        "timeout": pipeline.timeout_s,
        "retry_delays": list(pipeline.retry_delays_s),
    }


async def _quiet(stage: Stage, receivers: Receivers) -> None:
    """Return when every chain has ended and no receiver has anything to say, or when that takes too long."""
    deadline = time.monotonic() + QUIET_S
    while time.monotonic() < deadline:
        chains = fold(await read_log(stage.servers, PREFIX, damaged=stage.damaged))
        if not receivers.busy and all(chain.end for chain in chains.values()):
            return
        await asyncio.sleep(LOOK_S)


async def _judge(stage: Stage, ledgers: Ledgers, plan: Plan) -> Report:
    log = await read_log(stage.servers, PREFIX, damaged=stage.damaged)
    chains = fold(log)
    wrong_rows = await _wrong_rows(stage, chains)
    judgement = judge(log, chains, ledgers, stage.damaged)
    audited, checkpoints = await audit(stage, settled=True)
    findings = [
        *judgement.findings,
        *compare("fold", chains, await product_fold(stage)),
        *wrong_rows,
        *audited,
        *(f"died {said}" for said in stage.died),
        *not_made(plan.faults, ledgers.happened, may_fill=stage.disk is not None),
    ]
    return make_report(plan, chains, ledgers, judgement, findings, checkpoints, stage.damaged)


async def _wrong_rows(stage: Stage, chains: dict[str, ChainSeen]) -> list[str]:
    """Where the console's rows differ from the fold, once it had time to read the rest."""
    deadline = time.monotonic() + LEVEL_S
    while True:
        wrong = list(compare("console", chains, console_rows(stage)))
        if not wrong or time.monotonic() > deadline:
            return wrong
        await asyncio.sleep(LOOK_S)
