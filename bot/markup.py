"""HTML in which nothing from outside can be anything but text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from bot.terminal import safe


class Markup(str):
    """HTML that is finished: it was made here, of escaped text. Everything else is escaped where it is put in."""

    __slots__ = ()


def text(value: object) -> Markup:
    """As text: escaped, on its own in the order of reading, with every hidden or turning character spelled out."""
    return value if isinstance(value, Markup) else Markup(f"<bdi>{_shown(str(value))}</bdi>")


def lines(value: str, kind: str = "quote") -> Markup:
    """Several lines of text as they were written."""
    return Markup(f'<pre class="{kind}">{_shown(value)}</pre>')


def _shown(value: str) -> str:
    whole = value.replace("\r\n", "\n").expandtabs(4)
    return "\n".join(escape(safe(line)) for line in whole.split("\n"))


def paragraph(*parts: object, kind: str = "") -> Markup:
    """Parts put side by side."""
    return Markup(f"<p{f' class={kind}' if kind else ''}>{''.join(map(text, parts))}</p>")


def heading(title: str) -> Markup:
    """Of a part within a part."""
    return Markup(f"<h3>{text(title)}</h3>")


def whole(value: object) -> Markup:
    """Text that no line ends within."""
    return Markup(f'<span class="whole">{text(value)}</span>')


def folded(title: str, part: Markup) -> Markup:
    """A part that is shown when its title is pressed."""
    return Markup(f"<details><summary>{text(title)}</summary>{part}</details>")


def section(title: str, *parts: Markup) -> Markup:
    """A part of the page under its heading; nothing where there are no parts."""
    return Markup(f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>" if any(parts) else "")


def facts(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Names and values; those without a value are left out."""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs if value not in ("", None, ())
    )
    return Markup(f"<dl>{rows}</dl>")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Columns with headings; on a narrow page it scrolls by itself. Nothing where there are no rows."""
    body = "".join(f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return Markup("")
    named = "".join(f"<th>{escape(each)}</th>" for each in head)
    return Markup(f'<div class="wide"><table><thead><tr>{named}</tr></thead><tbody>{body}</tbody></table></div>')
