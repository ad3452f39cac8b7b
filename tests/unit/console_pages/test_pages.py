"""What each page says."""

from collections.abc import Sequence

import pytest

from hookline.chain.events import CancelRequested, HaltReason, RedeliveryRequested, Verdict
from hookline.errors import AppendFailed, NotAuthorised, RecordTooLarge
from hookline.log.codec import decode
from hookline.log.records import Topic
from tests.unit.console.histories import plan, push
from tests.unit.console.running import PARTITIONS, Running
from tests.unit.console_pages.visiting import Page, Visitor
from tests.unit.console_pages.world import World


def in_order(page: Page, texts: Sequence[str]) -> None:
    at = 0
    for text in texts:
        assert text in page.text[at:], (text, page.text[at:])
        at = page.text.index(text, at) + len(text)


def commands(console: Running) -> list[object]:
    return [decode(raw).event for p in range(PARTITIONS) for raw in console.records(Topic.COMMANDS, p)]


async def test_an_empty_console_says_how_to_begin(console: Running, visitor: Visitor) -> None:
    page = await visitor.get("/")
    assert "There is no pipeline yet" in page.text
    assert f"curl -sS {console.base}/v2/repositories/acme/shop/webhook_pipeline/" in page.text
    assert "No push has come yet" in (await visitor.get("/pushes")).text


async def test_overview(world: World, visitor: Visitor) -> None:
    page = await visitor.get("/")
    in_order(page, ["acme/shop", "release 3 hooks", "pending 1.5.0", "notify 1 hook", "success 1.4.0", "nightly"])
    in_order(page, ["nightly", "not active", "no chain yet", "evil/repo", "team/group/app", "deep", "pending v10"])
    assert f"/chains/{world.chains['retrying']}" in page.links


async def test_search(world: World, visitor: Visitor) -> None:
    form = (await visitor.get("/")).form("/")
    assert (form.method, form.fields) == ("get", {"repository": ""})
    page = await visitor.get("/?repository=GROUP")
    assert "team/group/app" in page.text
    assert "acme/shop" not in page.text
    none = await visitor.get("/?repository=%3Cb%3E")
    assert "No repository with pipelines has <b> in its name" in none.text


async def test_overview_has_pages(console: Running, visitor: Visitor) -> None:
    for number in range(3):
        await console.make(f"acme/app{number}")
    first = await visitor.get("/?page_size=2")
    in_order(first, ["acme/app0", "acme/app1", "1–2 of 3 repositories", "Next"])
    assert "Previous" not in first.text
    second = await visitor.get(next(link for link in first.links if "page=2" in link))
    in_order(second, ["acme/app2", "3–3 of 3 repositories", "Previous"])
    assert "Next" not in second.text
    assert "This list has no such page" in (await visitor.get("/?page=9", status=404)).text
    assert "page: Must be a whole number" in (await visitor.get("/?page=x", status=400)).text


async def test_repository(world: World, visitor: Visitor) -> None:
    page = await visitor.get("/repositories/acme/shop/")
    in_order(page, ["acme/shop", "release", "Last chain: pending", "1.5.0", "Hooks, in order"])
    in_order(page, ["test http://receiver.example/***/run", "scan https://receiver.example/scan", "deploy"])
    in_order(page, ["Callback deadline 1 day", "expected: the last hook's success", "Attempts 10, each given 15 s"])
    in_order(page, ["waits of 5 s, 5 min, 30 min, 2 h", "Artifacts images, indexes", "Registry any"])
    in_order(page, ["notify", "not expected: delivering the last hook", "Attempts one, given 15 s"])
    in_order(page, ["nightly not active", "Last chain: no chain yet", "Registry registry.example:5000"])
    in_order(
        page,
        [
            "Recent pushes",
            "no-plan Helm chart",
            "Nothing.",
            "1.5.0",
            "pending release",
            "success release",
            "All 6 pushes",
        ],
    )
    assert "/pushes?repository=acme/shop" in page.links


