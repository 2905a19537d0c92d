"""The README tells the truth: its example answer is the service's, its links and verbs exist."""

from __future__ import annotations

import re

from tests import readme
from tests.conftest import ROOT


def test_the_example_answer_is_real() -> None:
    """What the two commands print is what the page shows, apart from id and time."""
    real, told = readme.shortened(readme.answer()), readme.shown()
    for name in readme.VOLATILE:
        real.pop(name)
        told.pop(name)
    assert told == real


def test_what_was_measured_is_not_typed() -> None:
    """The table is what the contracts and the records of measurements give."""
    assert readme.measured_told() == readme.measured()


def test_its_links_lead_somewhere() -> None:
    """Every relative link of the pages at the top is a file or folder."""
    for page in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text()):
            assert (ROOT / target).exists(), f"{page}: {target}"


def test_its_verbs_exist() -> None:
    """Each `make` verb that a page names is in the Makefile, with a line of help."""
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", page.read_text(), re.MULTILINE))
        assert {one or other for one, other in named} <= verbs, page.name


def test_the_project_speaks_of_itself_alone() -> None:
    """No page or source line names a package registry's host or a path of somebody's machine."""
    forbidden = re.compile(r"pypi\.org|pythonhosted|registry\.npmjs|deb\.debian|/work/|/opt/wheels|/root/")
    for path in ROOT.rglob("*"):
        kept = (
            path.suffix in (".py", ".md", ".toml", ".yml", ".yaml", ".txt", ".sh", ".conf", ".cfg")
            or path.name == "Makefile"
        )
        if (
            kept
            and not {".venv", ".cache", "node_modules", ".git", "build"} & set(path.parts)
            and path.name != "test_readme.py"
        ):
            assert not forbidden.search(path.read_text(errors="replace")), path
