"""How long the logs must be kept, as arithmetic over pipelines; what Kafka is told: tests/contract/test_topics.py."""

import pytest

from hookline.chain.pipeline import Hook, Pipeline
from hookline.chain.pipeline_settings import MAX_DEADLINE_S
from hookline.errors import ConfigError
from hookline.log.records import LOGS, Topic
from hookline.log.retention import (
    Keep,
    days_kept,
    keep_of,
    longest_chain_s,
    longest_step_s,
    needed_days,
    retention_ms,
)
from hookline.settings import Settings
from services.ingress.source import WINDOW_WITH_ID_S
from services.ingress.sources import discover

DAY = 86_400


def pipeline(hooks: int, *, deadline_s: int = DAY, delays: tuple[int, ...] = (), name: str = "ci") -> Pipeline:
    made = tuple(
        Hook(id=str(n), key="k1", name=str(n), url="http://r/", created_at=0, updated_at=0) for n in range(hooks)
    )
    return Pipeline(
        pipeline_id=name, repository="acme/app", name=name, slug=name, hooks=made, callback_deadline_s=deadline_s,
        timeout_s=10, retry_delays_s=delays, created_at=0, updated_at=0,
    )  # fmt: skip


def test_a_step_may_take_its_retries_each_as_long_as_a_receiver_may_ask_for_and_then_its_deadline() -> None:
    assert longest_step_s(pipeline(1)) == 10 + DAY
    assert longest_step_s(pipeline(1, deadline_s=100, delays=(5,))) == DAY + 20 + 100  # Retry-After: up to a day
    assert longest_step_s(pipeline(1, deadline_s=100, delays=(10 * DAY,))) == pytest.approx(
        11 * DAY + 20 + 100
    )  # jitter


def test_a_chain_may_take_all_its_steps() -> None:
    assert longest_chain_s(pipeline(3)) == 3 * (DAY + 10)


def test_the_longest_pipeline_decides_and_is_named() -> None:
    days, why = needed_days([pipeline(1), pipeline(20, deadline_s=MAX_DEADLINE_S, name="slow"), pipeline(2)])
    assert days == 20 * 30 + 1 + 1
    assert "the pipeline slow of acme/app may be open for 600.0 days" in why


def test_without_pipelines_one_with_the_default_settings_is_reckoned_with() -> None:
    days, why = needed_days([])
    assert days == 12
    assert "default settings may be open for 10.1 days" in why


def test_for_ever_fits_every_pipeline() -> None:
    assert retention_ms(0, [pipeline(20, deadline_s=MAX_DEADLINE_S)]) == "-1"


def test_too_few_days_are_refused_with_the_figure() -> None:
    needed, _ = needed_days([pipeline(3)])
    assert retention_ms(needed, [pipeline(3)]) == str(needed * DAY * 1000)
    with pytest.raises(
        ConfigError, match=rf"HOOKLINE_RETENTION_DAYS={needed - 1} is too short: .*Set {needed} or more"
    ):
        retention_ms(needed - 1, [pipeline(3)])


def test_no_source_knows_a_push_for_longer_than_is_reckoned_with() -> None:
    from hookline.log.retention import LONGEST_WINDOW_S
    from hookline.settings import load_settings

    windows = [source.window_s for source in discover(load_settings()).values()]
    assert max(*windows, WINDOW_WITH_ID_S) <= LONGEST_WINDOW_S


@pytest.mark.parametrize(
    ("config", "days"),
    [
        ({"cleanup.policy": "delete", "retention.ms": "-1"}, None),
        ({"cleanup.policy": "compact", "retention.ms": "604800000"}, None),
        ({"cleanup.policy": "delete", "retention.ms": "604800000"}, 7),
    ],
)
def test_days_that_a_topic_is_kept(config: dict[str, str], days: float | None) -> None:
    assert days_kept(config) == days


@pytest.mark.parametrize("topic", Topic)
@pytest.mark.parametrize(("days", "size"), [(0, 0), (30, 0), (0, 1000), (30, 1000)])
def test_which_topics_end_and_how(topic: Topic, days: int, size: int) -> None:
    kept = keep_of(40, days, size, []).of(topic)
    if topic in LOGS:
        assert kept == {"retention.ms": str(40 * DAY * 1000)}
    elif topic is not Topic.QUARANTINE:
        assert kept == {}
    else:
        assert kept["retention.ms"] == (str(days * DAY * 1000) if days else "-1")
        assert kept["retention.bytes"] == (str(size) if size else "-1")
        assert ("segment.bytes" in kept) == ("segment.ms" in kept) == bool(days or size), "whole segments are deleted"


def test_by_default_quarantine_ends() -> None:
    settings = Settings()
    asked = keep_of(0, settings.quarantine_days, settings.quarantine_bytes, [])
    assert asked == Keep()
    assert asked.of(Topic.QUARANTINE)["retention.ms"] == "2592000000"
    assert asked.of(Topic.QUARANTINE)["retention.bytes"] == "1073741824"