async def test_a_pipeline_of_many_repositories(world: World, visitor: Visitor) -> None:
    assert "/repositories/tools/%2A" in (await visitor.get("/")).links
    page = await visitor.get("/repositories/tools/%2A")
    in_order(page, ["tools/*", "all Last chain: pending tools/cli:v2", "Tags v* or <b>"])
    in_order(
        page,
        ["Artifacts indexes, SBOMs", "Same image again starts nothing: only a tag's new digest does", "None came yet."],
    )
    in_order(await visitor.get(f"/pipelines/{world.pipelines['all']}"), ["tools/*", "all", "pending tools/cli:v2"])
    in_order(
        await visitor.get("/repositories/tools/cli"), ["tools/cli", "all", "For all of tools/*", "Recent pushes", "v2"]
    )
    in_order(await visitor.get("/repositories/tools/none"), ["tools/none", "all", "None came yet."])


async def test_repository_without_pipelines(world: World, visitor: Visitor) -> None:
    page = await visitor.get("/repositories/alpine")
    in_order(page, ["alpine", "No pipeline", "3.22", "No pipeline is registered for alpine."])


async def test_the_path_of_a_pipeline_by_its_name_leads_to_its_history(world: World, visitor: Visitor) -> None:
    for path in ("/repositories/acme/shop/release", "/repositories/team/group/app/deep"):
        assert (await visitor.get(path, status=303)).location.startswith("/pipelines/")
    for path in ("/repositories/acme/shop/none", "/repositories/x", "/repositories/..%2f", "/repositories/A%20B"):
        await visitor.get(path, status=404)


async def test_history(world: World, visitor: Visitor) -> None:
    page = await visitor.get(f"/pipelines/{world.pipelines['shop']}")
    in_order(page, ["acme/shop", "release", "History", "pending", "1.5.0", "2", "its receiver answered 500"])
    in_order(page, ["error cancelled", "1.5.0-rc1", "error callback_timeout", "1.4.2"])
    in_order(page, ["pending", "1.4.1 run again", "failure callback_failure", "1.4.1", "2 critical vulnerabilities"])
    in_order(page, ["success", "1.4.0", "3", "1161 tests PASSED https://ci.example.com/runs/8", "1–6 of 6 chains"])
    assert "https://ci.example.com/runs/8" in page.links
    assert ("div", {"id": "history", "data-live": ""}) in page.elements


async def test_history_is_paged_as_the_api(console: Running, world: World, visitor: Visitor) -> None:
    path = f"/pipelines/{world.pipelines['shop']}"
    listed = (await console.get(f"/api{path}/history?page=2&page_size=2"))["results"]
    page = await visitor.get(f"{path}?page=2&page_size=2")
    chains = [link.removeprefix("/chains/") for link in page.links if link.startswith("/chains/")]
    assert chains == [row["uuid"] for row in listed]
    assert f"{path}?page=1&page_size=2" in page.links
    assert f"{path}?page=3&page_size=2" in page.links


async def test_history_without_chains_and_of_a_deleted_pipeline(
    console: Running, world: World, visitor: Visitor
) -> None:
    idle = await visitor.get(f"/pipelines/{world.pipelines['idle']}")
    in_order(idle, ["nightly not active", "No push has started it yet"])
    for name in ("nightly", "notify"):
        await console.call("DELETE", f"/v2/repositories/acme/shop/webhook_pipeline/{name}/")
    await visitor.get(f"/pipelines/{world.pipelines['idle']}", status=404)
    page = await visitor.get(f"/pipelines/{world.pipelines['notify']}")
    in_order(page, ["acme/shop", "notify deleted", "success", "1.4.0"])
    assert "success deleted pipeline" in (await visitor.get("/pushes?repository=acme/shop")).text


async def test_timeline(console: Running, world: World, visitor: Visitor) -> None:
    chain = world.chains["completed"]
    page = await visitor.get(f"/chains/{chain}")
    in_order(page, ["1.4.0 success", "Completed: every step reported success.", "✓ 1. test success", "✓ 3. deploy"])
    in_order(
        page, ["Push received", "tag 1.4.0", "digest sha256:abab", "artifact index", "pusher mara", "source dockerhub"]
    )
    in_order(page, ["Step 1 (test): attempt 1 failed", "error status: its receiver answered 500", "took 12 ms"])
    in_order(page, ["next attempt", "Step 1 (test): attempt 2 delivered", "status 200", "verdict until", "thanks"])
    in_order(page, ["Step 1 (test): verdict success", "description 387 tests PASSED", "context CI", "target_url https"])
    in_order(page, ["from 192.0.2.1", "Step 3 (deploy): verdict success", "Completed", "Also started by this push"])
    in_order(page, ["success notify", f"chain {chain}"])
    api = await console.get(f"/api/chains/{chain}")
    times = [given["datetime"] for tag, given in page.elements if tag == "time"]
    for event in api["timeline"]:
        assert f"{event['topic']}[{event['partition']}]@{event['offset']}" in page.text
        assert event["at"] in times
    assert f"pushes[{api['push']['partition']}]@{chain.offset}" in page.text
    assert "data-live" not in page.source
    assert "live.js" not in page.source


