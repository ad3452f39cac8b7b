"""What `hookline doctor` finds, and that it shows no secret."""

from pathlib import Path

import pytest
from aiohttp.web import AppRunner, TCPSite
from pydantic import SecretStr

from hookline.cli.operate.checks import Level, check_database, check_names, check_secrets, check_services
from hookline.cli.operate.doctor import shown_value
from hookline.settings import Settings
from hookline.web.health import Status, admin_app
from tests.kafka import free_broker_port

KEY = "k1:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="


def test_a_misspelt_setting_is_found() -> None:
    (finding,) = check_names(
        {"HOOKLINE_INGRES_PORT": "1", "HOOKLINE_INGRESS_PORT": "2", "HOOKLINE_HOOK_SECRET": "", "X": ""}
    )
    assert finding.level is Level.BAD
    assert finding.what == "HOOKLINE_INGRES_PORT"
    assert "HOOKLINE_INGRESS_PORT" in finding.remedy


def test_missing_secrets_have_a_remedy() -> None:
    findings = list(check_secrets(Settings()))
    assert [finding.level for finding in findings] == [Level.BAD] * 3
    assert all("hookline up" in finding.remedy for finding in findings)


def test_secrets_that_are_there() -> None:
    settings = Settings(master_keys=KEY, admin_password=SecretStr("a password"), ingress_tokens="a token of sixteen")  # type: ignore[arg-type]
    assert [finding.level for finding in check_secrets(settings)] == [Level.GOOD] * 3


def test_a_wrong_master_key_is_not_shown() -> None:
    (finding, *_) = check_secrets(Settings(master_keys="k1:secretsecret"))  # type: ignore[arg-type]
    assert finding.level is Level.BAD
    assert "secretsecret" not in finding.said


@pytest.mark.parametrize("value", [SecretStr("hidden"), (SecretStr("hidden"), SecretStr("hidden too"))])
def test_secrets_are_stars(value: object) -> None:
    assert "hidden" not in shown_value(value)
    assert "***" in shown_value(value)


async def test_services_that_do_not_run() -> None:
    port = free_broker_port()
    settings = Settings(ingress_port=port, dispatcher_port=port, callbacks_port=port, console_port=port)
    findings = [finding async for finding in check_services(settings)]
    assert {finding.what for finding in findings} == {"ingress", "dispatcher", "callbacks", "console"}
    assert all(finding.level is Level.BAD and "hookline up" in finding.remedy for finding in findings)


async def test_what_is_wrong_with_a_part_of_a_service_is_said_though_it_is_ready() -> None:
    port = free_broker_port()
    status = Status(True, "running 12 partitions", ("chain c is set aside: because",))
    runner = AppRunner(admin_app(lambda: status, lambda: status))
    await runner.setup()
    await TCPSite(runner, "127.0.0.1", port + 1000).start()
    try:
        settings = Settings(dispatcher_port=port, ingress_port=port, callbacks_port=port, console_port=port)
        findings = [finding async for finding in check_services(settings) if finding.what == "dispatcher"]
        remedies = {finding.what: finding.remedy async for finding in check_services(settings) if finding.remedy}
    finally:
        await runner.cleanup()
    assert [(finding.level, finding.said) for finding in findings] == [
        (Level.GOOD, f"ready at http://127.0.0.1:{port + 1000}/readyz"),
        (Level.BAD, "chain c is set aside: because"),
    ]
    assert "“A chain that is set aside”" in remedies["dispatcher"]
    assert "“A record that is set aside”" in remedies["console"]


def test_a_database_in_the_data_folder(tmp_path: Path) -> None:
    assert check_database(Settings(data_dir=tmp_path)).level is Level.GOOD
    assert check_database(Settings(data_dir=tmp_path / "not yet")).level is Level.ODD
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_does_not_answer() -> None:
    url = f"postgresql://me:hidden@127.0.0.1:{free_broker_port()}/hookline"
    finding = check_database(Settings(database_url=SecretStr(url)))
    assert finding.level is Level.BAD
    assert "hidden" not in " ".join(finding)


def test_what_is_no_database_url() -> None:
    finding = check_database(Settings(database_url=SecretStr("nonsense")))
    assert finding.level is Level.BAD
