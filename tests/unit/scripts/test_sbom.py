"""What is shipped, and under which licences: the list is that of the pins, and nothing gets in that cannot be shipped."""

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[3]
READ = ("requirements/image.txt", "requirements/licences.toml", "hookline/broker/jars.json")
WRITTEN = ("deploy/sbom/image.cdx.json", "deploy/sbom/broker.cdx.json", "docs/licences.md")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what the script reads, and what it has written."""
    for name in READ + WRITTEN:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@dataclass(frozen=True)
class Said:
    returncode: int
    stderr: str


def load() -> ModuleType:
    """The script as a module: a process for each test would take a minute."""
    spec = spec_from_file_location("sbom", ROOT / "scripts" / "sbom.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["sbom"] = module_from_spec(spec)  # where its dataclasses look for their names
    spec.loader.exec_module(module)
    return module


SCRIPT = load()


def sbom(root: Path, *arguments: str) -> Said:
    with redirect_stderr(StringIO()) as stderr:
        code = SCRIPT.main(["--root", str(root), *arguments])
    return Said(code, stderr.getvalue())


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_what_is_committed_is_what_the_pins_give() -> None:
    said = sbom(ROOT, "--check")

    assert (said.returncode, said.stderr) == (0, "")


def test_the_same_bytes_come_each_time(clone: Path) -> None:
    for name in WRITTEN:
        (clone / name).unlink()

    assert sbom(clone).returncode == 0

    assert {name: (clone / name).read_bytes() for name in WRITTEN} == {
        name: (ROOT / name).read_bytes() for name in WRITTEN
    }


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_text("{}\n")])
def test_a_list_that_is_not_of_the_pins_is_named(clone: Path, name: str, damage: Callable[[Path], object]) -> None:
    damage(clone / name)

    said = sbom(clone, "--check")

    assert said.returncode == 1
    assert said.stderr == f"sbom: {name} is not what the pins give: python scripts/sbom.py writes it anew\n"


def test_a_new_pin_makes_the_list_an_old_one(clone: Path) -> None:
    change(clone / "requirements/image.txt", "yarl==", "yarl==9")

    assert "deploy/sbom/image.cdx.json is not what the pins give" in sbom(clone, "--check").stderr


def test_a_pin_whose_licence_nobody_has_read_is_refused(clone: Path) -> None:
    pin = "zz-new==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n    # via aiohttp\n"
    (clone / "requirements/image.txt").write_text((ROOT / "requirements/image.txt").read_text() + pin)

    said = sbom(clone)

    assert said.returncode == 1
    assert "zz-new 1.0 has no licence in requirements/licences.toml" in said.stderr


def test_a_new_version_of_a_jar_is_read_anew(clone: Path) -> None:
    change(clone / "hookline/broker/jars.json", "org.yaml:snakeyaml:2.5", "org.yaml:snakeyaml:2.6")

    said = sbom(clone, "--check").stderr

    assert "org.yaml:snakeyaml:2.6 2.6 has no licence" in said
    assert "org.yaml:snakeyaml:2.5 is in requirements/licences.toml and not shipped" in said


@pytest.mark.parametrize(
    "licence",
    [
        "GPL-2.0-only", "GPL-3.0-or-later", "AGPL-3.0-only", "LGPL-3.0-only", "SSPL-1.0", "BUSL-1.1", "Apache-2.0 AND GPL-2.0-only",
        "GPL-2.0-only OR SSPL-1.0", "(MIT OR AGPL-3.0-only) AND BUSL-1.1", "GPL-2.0-only WITH Classpath-exception-2.0",
    ],
)  # fmt: skip
def test_a_licence_that_cannot_be_shipped_is_refused(clone: Path, licence: str) -> None:
    change(clone / "requirements/licences.toml", '2.5" = "Apache-2.0"', f'2.5" = "{licence}"')

    assert f"snakeyaml:2.5 is under {licence}, which a product under Apache-2.0 cannot ship" in sbom(clone).stderr


@pytest.mark.parametrize("licence", ["Apache-2.0 OR GPL-2.0-only", "MIT AND (BSD-3-Clause OR SSPL-1.0)"])
def test_one_branch_that_can_be_shipped_is_enough(clone: Path, licence: str) -> None:
    change(clone / "requirements/licences.toml", '2.5" = "Apache-2.0"', f'2.5" = "{licence}"')

    said = sbom(clone)

    assert (said.returncode, said.stderr) == (0, "")


def test_what_was_accepted_is_that_licence_only(clone: Path) -> None:
    """A package that was accepted under one licence is judged anew when it has another."""
    change(clone / "requirements/licences.toml", 'psycopg = "LGPL-3.0-only"', 'psycopg = "AGPL-3.0-only"')

    assert "psycopg is under AGPL-3.0-only, which" in sbom(clone, "--check").stderr


@pytest.mark.parametrize(
    ("name", "ours", "other"),
    [
        ("aiohttp", "Apache-2.0 AND MIT", "MIT"),
        ("jinja2", "BSD-3-Clause", "MIT"),
        ("uvloop", "MIT OR Apache-2.0", "MIT"),
    ],
)  # its expression; its classifier; both of its classifiers
def test_a_package_that_says_another_licence_of_itself_is_named(clone: Path, name: str, ours: str, other: str) -> None:
    change(clone / "requirements/licences.toml", f'{name} = "{ours}"', f'{name} = "{other}"')

    assert f"requirements/licences.toml says '{other}'" in sbom(clone, "--check").stderr


def test_words_that_are_no_expression_are_refused(clone: Path) -> None:
    change(clone / "requirements/licences.toml", '2.5" = "Apache-2.0"', '2.5" = "do what you like"')

    assert "'do what you like' is no SPDX expression" in sbom(clone).stderr


@pytest.mark.parametrize("name", WRITTEN[:2])
def test_it_is_valid_cyclonedx(name: str) -> None:
    text = (ROOT / name).read_text()

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_every_pin_is_a_part_with_its_version_and_hashes() -> None:
    """Read here by other means than the script's."""
    pins = {
        block.split()[0]: block.count("--hash=sha256:")
        for block in (ROOT / "requirements/image.txt").read_text().split("\n")
        if "==" in block
    }
    whole = (ROOT / "requirements/image.txt").read_text()
    image: dict[str, Any] = json.loads((ROOT / WRITTEN[0]).read_text())
    jars = json.loads((ROOT / "hookline/broker/jars.json").read_text())
    broker: dict[str, Any] = json.loads((ROOT / WRITTEN[1]).read_text())

    assert {f"{one['name']}=={one['version']}" for one in image["components"]} == set(pins)
    assert sum(len(one["externalReferences"][0]["hashes"]) for one in image["components"]) == whole.count("--hash=")
    assert {
        f"{one['group']}:{one['name']}:{one['version']}": one["hashes"][0]["content"] for one in broker["components"]
    } == {coordinate: pin["sha256"] for coordinate, pin in jars.items()}
    assert all(one["licenses"] for one in image["components"] + broker["components"])
