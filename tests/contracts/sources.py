"""The project's Python files, and how their imports are read from the syntax tree."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("app.py", "core", "kernels", "pages", "tools", "benchmarks")


def files(*tops: str) -> list[Path]:
    """Every Python file below these files and folders of the repository, sorted."""
    found: list[Path] = []
    for top in tops:
        path = ROOT / top
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path] * path.exists()
    return found


def name(path: Path) -> str:
    """The path as the repository spells it: `core/spec/site.py`."""
    return path.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Import:
    """One imported module. `late`: only when a function runs, or for the type checker."""

    module: str
    line: int
    late: bool


def imports(source: str, path: str = "<text>") -> Iterator[Import]:
    """Every import of a source text; `from core import api` counts as `core.api`.

    `importlib.import_module("x")` and `__import__("x")` count too.
    """
    yield from _imports(ast.parse(source, filename=path), late=False)


def _imports(node: ast.AST, late: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        inside = late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, late)
        elif isinstance(child, ast.ImportFrom):
            base = "." * child.level + (child.module or "")
            for alias in child.names:
                yield Import(f"{base}.{alias.name}", child.lineno, late)
        elif isinstance(child, ast.Call) and (module := _called_import(child)):
            yield Import(module, child.lineno, late)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            inside = True
        yield from _imports(child, inside)


def _called_import(call: ast.Call) -> str | None:
    if ast.unparse(call.func) not in ("importlib.import_module", "import_module", "__import__"):
        return None
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
