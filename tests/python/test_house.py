"""The house rules for python/ that a machine can check; import-linter has others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import tomli

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "python"


def module_name(file: Path, folder: Path) -> str:
    name = str(file.relative_to(folder).with_suffix("")).replace("/", ".")
    return name.removesuffix(".__init__")


MODULES = {module_name(file, PYTHON): file for file in PYTHON.rglob("*.py")}


def imported(file: Path) -> set[str]:
    """Return the modules of python/ that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{n.name}" for n in node.names)}
    return found & MODULES.keys()


def reached(start: Iterable[str]) -> set[str]:
    """Return modules with all that they import; a package is reached by its rooms."""
    seen: set[str] = set()
    todo = list(start)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += imported(MODULES[name])
            todo += [name.rpartition(".")[0]] if "." in name else []
    return seen


def test_every_module_is_under_test() -> None:
    """By a test of its own, by a command's, or by one of a module that uses it."""
    start = {
        name
        for file in (ROOT / "tests/python").rglob("*.py")
        for name in imported(file)
    }
    shell = [*(ROOT / "lib").rglob("*.bash"), *(ROOT / "tests/bats").glob("*.bats")]
    for file in [*shell, *(ROOT / "tests/python").rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        pattern = r"(?:core::(?:become_)?helper|image::governed) (\w+)|python/(\w+)\.py"
        start |= {door or path for door, path in re.findall(pattern, text)}
    assert reached(start & MODULES.keys()) == MODULES.keys()


def test_no_room_imports_a_door() -> None:
    """Doors are parser and main; what they do lies in the rooms."""
    doors = {name for name in MODULES if name.split(".")[0] != "ds01"}
    found = {
        f"{name} imports {door}"
        for name, file in MODULES.items()
        if name not in doors
        for door in imported(file) & doors
    }
    assert found == set()


def test_doors_hold_a_parser_and_main_only() -> None:
    for name, file in MODULES.items():
        if name.split(".")[0] == "ds01":
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        made = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }
        assert made - {"build_parser"} == {"main"}, name


def test_the_architecture_names_what_is_there() -> None:
    """Every file that it names exists, and every room is in its picture, in order."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:bin|lib|python|tests|aime-ml-containers)/[^` ]*)`", text)
    assert len(named) > 50
    assert [n for n in named if "NAME" not in n and not (ROOT / n).exists()] == []
    picture = text.partition("```\n")[2].partition("```")[0]
    drawn = re.findall(r"^ (\w+)  ", picture, re.M)
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomli.load(file)["tool"]["importlinter"]["contracts"]
    rooms = contracts[0]["layers"]
    assert drawn == rooms
    assert set(rooms) == {
        folder.name
        for folder in (PYTHON / "ds01").iterdir()
        if (folder / "__init__.py").exists()
    }
    # The rooms within gpus and images stand after them, from the roof to the ground.
    inner = re.findall(r"^ (?:images|gpus)? {9,}(\w+)  ", picture, re.M)
    assert inner == [name for each in contracts[:0:-1] for name in each["layers"]]


def test_mlc_is_reached_through_one_module() -> None:
    adapter = PYTHON / "ds01/core/mlc.py"
    found = {
        str(file.relative_to(PYTHON))
        for file in PYTHON.rglob("*.py")
        if re.search(r"^\s*(?:from|import) mlc_", file.read_text("utf-8"), re.M)
    }
    assert found == {str(adapter.relative_to(PYTHON))}
