"""A pipeline that would make a repository's pushes too large is refused when it is saved."""

import random
from itertools import product

import pytest

from hookline.chain.matching import matches_repository
from hookline.chain.pipeline import Hook, Pipeline
from services.console.plan_sizes import MAX_PLANS_BYTES, plans_bytes, plans_fault
from tests.unit.console.running import Running

LONG = "http://receiver.example/" + "x" * 2000
FAT = {"webhooks": [{"hook_url": f"{LONG}{n}"} for n in range(20)]}


def pipeline(repository: str, name: str = "p", hooks: int = 1, **more: object) -> Pipeline:
    made = tuple(Hook(id=f"h{n}", key="k1", name=str(n), url=LONG, created_at=1, updated_at=1) for n in range(hooks))
    said = {"pipeline_id": name, "repository": repository, "name": name, "slug": name, "hooks": made}
    return Pipeline.model_validate({**said, "created_at": 1, "updated_at": 1, **more})


ONE = len(pipeline("a/b").plan(0).model_dump_json())


@pytest.mark.parametrize(
    ("others", "saved", "plans"),
    [
        ([], "a/b", 1),
        (["a/b", "a/b"], "a/b", 3),
        (["a/c", "c/b"], "a/b", 1),
        (["*", "a/*", "c/*", "*/b", "*/c"], "a/b", 4),
        (["a/b", "a/b", "a/c"], "a/*", 3),
        (["a/b", "c/d"], "*", 2),
        (["a/*", "*/b"], "*", 3),
        (["c/*"], "a/*", 1),
        (["*-x"], "*-y", 1),
        (["[ab]/*"], "a/*", 2),
        (["*[xy]"], "*x", 2),
    ],
)
def test_whose_plans_count(others: list[str], saved: str, plans: int) -> None:
    assert plans_bytes(map(pipeline, others), pipeline(saved)) == plans * ONE


def test_pipelines_that_are_not_active_have_no_plans() -> None:
    assert plans_bytes([pipeline("a/b", active=False)], pipeline("a/b")) == ONE
    fat = [pipeline("a/b", hooks=500)]
    assert plans_fault(fat, None, pipeline("a/b", active=False)) is None
    assert plans_fault(fat, None, pipeline("a/b", hooks=20)) is not None


def test_no_push_has_more_than_is_reckoned() -> None:
    """Over random globs and every short repository."""
    rng = random.Random(14)
    repositories = ["".join(letters) for size in (1, 2, 3) for letters in product("ab/", repeat=size)]
    for _ in range(300):
        patterns = ["".join(rng.choice("ab/*?") for _ in range(rng.randint(1, 4))) for _ in range(6)]
        patterns += ["[ab]" + rng.choice(patterns)]
        saved, *others = map(pipeline, patterns)
        reckoned = plans_bytes(others, saved)
        for repository in repositories:
            if matches_repository(saved.repository, repository):
                real = sum(matches_repository(pattern, repository) for pattern in patterns)
                assert real * ONE <= reckoned, (patterns, repository)


def test_what_gets_no_larger_can_be_saved() -> None:
    """Also where earlier versions let it become too large: else nobody could mend it."""
    before, others = pipeline("a/b", hooks=20), [pipeline("*", f"o{n}", hooks=100) for n in range(9)]
    assert plans_fault(others, None, before) is not None
    assert plans_fault(others, before, before) is None
    assert plans_fault(others, before, pipeline("a/b", hooks=19)) is None
    assert plans_fault(others, before, pipeline("a/b", hooks=21)) is not None
    stopped = before.model_copy(update={"active": False})
    assert plans_fault(others, stopped, before) is not None


@pytest.mark.parametrize("glob", ["acme/*", "acme/app"])
async def test_the_console_refuses_it(console: Running, glob: str) -> None:
    made = 0
    while True:
        body = {"name": f"p{made}", **FAT}
        status, answer = await console.call("POST", f"/api/pipelines?repository={glob}", body)
        if status != 201:
            break
        made += 1
    assert status == 400
    assert list(answer) == ["webhooks"]
    assert f"and may take {MAX_PLANS_BYTES}" in answer["webhooks"][0]
    assert 20 < made < 26
    assert (await console.get(f"/api/pipelines?repository={glob}"))["count"] == made
    status, _ = await console.call("POST", "/api/pipelines?repository=acme/app", {"name": "one more", **FAT})
    assert status == 400, "for a repository that the glob has, too"
    assert (await console.call("POST", "/api/pipelines?repository=other/app", {"name": "p", **FAT}))[0] == 201
    pipelines = (await console.get(f"/api/pipelines?repository={glob}"))["results"]
    smaller = {"webhooks": pipelines[0]["webhooks"][:1]}
    assert (await console.call("PATCH", f"/api/pipelines/{pipelines[0]['id']}", smaller))[0] == 200
    status, _ = await console.call("POST", "/api/pipelines?repository=acme/app", {"name": "one more", **FAT})
    assert status == 201
