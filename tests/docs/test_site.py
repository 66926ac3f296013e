"""The site is whole: every page, every id, and nothing that is fetched from elsewhere."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
import yaml
from tools.website import markdown, scripts
from tools.website.__main__ import main
from tools.website.pages import ROOT, navigation, written

REQUIREMENTS = yaml.safe_load((ROOT / "standard/registry/requirements.yaml").read_text())["requirements"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    try:
        scripts.put(place)
    except SystemExit as error:
        pytest.skip(f"what draws the diagrams cannot be fetched: {error}")
    assert main([str(place / "site")]) == 0
    return place / "site"


def test_every_requirement_has_an_anchor_and_a_link_from_the_table(site: Path) -> None:
    chapters = {path: path.read_text() for path in (site / "standard/spec").glob("*.html")}
    table = (site / "standard/registry/requirements.html").read_text()
    for row in REQUIREMENTS:
        home = [path.name for path, text in chapters.items() if f'id="{row["id"]}"' in text]
        assert len(home) == 1, row["id"]
        assert f'href="../spec/{home[0]}#{row["id"]}"' in table


def test_every_page_is_there_and_in_the_navigation(site: Path) -> None:
    listed = str(navigation([]))
    for page in written():
        built = page.replace("README.md", "index.md").removesuffix(".md") + ".html"
        assert (site / built).is_file()
        assert f"'{page}'" in listed


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*?(?:src|href)="(?:https?:)?//[^"]*""")
    for page in site.rglob("*.html"):
        assert not fetched.findall(page.read_text()), page
    chapter = (site / "standard/spec/02-architecture.html").read_text()
    assert 'class="mermaid"' in chapter
    assert 'src="../../assets/mermaid.min.js"' in chapter
    assert (site / "assets/mermaid.min.js").stat().st_size > 1_000_000


def test_the_chapters_can_be_searched(site: Path) -> None:
    assert "DISC-001" in (site / "search.json").read_text()


@pytest.fixture
def mistaken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Builds the site with one more line in one page; returns what is said about it."""

    def build(line: str) -> str:
        read = Path.read_text

        def with_a_mistake(path: Path, *how: object) -> str:
            text = read(path, *how)
            return f"{text}\n{line}\n" if path == ROOT / "docs/control.md" else text

        monkeypatch.setattr(Path, "read_text", with_a_mistake)
        assert main([str(tmp_path / "site")]) == 1
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)

    return build


@pytest.mark.usefixtures("site")
def test_what_leads_nowhere_fails_the_build(mistaken) -> None:
    said = mistaken("[a page](nowhere.md) [a place](your-first-module.md#nowhere) as in [LEASE-999]")
    assert "page does not exist" in said
    assert "anchor does not exist" in said
    assert "docs/control.md: [LEASE-999] is the id of no sentence" in said


@pytest.mark.usefixtures("site")
def test_a_file_that_is_not_there_fails_the_build(mistaken) -> None:
    assert "docs/control.html: nowhere.yaml: the target does not exist" in mistaken("[a file](nowhere.yaml)")


def prepared(text: str) -> str:
    return markdown.prepared(
        text, homes={"LEASE-004": "04.md"}, unknown=lambda name: None, page_of=lambda target: target
    )


def test_ids_are_anchors_where_they_stand_and_links_where_they_are_named() -> None:
    assert prepared("- **[LEASE-004]** A module MUST.") == (
        "- **[LEASE-004](#LEASE-004){ #LEASE-004 .requirement }** A module MUST.\n"
    )
    assert prepared("so [LEASE-004] says, and LEASE-004") == (
        "so [LEASE-004](04.md#LEASE-004) says, and [LEASE-004](04.md#LEASE-004)\n"
    )
    assert prepared("`LEASE-004` and EN-303, [a link](LEASE-004.md)") == (
        "`LEASE-004` and EN-303, [a link](LEASE-004.md)\n"
    )
    assert prepared("```text\n[LEASE-004]\n```") == "```text\n[LEASE-004]\n```\n"


def test_what_stands_behind_a_fence_s_language_is_its_title() -> None:
    assert prepared("```json Lease\n{}\n```").startswith('```json title="Lease"\n')
    assert prepared("```json Lease invalid $.ttl_s: too long\n{}\n```").startswith(
        '```json title="Lease, refused at $.ttl_s: too long"\n'
    )
    assert prepared("```python write=battery.py\n```").startswith('```python title="battery.py"\n')
    assert prepared("```sh run\nls\n```").startswith("```sh\n")


def test_lists_are_lists_as_on_a_forge() -> None:
    assert prepared("Two things:\n- one\n  - inner\n- two") == "Two things:\n\n- one\n    - inner\n- two\n"


def test_what_stands_in_a_block_stays_as_it_is() -> None:
    block = "```text\n  two\n   three\n        eight\n- no point\n\n```\n"
    assert prepared(block) == block
    assert prepared("- point\n\n  ```sh\n  if it; then\n    this\n  ```").endswith(
        "    ```sh\n    if it; then\n      this\n    ```\n"
    )


def test_a_program_of_a_page_can_be_copied_from_the_site(site: Path) -> None:
    page = (site / "docs/your-first-module.html").read_text()
    shown = html.unescape(re.sub(r"<[^>]+>", "", page))
    assert (ROOT / "docs/examples/battery_module.py").read_text() in shown