async def test_timeline_of_what_is_under_way(world: World, visitor: Visitor) -> None:
    page = await visitor.get(f"/chains/{world.chains['retrying']}")
    in_order(page, ["1.5.0 pending", "Step 2 of 3: 1 attempt failed; the next one is due at", "1 h ago"])
    in_order(page, ["✓ 1. test success", "2 2. scan attempt 2 due", "3 3. deploy not reached", "Cancel this chain"])
    assert [form.action for form in page.forms] == ["/logout", f"/chains/{world.chains['retrying']}/cancel"]
    assert any(tag == "script" and "/static/live.js?v=" in given["src"] for tag, given in page.elements)
    assert {given["id"] for _, given in page.elements if "data-live" in given} == {
        "head",
        "steps",
        "actions",
        "timeline",
    }


async def test_void_entries_say_why(world: World, visitor: Visitor) -> None:
    page = await visitor.get(f"/chains/{world.chains['failure']}")
    in_order(page, ["Halted at step 2 of 3: its receiver reported failure.", "✕ 2. scan halted: callback_failure"])
    in_order(page, ["verdict failure", "Halted at step 2: callback_failure", "verdict success void"])
    in_order(page, ["Does not count: this step had a verdict already", "changed my mind"])
    fenced = await visitor.get(f"/chains/{world.chains['timeout']}")
    in_order(fenced, ["being closed", "sealed, later verdicts are void", "verdict success void"])
    in_order(
        fenced,
        [
            "verdict success void",
            "Does not count: this step had been sealed already",
            "a minute late",
            "Halted at step 1: callback_timeout",
            "Step 2 (scan): attempt 1 delivered void",
        ],
    )
    assert "Does not count: written by a dispatcher that had lost this partition" in fenced.text
    assert page.source.count('<li class="good void">') == 1


async def test_a_seal_that_does_not_count_says_why(console: Running, world: World, visitor: Visitor) -> None:
    chain = world.chains["retrying"]
    console.writing.sealed(chain, 2, 0)
    console.writing.sealed(chain, 9, 0)
    await console.projected()
    page = await visitor.get(f"/chains/{chain}")
    in_order(
        page, ["sealed", "it is not for the first intent to halt at this step", "this chain does not have that step"]
    )


async def test_a_second_end_is_void(console: Running, world: World, visitor: Visitor) -> None:
    chain = world.chains["cancelled"]
    console.writing.halted(chain, 1, HaltReason.GONE)
    await console.projected()
    in_order(await visitor.get(f"/chains/{chain}"), ["Halted at step 1: gone void", "the chain had ended already"])


async def test_runs_count_1_2_3(world: World, visitor: Visitor) -> None:
    page = await visitor.get(f"/chains/{world.chains['rerun']}")
    in_order(page, ["1.4.1 pending", "Step 2 of 3 was delivered; its verdict is awaited until", "– 1. test skipped"])
    in_order(page, ["run 1 failure", "run 2 pending", "Run again from step 2", "asked by admin", "commands["])
    in_order(page, ["Push", "tag 1.4.1", "pushes["])
    current = [given["href"] for tag, given in page.elements if tag == "a" and "aria-current" in given]
    assert current == [f"/chains/{world.chains['rerun']}"]


async def test_last_step_without_a_final_callback(world: World, visitor: Visitor) -> None:
    page = await visitor.get(f"/chains/{world.chains['notified']}")
    in_order(page, ["success", "the last step was delivered, and no final callback is expected", "✓ Step 1 delivered"])
    assert "verdict until" not in page.text


