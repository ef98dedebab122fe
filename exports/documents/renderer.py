"""HTML → PDF in a process of its own: `python -m exports.documents.renderer FILE < HTML`.

The document is one text with its stylesheet inside it, and this process fetches nothing: not from
the network, not from the disk. It knows no password and no address, may use so much memory and
time and no more, and what it took is given back when it ends (S12).
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

from weasyprint import CSS, HTML
from weasyprint.urls import URLFetcher

MEMORY = 3 << 30  # bytes of address space
SECONDS = 600  # of processor time
STYLE = Path(__file__).with_name("document.css")


class Nothing(URLFetcher):  # type: ignore[misc]
    """Refuses every address, and with it the document that names one."""

    def __init__(self) -> None:
        super().__init__(allowed_protocols=(), allow_redirects=False, fail_on_errors=True)

    def fetch(self, url: str, headers: Any = None) -> Any:
        raise ValueError(f"a document fetches nothing, and this one asks for {url[:100]}")


def render(html: str) -> tuple[bytes, int]:
    """The PDF and its number of pages; the same HTML gives the same bytes."""
    nothing = Nothing()
    style = CSS(string=STYLE.read_text(encoding="utf-8"), url_fetcher=nothing)
    document = HTML(string=html, url_fetcher=nothing).render(stylesheets=[style])
    return document.write_pdf(), len(document.pages)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    pdf, pages = render(sys.stdin.buffer.read().decode())
    Path(sys.argv[1]).write_bytes(pdf)
    sys.stdout.write(str(pages))


if __name__ == "__main__":
    main()
