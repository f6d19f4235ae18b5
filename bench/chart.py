"""Bar charts as SVG, with text as text, for light and dark pages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LABELS, FIGURES, MARGIN = 760, 190, 60, 16
BAR, GAP, HEAD, FOOT = 16, 6, 52, 12
# Offsets of the titles of the picture and of its panels.
TITLE_AT, PANEL_TITLE_AT, PANEL_HEAD = 24, 18, 28
STYLE = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 }
.panel { font-weight: 600 }
.quiet { fill: #59636e }
.ours { font-weight: 600 }
rect { fill: #8c959f }
rect.ours { fill: #0969da }
line { stroke: #59636e; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .quiet { fill: #9198a1 }
  rect { fill: #656c76 }
  rect.ours { fill: #4493f8 }
  line { stroke: #9198a1 }
}"""


@dataclass(frozen=True)
class Chart:
    """Panels of bars, by title: the bars' values, by name. The value 1 is the limit."""

    title: str
    description: str
    panels: Mapping[str, Mapping[str, float]]
    # The names of highlighted bars.
    ours: Sequence[str] = ()

    @property
    def longest(self) -> float:
        return max([1, *(value for bars in self.panels.values() for value in bars.values())])

    def x(self, value: float) -> float:
        width = WIDTH - LABELS - FIGURES - 2 * MARGIN
        return MARGIN + LABELS + width * value / self.longest


def svg(chart: Chart) -> str:
    """Return the picture."""
    body: list[str] = []
    top = float(HEAD)
    for title, bars in chart.panels.items():
        body += panel(chart, title, bars, top)
        top += height(bars)
    whole = round(top + FOOT)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{whole}"'
        f' viewBox="0 0 {WIDTH} {whole}" role="img" aria-labelledby="title description">',
        f'<title id="title">{escape(chart.title)}</title>',
        f'<desc id="description">{escape(described(chart))}</desc>',
        f"<style>\n{STYLE}\n</style>",
        text(MARGIN, TITLE_AT, chart.title, "title"),
        text(MARGIN, TITLE_AT + 20, chart.description, "quiet"),
        *body,
        "</svg>\n",
    ])  # fmt: skip


def height(bars: Mapping[str, float]) -> int:
    return PANEL_HEAD + len(bars) * (BAR + GAP) + GAP


def panel(chart: Chart, title: str, bars: Mapping[str, float], top: float) -> Iterator[str]:
    limit, begins, ends = chart.x(1), top + PANEL_HEAD - GAP, top + height(bars) - GAP
    yield text(MARGIN, top + PANEL_TITLE_AT, title, "panel")
    yield f'<line x1="{limit:.1f}" x2="{limit:.1f}" y1="{begins:.1f}" y2="{ends:.1f}"/>'
    for number, (name, value) in enumerate(bars.items()):
        yield from bar(chart, name, value, top + PANEL_HEAD + number * (BAR + GAP))


def bar(chart: Chart, name: str, value: float, top: float) -> Iterator[str]:
    kind, starts, ends = "ours" if name in chart.ours else "", chart.x(0), chart.x(value)
    middle = top + BAR - 4
    yield text(starts - 8, middle, name, kind, anchor="end")
    of_kind = ' class="ours"' if kind else ""
    yield (
        f'<rect{of_kind} x="{starts:.1f}" y="{top:.1f}" width="{max(ends - starts, 1):.1f}"'
        f' height="{BAR}" rx="2"/>'
    )
    # Values are in a column of their own, without bars and lines.
    yield text(WIDTH - MARGIN, middle, f"{value:.2f}", kind, anchor="end")


def text(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> str:
    of_kind = f' class="{kind}"' if kind else ""
    to_the_left = ' text-anchor="end"' if anchor == "end" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{of_kind}{to_the_left}>{escape(said)}</text>'


def described(chart: Chart) -> str:
    """Return the values as a text for screen readers."""
    panels = (
        f"{title}: {', '.join(f'{name} {value:.2f}' for name, value in bars.items())}."
        for title, bars in chart.panels.items()
    )
    return f"{chart.description} {' '.join(panels)}"
