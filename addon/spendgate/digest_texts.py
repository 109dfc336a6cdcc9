"""A digest as a person reads it: on a terminal, in a chat, in Markdown, in mail. Pure. Names in it are others', and inert."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from spendgate.digest import Digest
from spendgate.digest_sections import end, headline, sections, title
from spendgate.inert_text import inert, inert_markdown


def text(digest: Digest, *, aligned: bool = False) -> str:
    """Plain text; `aligned` in columns, for a terminal, else a line for each row that reads well in any font."""
    parts = [title(digest), headline(digest)]
    for each in sections(digest):
        parts += ["", f"{each.title}:"]
        parts += _columns(each.rows) if aligned else [_line(row) for row in each.rows]
        parts += [f"  {line}" for line in each.lines]
    return "\n".join([*(inert(part) if part else "" for part in parts), "", inert(end(digest))])


def _line(row: tuple[str, ...]) -> str:
    return f"- {row[0]}: {', '.join(row[1:])}"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    shown = [tuple(inert(cell) for cell in row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*shown, strict=True)]
    for row in shown:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def markdown(digest: Digest) -> str:
    """GitHub's Markdown; every name in it is escaped."""
    parts = [f"## {inert_markdown(title(digest))}", "", inert_markdown(headline(digest))]
    for each in sections(digest):
        parts += ["", f"### {inert_markdown(each.title)}", ""]
        if each.rows:
            parts += [_cells(map(inert_markdown, each.headings)), f"|{' --- |' * len(each.headings)}"]
            parts += [_cells(map(inert_markdown, row)) for row in each.rows]
            parts += [""] if each.lines else []
        parts += [f"{inert_markdown(line)}  " for line in each.lines]
    return "\n".join([*parts, "", inert_markdown(end(digest))])


def _cells(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def html(digest: Digest) -> str:
    """HTML without style sheets, links or images; every name in it is escaped."""
    parts = [f"<h2>{_html(title(digest))}</h2>", f"<p>{_html(headline(digest))}</p>"]
    for each in sections(digest):
        parts.append(f"<h3>{_html(each.title)}</h3>")
        if each.rows:
            parts.append('<table border="1" cellpadding="4" cellspacing="0">')
            parts.append(_row("th", each.headings))
            parts += [_row("td", row) for row in each.rows]
            parts.append("</table>")
        parts += [f"<p>{_html(line)}</p>" for line in each.lines]
    return "\n".join([*parts, f"<p>{_html(end(digest))}</p>"])


def _row(cell: str, texts: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{cell}>{_html(each)}</{cell}>' for each in texts)}</tr>"


def _html(text: str) -> str:
    return escape(inert(text))
