"""Documents and the things they speak of stay together."""

import re
from pathlib import Path

import pytest

from pages.shared.menu import MENU
from tests.contracts.sources import ROOT, files, imports, name

LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|`)make ([a-z0-9]+)", re.MULTILINE)
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def broken_links(folder: Path, text: str) -> list[str]:
    """Relative links of a document in `folder` that lead nowhere."""
    targets = [target.partition("#")[0] for target in LINK.findall(text)]
    local = [target for target in targets if target and not re.match(r"[a-z]+:", target)]
    return [target for target in local if not (folder / target).exists()]


def unknown_commands(text: str, makefile: str) -> list[str]:
    """`make x` in a document where the Makefile has no x."""
    targets = set(re.findall(r"^([a-z0-9]+):", makefile, re.MULTILINE))
    return sorted(set(COMMAND.findall(text)) - targets)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_and_commands_of_a_document_exist(path):
    text = path.read_text(encoding="utf-8")
    assert broken_links(path.parent, text) == []
    assert unknown_commands(text, (ROOT / "Makefile").read_text(encoding="utf-8")) == []


def test_a_broken_link_and_an_unknown_command_are_seen():
    text = "[a](no/such.md) [b](LICENSE#x) [c](https://example.org)\n\n    make run\n`make tea`"
    assert broken_links(ROOT, text) == ["no/such.md"]
    assert unknown_commands(text, "run: x\n") == ["tea"]


def missing_documents(names: set[str]) -> set[str]:
    """Pages, by their names in links, without `docs/pages/<name>.md`."""
    return {page for page in names if not (ROOT / "docs/pages" / f"{page}.md").exists()}


def test_the_menu_lists_every_page_and_every_page_has_its_document():
    files_there = {"app.py", *(f"pages/{path.name}" for path in (ROOT / "pages").glob("*.py"))}
    assert {entry.path for entry in MENU} == files_there
    assert missing_documents({entry.name for entry in MENU}) == set()
    assert missing_documents({"no_such_page"}) == {"no_such_page"}


def requirements(text: str) -> set[str]:
    """Package names of a requirement or constraint file, as the index compares them."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return {re.split(r"[<>=!~\[; ]", line)[0].lower().replace("_", "-") for line in lines if line}


def read_requirements(path: str) -> set[str]:
    return requirements((ROOT / path).read_text(encoding="utf-8"))


def test_requirements_are_pinned_and_never_name_the_package_kernels():
    needed = read_requirements("requirements.txt") | read_requirements("requirements-dev.txt")
    assert needed - read_requirements("constraints.txt") == set()
    assert "kernels" not in needed
    assert requirements("# note\nscikit_learn>=1.9  # why\nkernels==1\n") == {
        "scikit-learn",
        "kernels",
    }


def undeclared(modules: set[str], declared: set[str]) -> set[str]:
    """Imported modules of installed packages that no requirement file names."""
    from importlib.metadata import packages_distributions

    owners = packages_distributions()
    return {
        module
        for module in modules
        if module in owners
        and not {owner.lower().replace("_", "-") for owner in owners[module]} & declared
    }


def test_every_imported_package_is_a_requirement():
    modules = {
        item.module.partition(".")[0]
        for path in files("app.py", "core", "kernels", "pages", "tools")
        for item in imports(path.read_text(encoding="utf-8"))
    }
    assert undeclared(modules, read_requirements("requirements.txt")) == set()
    assert undeclared({"requests", "numpy"}, {"numpy"}) == {"requests"}
