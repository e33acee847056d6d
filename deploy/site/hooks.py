"""What the site needs beside Markdown: folders in the navigation, and files outside docs/ that a page links to."""

# ruff: noqa: INP001  # called by mkdocs, imported by nobody
from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
#: A link to a file outside docs/: it is copied into this folder of the site, as it stands.
SOURCE = "source"
#: Between two Chinese characters. The search finds whole words, and nothing else tells it where one begins.
CHARACTERS = re.compile(r"(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])")
LINK = re.compile(r"\]\((?!\w+:|#|/)([^)\s#]+)((?:#[^)\s]*)?)\)")


def title(page: Path) -> str:
    """Its first heading, without what is marked up."""
    found = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1].replace("`", "") if found else page.stem


def pages_of(folder: Path, named: set[str]) -> list[dict[str, str]]:
    """The pages of a folder that are not named one by one; its README first, decisions by number, others by title."""
    pages = [page for page in folder.glob("*.md") if page.relative_to(ROOT / "docs").as_posix() not in named]
    pages.sort(key=lambda page: (page.name != "README.md", page.name if page.name[0].isdigit() else title(page)))
    return [{title(page): page.relative_to(ROOT / "docs").as_posix()} for page in pages]


def names(nav: Any) -> set[str]:  # a tree of lists, mappings and names of files
    """Every file that the navigation names."""
    if isinstance(nav, str):
        return {nav}
    return set().union(*(names(one) for one in (nav.values() if isinstance(nav, dict) else nav)))


def filled(nav: Any, named: set[str]) -> Any:
    """The navigation with the pages of each folder in its place."""
    if isinstance(nav, dict):
        return {key: filled(value, named) for key, value in nav.items()}
    if isinstance(nav, str):
        return pages_of(ROOT / "docs" / nav, named) if nav.endswith("/") else nav
    entries: list[Any] = []
    for entry in nav:
        one = filled(entry, named)
        entries.extend(one if isinstance(one, list) else [one])
    return entries


def on_config(config: Any) -> Any:
    """Before anything is read."""
    config.nav = filled(config.nav, names(config.nav))
    return config


def outside(link: str, page: str) -> str | None:
    """The path from the top of the repository, where a page links beyond docs/ to a file that exists."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    return path if not path.startswith(("docs/", "..")) and (ROOT / path).is_file() else None


def on_files(files: Files, config: Any) -> Files:
    """Files outside docs/ that a page links to come along."""
    wanted = {
        path
        for file in files.documentation_pages()
        for link, _ in LINK.findall(file.content_string)
        if (path := outside(link, file.src_uri))
    }
    for path in sorted(wanted):
        # Markdown as text: it is one file of the repository, not a page of the site
        name = f"{SOURCE}/{path}" + (".txt" if path.endswith(".md") else "")
        files.append(File.generated(config, name, content=(ROOT / path).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Its links beyond docs/ lead to the copies. A search shows why something is so behind what it is."""
    if page.file.src_uri.startswith("decisions/"):
        page.meta["search"] = {"boost": 0.1}

    def moved(link: re.Match[str]) -> str:
        path = outside(link[1], page.file.src_uri)
        if path is None:
            return link[0]
        up = posixpath.relpath(SOURCE, posixpath.dirname(page.file.src_uri) or ".")
        return f"]({up}/{path}{'.txt' if path.endswith('.md') else ''})"

    return LINK.sub(moved, markdown)


def on_post_build(config: Any) -> None:
    """The search's index, with each Chinese character as a word: a query is taken apart at what the index has."""
    path = Path(config.site_dir) / "search" / "search_index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    for entry in index["docs"]:
        for key in ("title", "text"):
            entry[key] = CHARACTERS.sub("\u200b", entry[key])
    path.write_text(json.dumps(index, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
