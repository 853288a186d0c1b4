"""What every source file keeps to: size, finished work, safe loading, safe names."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import pytest

from tests.contracts.sources import PRODUCT, ROOT, files, imports, name

MAX_FILE, MAX_PAGE, MAX_FUNCTION = 400, 120, 50
UNFINISHED = re.compile(r"NotImplementedError|TODO|FIXME")
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# Where torch's restricted loader may be called: dictionaries are published as .pt files.
RESTRICTED = ("tools/", "core/dictionaries/files.py")
UNSAFE_CALLS = {"yaml.load", "yaml.unsafe_load", "yaml.full_load"}


def too_long(path: str, source: str) -> list[str]:
    """Files and functions over their limit."""
    limit = MAX_PAGE if re.fullmatch(r"pages/[^/]+\.py", path) else MAX_FILE
    lines = len(source.splitlines())
    found = [f"{path}: {lines} lines, at most {limit}"] if lines > limit else []
    for node in ast.walk(ast.parse(source, filename=path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
            if length > MAX_FUNCTION:
                found.append(f"{path}: {node.name} has {length} lines, at most {MAX_FUNCTION}")
    return found


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's contract: it may be longer than the function."""
    docstring = ast.get_docstring(node, clean=False)
    return len(docstring.splitlines()) if docstring else 0


def unfinished(path: str, source: str) -> list[str]:
    """Places that say they are not done."""
    return [
        f"{path}:{number}: {line.strip()[:80]}"
        for number, line in enumerate(source.splitlines(), 1)
        if UNFINISHED.search(line)
    ]


def unsafe(path: str, source: str) -> list[str]:
    """Ways for a file or a text from outside to run code here."""
    found = [
        f"{path}:{item.line}: imports {item.module}"
        for item in imports(source, path)
        if item.module.partition(".")[0] in PICKLES
    ]
    tree = ast.parse(source, filename=path)
    return found + [
        f"{path}:{line}: {what}"
        for line, what in _unsafe_calls(tree)
        if not (path.startswith(RESTRICTED) and what == "calls torch.load, restricted")
    ]


def _unsafe_calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in UNSAFE_CALLS:
                yield node.lineno, f"calls {called}"
            if called == "torch.load":
                restricted = "weights_only=True" in [ast.unparse(item) for item in node.keywords]
                yield node.lineno, f"calls {called}" + ", restricted" * restricted
            for keyword in node.keywords:
                said_no = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in ("trust_remote_code", "allow_pickle") and not said_no:
                    yield node.lineno, f"{keyword.arg} is not False"
                if keyword.arg == "unsafe_allow_html":
                    yield node.lineno, "raw HTML"


@pytest.mark.parametrize("rule", [too_long, unfinished, unsafe])
def test_product_code_keeps_the_rule(rule):
    found = []
    for path in files(*PRODUCT):
        found += rule(name(path), path.read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


def test_tests_are_short_too():
    found = []
    for path in files("tests"):
        found += too_long(name(path), path.read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (too_long, "core/a.py", "x = 1\n" * 401),
        (too_long, "pages/a.py", "x = 1\n" * 121),
        (too_long, "core/a.py", "def f():\n" + "    x = 1\n" * 50),
        (too_long, "core/a.py", 'def f():\n    """One."""\n' + "    x = 1\n" * 50),
        (unfinished, "core/a.py", "# TO" + "DO later"),
        (unfinished, "core/a.py", "raise NotImplemented" + "Error"),
        (unsafe, "core/a.py", "import pickle"),
        (unsafe, "core/a.py", "def f():\n    from joblib import load"),
        (unsafe, "core/a.py", "torch.load(path, weights_only=True)"),
        (unsafe, "tools/a.py", "torch.load(path, weights_only=False)"),
        (unsafe, "core/a.py", "yaml.load(text)"),
        (unsafe, "core/a.py", "AutoModel.from_pretrained(name, trust_remote_code=True)"),
        (unsafe, "core/a.py", "AutoModel.from_pretrained(name, trust_remote_code=trust)"),
        (unsafe, "core/a.py", "np.load(path, allow_pickle=True)"),
        (unsafe, "pages/a.py", "st.markdown(text, unsafe_allow_html=True)"),
    ],
)
def test_a_breach_is_seen(rule, path, source):
    assert len(rule(path, source)) == 1


def test_what_keeps_the_rules_passes():
    source = (
        "def f():\n" + "    x = 1\n" * 49 + "np.load(p, allow_pickle=False)\nyaml.safe_load(t)\n"
    )
    assert [rule("core/a.py", source) for rule in (too_long, unfinished, unsafe)] == [[], [], []]
    assert unsafe("tools/a.py", "torch.load(path, weights_only=True)") == []
    assert too_long("pages/shared/a.py", "x = 1\n" * 400) == []


def shadows(page: str) -> bool:
    """Whether a file of this name in pages/, which stands on the import path, hides a module."""
    own = {"app", "core", "kernels", "pages", "tests", "tools", "benchmarks"}
    return page in sys.stdlib_module_names or page in packages_distributions() or page in own


def test_no_page_is_named_like_a_module():
    assert [page.stem for page in (ROOT / "pages").glob("*.py") if shadows(page.stem)] == []
    assert shadows("statistics")
    assert shadows("plotly")
    assert not shadows("steer")