async def test_a_chain_that_started_a_moment_ago_is_waited_for(console: Running, visitor: Visitor) -> None:
    (chain,) = console.writing.push(push(1, (plan(),), received_at=console.writing.now))
    assert "Step 1 of 3 is due: its hook is being called." in (await visitor.get(f"/chains/{chain}")).text


async def test_cancel(console: Running, world: World, visitor: Visitor) -> None:
    chain = world.chains["retrying"]
    form = (await visitor.get(f"/chains/{chain}")).form("/cancel")
    done = await visitor.send(form, reason="  wrong <b>tag</b> ")
    assert (done.status, done.location) == (303, f"/chains/{chain}")
    event = next(e for e in commands(console) if isinstance(e, CancelRequested) and e.chain_id == str(chain))
    assert (event.by, event.reason) == ("admin", "wrong <b>tag</b>")
    page = await visitor.get(done.location)
    in_order(page, ["A user cancelled it, and it is about to halt at step 2.", "Cancel", "asked by admin"])
    assert "reason wrong <b>tag</b>" in page.text
    assert len(page.forms) == 1, "it is asked for, there is nothing more to press"
    console.writing.halted(chain, 2, HaltReason.CANCELLED)
    await console.projected()
    in_order(
        await visitor.get(f"/chains/{chain}"), ["1.5.0 error", "Halted at step 2 of 3: it was cancelled.", "Run again"]
    )
    late = await visitor.send(form)
    assert late.status == 400
    in_order(late, ["The chain is over: error, cancelled.", "1.5.0 error"])


async def test_run_again(console: Running, world: World, visitor: Visitor) -> None:
    chain = world.chains["failure"]
    form = (await visitor.get(f"/chains/{chain}")).form("/run")
    assert form.fields["from_step"] == "2", "where it halted"
    done = await visitor.send(form, from_step="1")
    assert done.status == 303
    twice = await visitor.send(form, from_step="1")
    assert twice.location == done.location
    asked = [e for e in commands(console) if isinstance(e, RedeliveryRequested) and e.from_step == 1]
    assert len(asked) == 1
    in_order(await visitor.get(done.location), ["pending", "run 1 failure", "run 2 pending", "run 3 pending"])
    fresh = (await visitor.get(f"/chains/{chain}")).form("/run")
    assert (await visitor.send(fresh, from_step="1")).location != done.location, "another form, another run"
    other = await visitor.send(form, from_step="3")
    assert other.status == 400
    assert "was used for a run from step 1" in other.text


@pytest.mark.parametrize("step", ["0", "4", "-1", "x", "", "1e1", "99999999"])
async def test_run_again_from_a_step_that_is_not_there(
    console: Running, world: World, visitor: Visitor, step: str
) -> None:
    before = len(commands(console))
    form = (await visitor.get(f"/chains/{world.chains['failure']}")).form("/run")
    page = await visitor.send(form, from_step=step)
    assert page.status == 400
    assert "Must be a step of the chain: 1 to 3." in page.text
    assert len(commands(console)) == before


async def test_pushes(world: World, visitor: Visitor) -> None:
    page = await visitor.get("/pushes")
    in_order(page, ["alpine", "3.22", "dockerhub by mara", "Nothing. No pipeline is registered for alpine.", "pushes["])
    in_order(page, ["team/group/app", "v10", "Nothing. It repeats the push at offset", "pending deep"])
    in_order(page, ["nobody/here", "acme/shop", "no-plan Helm chart", "other.example", "Nothing."])
    in_order(page, ["success release", "success notify", "1–13 of 13 pushes"])
    nothing = await visitor.get("/pushes?repository=&started=false")
    assert nothing.text.count("Nothing.") == 5
    assert "pending" not in nothing.text
    assert nothing.form("/pushes").fields["started"] == "false"
    some = await visitor.get("/pushes?repository=acme/shop&started=true&page_size=2")
    assert "Nothing." not in some.text
    assert "/pushes?repository=acme/shop&started=true&page_size=2&page=2" in some.links
    assert "started: Must be true or false." in (await visitor.get("/pushes?started=maybe", status=400)).text


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nothing", "There is no such page."),
        ("/chains/x", "There is no such chain."),
        ("/chains/00000000-0000-4000-8000-000000000001-0-0-0", "There is no such chain."),
        ("/pipelines/none", "There is no such pipeline"),
        ("/repositories/%7F", "There is no such repository."),
    ],
)
async def test_pages_that_are_not_there(visitor: Visitor, path: str, said: str) -> None:
    page = await visitor.get(path, status=404)
    in_order(page, ["Hookline", "admin", "Not Found", said])


