"""Small plots as SVG: bars that lie beside each other, and lines over a scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

INK, FAINT, GRID = "#1f2328", "#57606a", "#d0d7de"
COLOURS = ("#0969da", "#bf8700", "#2da44e", "#8250df", "#cf222e")
_WIDTH, _BAR, _GAP, _LABELS, _RIGHT = 760, 18, 10, 300, 90


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of one or more parts, each in the colour of its place."""

    label: str
    parts: tuple[float, ...]
    text: str


def bars(title: str, rows: Sequence[Bar], legend: Sequence[str] = ()) -> str:
    """Draw horizontal bars, the longest over the whole width."""
    most = max((sum(row.parts) for row in rows), default=0) or 1
    room = _WIDTH - _LABELS - _RIGHT
    drawn, y = [], 48
    for row in rows:
        drawn.append(_text(_LABELS - 8, y + 13, row.label, anchor="end"))
        x = float(_LABELS)
        for part, colour in zip(row.parts, COLOURS, strict=False):
            width = part / most * room
            drawn.append(_box(x, y, width, _BAR, colour))
            x += width
        drawn.append(_text(x + 6, y + 13, row.text, colour=FAINT))
        y += _BAR + _GAP
    return _page(title, y + 8, [*_legend(legend), *drawn])


@dataclass(frozen=True, slots=True)
class Line:
    """One value for every place on the scale; None where there is none."""

    label: str
    values: tuple[float | None, ...]


def lines(title: str, scale: Sequence[str], drawn: Sequence[Line], unit: str) -> str:
    """Draw lines from zero up, over places that are equally far apart."""
    height, left, top = 220, 70, 56
    most = max((v for line in drawn for v in line.values if v is not None), default=0) or 1
    step = (_WIDTH - left - _RIGHT) / max(1, len(scale) - 1)
    parts = [*_legend([line.label for line in drawn])]
    for quarter in range(5):
        y = top + height - height * quarter / 4
        parts.append(f'<path d="M{left} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{GRID}"/>')
        label = f"{most * quarter / 4:.3g} {unit}"
        parts.append(_text(left - 8, y + 4, label, anchor="end", colour=FAINT))
    for place, label in enumerate(scale):
        x = left + step * place
        parts.append(_text(x, top + height + 20, label, anchor="middle", colour=FAINT))
    for line, colour in zip(drawn, COLOURS, strict=False):
        points = [
            (left + step * place, top + height - height * value / most)
            for place, value in enumerate(line.values)
            if value is not None
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
    return _page(title, top + height + 36, parts)


def _legend(labels: Sequence[str]) -> list[str]:
    parts, x = [], 20.0
    for label, colour in zip(labels, COLOURS, strict=False):
        parts.append(_box(x, 28, 10, 10, colour))
        parts.append(_text(x + 15, 37, label, colour=FAINT))
        x += 34 + 6.6 * len(label)
    return parts


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" fill="{colour}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}>{escape(text)}</text>"


def _page(title: str, height: float, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {_WIDTH} {height:g}" width="{_WIDTH}" height="{height:g}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"'
        ' font-family="system-ui, sans-serif" font-size="12">'
    )
    paper = f'<rect width="{_WIDTH}" height="{height:g}" rx="8" fill="#ffffff"/>'
    style = f'font-size="14" font-weight="600" fill="{INK}"'
    heading = f'<text x="20" y="20" {style}>{escape(title)}</text>'
    return (
        "\n  ".join([head, f"<title>{escape(title)}</title>", paper, heading, *parts])
        + "\n</svg>\n"
    )
