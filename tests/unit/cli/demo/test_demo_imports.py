"""The demo calls nothing but public HTTP: it cannot, for it imports nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

CLI = Path(__file__).parents[4] / "hookline" / "cli" / "demo"
FORBIDDEN = (
    "services",
    "hookline.log",
    "hookline.kafka",
    "hookline.chain",
    "hookline.broker",
    "aiokafka",
    "sqlalchemy",
)
MODULES = sorted(path.stem for path in CLI.glob("demo*.py"))


def imported(module: str) -> set[str]:
    """Every module that this one's own text imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((CLI / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(node.module or "")
    return found


def forbidden(names: set[str], but: str = "") -> set[str]:
    return {
        name for name in names for root in FORBIDDEN if root != but and (name == root or name.startswith(f"{root}."))
    }


@pytest.mark.parametrize("module", MODULES)
def test_its_own_imports(module: str) -> None:
    assert forbidden(imported(module)) == set()


def test_what_comes_with_them() -> None:
    """Settings need the key ring of hookline.chain to check a master key; nothing else comes in by a back door."""
    code = "import sys, hookline.cli.demo.demo; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "hookline.cli.demo.demo_story" in loaded
    assert forbidden(loaded, but="hookline.chain") == set()
