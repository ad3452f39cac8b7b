"""People at the console: they cancel chains and run them again; each request is made again until it is answered."""

import asyncio
from collections.abc import Callable, Sequence

import aiohttp

from tests.integration.system import PASSWORD
from tests.soak.ledger import Ledgers, Ordered, now_ms
from tests.soak.plan import OrderPlan

__all__ = ["Operators", "log_in"]

PATIENCE_S = 30.0
PAUSE_S = 1.0
RECENT = {"cancel": 3, "run": 20}
"""Of the last POSTs that receivers saw, how many an order may be about: a chain that is over cannot be cancelled."""


async def log_in(http: aiohttp.ClientSession, url: str) -> dict[str, str]:
    """The header that later requests carry."""
    login = {"username": "admin", "password": PASSWORD}
    async with http.post(f"{url}/v2/users/login/", json=login) as answer:
        return {"Authorization": f"JWT {(await answer.json())['token']}"}


class Operators:
    """`url`: the console."""

    def __init__(self, url: str, headers: dict[str, str], ledgers: Ledgers) -> None:
        self._url = url
        self._headers = headers
        self._ledgers = ledgers

    async def run(self, orders: Sequence[OrderPlan], is_over: Callable[[float], bool]) -> None:
        """Return when the last order is answered, or given up. is_over: as for `Registries.run`."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), headers=self._headers) as http,
            asyncio.TaskGroup() as group,
        ):
            for order in orders:
                await asyncio.sleep(max(0.0, began + order.at_s - loop.time()))
                if is_over(order.at_s):
                    return
                if recent := self._ledgers.seen[-RECENT[order.action] :]:
                    chosen = recent[int(order.which * len(recent))].webhook_id.rpartition("-")[0]
                    group.create_task(self._order(http, order, chosen))

    async def _order(self, http: aiohttp.ClientSession, order: OrderPlan, chain_id: str) -> None:
        began = now_ms()
        while now_ms() - began < PATIENCE_S * 1000:
            status, made = await self._post(http, order, chain_id)
            self._ledgers.ordered.append(Ordered(order.action, chain_id, order.key, now_ms(), status, made))
            if status is not None and status < 500:
                return
            await asyncio.sleep(PAUSE_S)

    async def _post(self, http: aiohttp.ClientSession, order: OrderPlan, chain_id: str) -> tuple[int | None, str]:
        url = f"{self._url}/api/chains/{chain_id}/{order.action}"
        body = {"from_step": 1} if order.action == "run" else {}
        try:
            async with http.post(url, json=body, headers={"Idempotency-Key": order.key}) as answer:
                made = await answer.json()
                return answer.status, made.get("chain_id", "")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None, ""