async def test_kafka_away(console: Running, world: World, visitor: Visitor) -> None:
    form = (await visitor.get(f"/chains/{world.chains['retrying']}")).form("/cancel")
    console.appends.fail = AppendFailed("no ack")
    page = await visitor.send(form)
    assert page.status == 503
    assert page.headers["Retry-After"] == "1"
    assert f"/chains/{world.chains['retrying']}" in page.links, "its page, where the form can be sent again"
    assert "not acknowledged by Kafka" in page.text


async def test_what_kafka_does_not_take(console: Running, world: World, visitor: Visitor) -> None:
    form = (await visitor.get(f"/chains/{world.chains['retrying']}")).form("/cancel")
    console.appends.fail = RecordTooLarge("x.commands does not take a record of 5 bytes")
    page = await visitor.send(form)
    assert (page.status, "Retry-After" in page.headers) == (413, False)
    assert "This is too large for Kafka's topic as configured." in page.text
    console.appends.fail = NotAuthorised("Kafka does not let us write to x.commands")
    page = await visitor.send(form)
    assert (page.status, page.headers["Retry-After"]) == (503, "5")
    assert "an operator must grant it the right" in page.text


async def test_a_verdict_after_which_the_chain_is_about_to_end(console: Running, visitor: Visitor) -> None:
    (chain,) = console.writing.push(push(1, (plan(),), received_at=console.writing.now))
    console.writing.verdict(chain, 1, Verdict.ERROR)
    await console.projected()
    in_order(
        await visitor.get(f"/chains/{chain}"), ["pending", "Step 1 of 3 reported error; the chain is about to end."]
    )


async def test_a_step_that_is_being_closed(console: Running, visitor: Visitor) -> None:
    (chain,) = console.writing.push(push(1, (plan(),), received_at=console.writing.now))
    console.writing.failed(chain, 1, last=True)
    await console.projected()
    page = await visitor.get(f"/chains/{chain}")
    in_order(page, ["Step 1 of 3 is being closed: it could not be delivered", "being closed", "next attempt none"])


async def test_every_step_done_and_not_completed_yet(console: Running, visitor: Visitor) -> None:
    (chain,) = console.writing.push(push(1, (plan(hooks=1),), received_at=console.writing.now))
    console.writing.verdict(chain, 1)
    await console.projected()
    assert "Every step reported success; it is about to be completed." in (await visitor.get(f"/chains/{chain}")).text


async def test_a_hooks_secret_is_rotated_from_its_repositorys_page(
    world: World, console: Running, visitor: Visitor
) -> None:
    """Also of a pipeline for a glob, whose page has its own address."""
    for repository, key in (("acme/shop", "shop"), ("tools/*", "all")):
        hook = (await console.get(f"/api/pipelines/{world.pipelines[key]}"))["webhooks"][0]
        path = f"/repositories/{repository}"
        form = (await visitor.get(path)).form(f"/hooks/{hook['id']}/rotate")
        assert form.fields["grace"] == "24"
        assert "again" not in form.fields
        answer = await visitor.send(form, grace="2")
        assert (answer.status, answer.headers["Location"]) == (303, path)
        page = await visitor.get(path)
        assert "Secret 2; the one before it is good until" in page.text
        assert "again" in page.form(f"/hooks/{hook['id']}/rotate").fields, "what a box gives that is ticked"
        refused = await visitor.send(form, grace="2")
        assert refused.status == 400
        assert "still signs" in refused.text
        assert (await visitor.send(form, grace="0", again="yes")).status == 303
        assert "Secret 3" in (await visitor.get(path)).text
        for wrong in ("", "-1", "721", "x", "99999999"):
            assert (await visitor.send(form, grace=wrong, again="yes")).status == 400
        now = (await console.get(f"/api/pipelines/{world.pipelines[key]}"))["webhooks"][0]
        assert (now["secret_version"], now["secret_before_until"]) == (3, None)
