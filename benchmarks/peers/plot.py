"""Two kinds of SVG pictures, small and readable on a light page and a dark one."""
import math
from xml.sax.saxutils import escape

COLOURS = {"tenon": "#d55e00", "tenon-mapped": "#a65628", "onnxruntime": "#3b82c4", "openvino": "#009e73", "mnn": "#cc79a7",
           "ncnn": "#c99700", "tract": "#8a7fd6"}
STYLE = """text { font: 12px Helvetica, Arial, sans-serif; fill: #333 } .head { font-weight: bold }
.grid { stroke: #888; stroke-opacity: .4; stroke-width: .5 } .one { stroke: #888; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) { text { fill: #ccc } }"""


def colour(name):
    return COLOURS.get(name, "#888888")


def number(x):
    """Of a tick: short."""
    return f"{x / 1e6:.4g}M" if x >= 1e6 else f"{x / 1e3:.4g}k" if x >= 1e4 else f"{x:.4g}"


def ticks(low, high, log):
    """Round numbers from low to high, few enough to label."""
    if not log:
        step = 10 ** math.floor(math.log10(max(high - low, 1e-9)))
        step = next(s for s in (step / 5, step / 2, step, step * 2) if (high - low) / s <= 8)
        return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    # All powers of ten, with 2 and 5 or every power of two between them where there is room.
    decades = math.log10(high / low)
    digits = (1, 1.5, 2, 3, 4, 5, 7) if decades < 0.8 else (1, 2, 5) if decades < 2.5 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [d * 10.0**p for p in powers for d in digits if low * 0.999 <= d * 10.0**p <= high * 1.001]


class Scale:
    """Numbers to pixels."""

    def __init__(self, numbers, start, end, log, include=()):
        numbers = [x for x in [*numbers, *include] if not log or x > 0]
        self.log, self.start, self.end = log, start, end
        low, high = min(numbers, default=1), max(numbers, default=1)
        if log:
            self.low, self.high = low / 1.08, high * 1.08
        else:
            self.low, self.high = min(low, 0), (high or 1) * 1.05

    def __call__(self, x):
        place = math.log(x / self.low) / math.log(self.high / self.low) if self.log else (x - self.low) / (self.high - self.low)
        return round(self.start + place * (self.end - self.start), 1)

    def ticks(self):
        return ticks(self.low, self.high, self.log)


def svg(width, height, title, parts):
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
                      f"<title>{escape(title)}</title><style>{STYLE}</style>", *parts, "</svg>", ""])


def text(x, y, words, anchor="start", kind=""):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{f" class={chr(34)}{kind}{chr(34)}" if kind else ""}>{escape(str(words))}</text>'


def line(x1, y1, x2, y2, kind="", stroke=""):
    look = f'class="{kind}"' if kind else f'stroke="{stroke}" stroke-width="1.5"'
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {look}/>'


def circle(x, y, radius, name, words=""):
    inside = f"><title>{escape(words)}</title></circle>" if words else "/>"
    return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour(name)}"{inside}'


def legend(names, x, y):
    parts = []
    for name in names:
        parts += [circle(x, y - 4, 4.5, name), text(x + 9, y, name)]
        x += 24 + 7 * len(name)
    return parts


def dots(title, labels, series, log=True, one=True, unit="", step=22):
    """A row a label, on it a dot with its interval for each engine. series: {engine: [(value, low, high) or None, one a label]}.

    log: the scale; one: a line at 1; step: the height of a row.
    """
    left, width, top = 30 + 7 * max(map(len, labels)), 760, 52
    height = top + step * len(labels) + 34
    numbers = [x for marks in series.values() for mark in marks if mark for x in mark]
    scale = Scale(numbers, left, width - 24, log, (1,) if one else ())
    bottom = height - 30
    parts = [text(12, 18, title, kind="head"), *legend(series, 18, 40)]
    for tick in scale.ticks():
        parts += [line(scale(tick), top, scale(tick), bottom, "grid"), text(scale(tick), bottom + 16, number(tick) + unit, "middle")]
    if one:
        parts.append(line(scale(1), top, scale(1), bottom, "one"))
    for k, label in enumerate(labels):
        y = top + step * k + step / 2
        parts += [line(left, y, width - 24, y, "grid"), text(left - 10, y + 4, label, "end")]
        present = [(engine, marks[k]) for engine, marks in series.items() if marks[k]]
        for place, (engine, (value, low, high)) in enumerate(present):
            at = round(y + (place - (len(present) - 1) / 2) * min(3.5, 0.6 * step / len(present)), 1)
            if low < high:
                parts.append(line(scale(low), at, scale(high), at, stroke=colour(engine)))
            parts.append(circle(scale(value), at, 3.5, engine, f"{label}, {engine}: {value:.3g}"))
    return svg(width, height, title, parts)


def lines(title, panels):
    """Small pictures side by side. panels: [(heading, {engine: [(x, y)]})]; both axes are logarithmic."""
    columns, w, h, top = min(3, len(panels)), 260, 210, 56
    rows = math.ceil(len(panels) / columns)
    names = list(dict.fromkeys(name for _, curves in panels for name in curves))
    width, height = max(columns * w + 10, 420), top + rows * h
    parts = [text(12, 18, title, kind="head"), *legend(names, 18, 40)]
    for k, (heading, curves) in enumerate(panels):
        x0, y0 = (k % columns) * w + 52, top + (k // columns) * h + 24
        x1, y1 = x0 + w - 70, y0 + h - 62
        points = [p for curve in curves.values() for p in curve]
        x, y = Scale([p[0] for p in points], x0, x1, True), Scale([p[1] for p in points], y1, y0, True)
        parts.append(text(x0, y0 - 8, heading))
        for tick in sorted({p[0] for p in points}):
            parts += [line(x(tick), y0, x(tick), y1, "grid"), text(x(tick), y1 + 16, number(tick), "middle")]
        for tick in y.ticks():
            parts += [line(x0, y(tick), x1, y(tick), "grid"), text(x0 - 6, y(tick) + 4, number(tick), "end")]
        for name, curve in curves.items():
            path = " ".join(f"{x(a)},{y(b)}" for a, b in sorted(curve))
            width_of = 2.5 if name == "tenon" else 1.5
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour(name)}" stroke-width="{width_of}"/>')
            parts += [circle(x(a), y(b), 2.5, name, f"{heading}, {name}, {number(a)}: {b:.3g}") for a, b in curve]
    return svg(width, height, title, parts)
