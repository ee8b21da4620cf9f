"""One page that shows everything and opens without a network."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

__all__ = ["Section", "write_report"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 60rem;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; }
h2 { font-size: 1.25rem; margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem; }
img { max-width: 100%; height: auto; }
figure { margin: 1rem 0; }
figcaption, .lead { color: #444; }
.wide { overflow-x: auto; }
pre { background: #f6f6f4; padding: .8rem; overflow-x: auto; font-size: .82rem; line-height: 1.35; }
nav a { margin-right: 1rem; }
"""


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes
    ----------
    title : str
    text : str
        Plain words that say what is shown.
    tables : tuple of str
        HTML fragments.
    figures : tuple of (Path, str)
        PNG files and their captions; they are put into the page.
    listings : tuple of str
        Text to be shown as it is.
    """

    title: str
    text: str
    tables: tuple[str, ...] = ()
    figures: tuple[tuple[Path, str], ...] = ()
    listings: tuple[str, ...] = ()


def write_report(path: Path, title: str, lead: str, sections: Sequence[Section]) -> Path:
    """Write the page as one file that asks for nothing else.

    Parameters
    ----------
    path
        The HTML file; its folder must exist.
    title, lead
        Heading, and the sentence below it.
    sections
        In their order.
    """
    links = "".join(
        f'<a href="#part-{i}">{escape(section.title)}</a> ' for i, section in enumerate(sections)
    )
    body = "".join(_render(i, section) for i, section in enumerate(sections))
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p><nav>{links}</nav>'
        f"{body}</body></html>\n"
    )
    path.write_text(page, encoding="utf-8")
    return path


def _render(number: int, section: Section) -> str:
    parts = [
        f'<h2 id="part-{number}">{escape(section.title)}</h2>',
        f"<p>{escape(section.text)}</p>",
    ]
    parts += [f"<pre>{escape(listing)}</pre>" for listing in section.listings]
    parts += [f'<div class="wide">{table}</div>' for table in section.tables]
    for file, caption in section.figures:
        image = base64.b64encode(file.read_bytes()).decode("ascii")
        parts.append(
            f'<figure><img src="data:image/png;base64,{image}" alt="{escape(caption)}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )
    return "".join(parts)
