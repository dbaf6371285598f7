"""The saved copy of the board: plain text and HTML with absolute times."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from agentnb.panels.base.saved import absolute

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["board_html", "board_text"]

_TITLES = {
    "needs": "Needs you",
    "cards": "Services",
    "queues": "Queues",
    "workflows": "Workflows",
    "errors": "Last errors",
}


def _lines(items: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[list[str]]]]:
    """Return the title of each section that has rows, and their words."""
    found = []
    for section, title in _TITLES.items():
        rows = [_words(section, key, row) for key, row in items[section].items() if _kept(row)]
        note = items["notes"].get(section, {}).get("text", "")
        if rows or note:
            found.append((title, [*rows, [note]] if note else rows))
    return found


def _kept(row: Mapping[str, Any]) -> bool:
    """Return whether a row says something: a service that is not opened does not."""
    return bool(row.get("opened", True))


def _words(section: str, key: str, row: Mapping[str, Any]) -> list[str]:
    if section == "needs":
        return [row["title"], row["text"]]
    if section == "cards":
        return [key, row["about"], f"{row['number']} {row['unit']}".strip(), row["foot"]]
    if section == "errors":
        trace = f"%trace {row['trace'][:8]}" if row["trace"] else ""
        return [absolute(row["when"]), row["name"], row["message"], trace]
    return [row["name"], row["text"]]


def _head(items: Mapping[str, Mapping[str, Any]]) -> str:
    head = items["notes"].get("head", {})
    return " · ".join(filter(None, (head.get("where", ""), head.get("well", ""))))


def board_text(items: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the board as plain text."""
    found = [_head(items)]
    for title, rows in _lines(items):
        found.append(f"{title}:")
        found += ["  " + "  ".join(filter(None, row)) for row in rows]
    return "\n".join(found)


def board_html(items: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the board as HTML without style or script."""
    found = [f"<p>{escape(_head(items))}</p>"]
    for title, rows in _lines(items):
        cells = "\n".join(map(_row, rows))
        found.append(f"<p>{title}</p>\n<table><tbody>\n{cells}\n</tbody></table>")
    return "\n".join(found)


def _row(words: list[str]) -> str:
    cells = (f'<td align="left">{escape(word)}</td>' for word in words)
    return f"<tr>{''.join(cells)}</tr>"
