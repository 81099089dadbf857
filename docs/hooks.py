"""MkDocs: files of the repository's root as pages of the site, with their links as the site has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}


def on_files(files: Files, config: Any) -> Files:
    """Add the root's pages."""
    for name, page in PAGES.items():
        text = re.sub(r"\]\(docs/", "](", _linked((ROOT / name).read_text(encoding="utf-8"), ""))
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Have links to the root's pages lead to those of the site."""
    return _linked(markdown, "../")


def _linked(text: str, root: str) -> str:
    for name, page in PAGES.items():
        text = re.sub(rf"\]\({re.escape(root + name)}(?=[)#])", f"]({page}", text)
    return text
