"""The tree shows the architecture: which part imports which, no circle, and no file name twice.

Imports are read from the sources, those that are late or for type checkers only included.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "aia_store"
CONTRIBUTING = PROJECT / "CONTRIBUTING.md"

#: What each part may import besides itself. `version` is a single module.
MAY_IMPORT = {
    "": {"library", "version"},  # aia_store/__init__.py: the public names
    "__main__": {"cli"},
    "cli": {"library", "check", "install", "manager", "inside", "version"},
    "library": {"check", "manager", "inside", "version"},
    "check": {"manager", "inside"},
    "install": {"manager", "inside"},
    "manager": {"inside", "version"},
    "inside": set(),
    "version": set(),
}

#: Not in `sys.stdlib_module_names` of every Python: known to type checkers only, up to 3.12, from 3.14 on.
OF_OTHER_PYTHONS = {"tomllib", "_typeshed", "_xxsubinterpreters", "compression"}


def name_of(file: Path) -> str:
    """A module's name within the package; that of the package itself is empty."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = sorted(file for file in PACKAGE.rglob("*") if file.is_file() and file.parent.name != "__pycache__")
MODULES = {name_of(file): file for file in FILES if file.suffix == ".py"}


def part_of(module: str) -> str:
    return module.partition(".")[0]


def imported_by(file: Path) -> Iterator[str]:
    """The full names that a file imports: of modules, or of what is in them."""
    folder = (PACKAGE.name, *file.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) + 1 - node.level] if node.level else ()
            yield from (".".join((*above, *([node.module] if node.module else []), alias.name)) for alias in node.names)


def ours(name: str) -> str | None:
    """The module of the package that is imported by this name; None for a module of others."""
    first, _, rest = name.partition(".")
    if first != PACKAGE.name:
        return None
    return rest if rest in MODULES else rest.rpartition(".")[0]


IMPORTS = {
    module: {found for name in imported_by(file) if (found := ours(name)) not in (None, module)}
    for module, file in MODULES.items()
}


@pytest.mark.parametrize("part", sorted({part_of(module) for module in MODULES}))
def test_a_part_imports_only_what_is_below_it(part: str) -> None:
    upwards = {
        f"{module} -> {imported}"
        for module in MODULES
        if part_of(module) == part
        for imported in IMPORTS[module]
        if part_of(imported or "") not in {part, *MAY_IMPORT[part]}
    }
    assert not upwards


def test_what_runs_inside_programs_imports_the_standard_library_only() -> None:
    foreign = {
        f"{module} -> {name}"
        for module, file in MODULES.items()
        if part_of(module) == "inside"
        for name in imported_by(file)
        if ours(name) is None and part_of(name) not in sys.stdlib_module_names | OF_OTHER_PYTHONS
    }
    assert not foreign


def test_no_circle() -> None:
    TopologicalSorter(IMPORTS).prepare()  # raises CycleError, which names the circle


def test_no_file_name_twice() -> None:
    names = Counter(file.name for file in FILES if file.name != "__init__.py")
    assert [name for name, times in names.items() if times > 1] == []


def public_names(file: Path, *kinds: type[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]) -> Iterator[str]:
    """The public names that a module defines."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node.name


def test_no_class_name_twice() -> None:
    names = Counter(name for file in MODULES.values() for name in public_names(file, ast.ClassDef))
    assert [name for name, times in names.items() if times > 1] == []


def test_no_module_has_the_name_of_its_own_function() -> None:
    alike = {
        name
        for name, file in MODULES.items()
        if name.rpartition(".")[2] in public_names(file, ast.FunctionDef, ast.AsyncFunctionDef)
    }
    assert alike == set()


def test_contributing_lists_the_tree() -> None:
    """The line of a folder stands for its `__init__.py`, too."""
    there = {str(file.relative_to(PACKAGE)) for file in FILES if file.name != "__init__.py" or file.parent == PACKAGE}
    assert sorted(listed_files()) == sorted(there)


def listed_files() -> Iterator[str]:
    """The paths in the picture of the tree, each with a few words on what it is for."""
    picture = CONTRIBUTING.read_text(encoding="utf-8").partition("```text\naia_store/\n")[2].partition("```")[0]
    folders: list[str] = []
    for line in picture.splitlines():
        name, _, job = line.strip().partition(" ")
        assert job.strip(), f"{name}: what is it for?"
        depth = (len(line) - len(line.lstrip())) // 2 - 1
        folders[depth:] = [name]
        if not name.endswith("/"):
            yield "".join(folders)
