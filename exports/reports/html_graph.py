"""A report's network as inline SVG: a box for each node, coloured by its error in each run."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from netspec.exports.report import NodeError, NodeRow
from netspec.exports.report_text import printable, ratio
from netspec.exports.reports.layout import Item, Layout, layered

WIDTH, HEIGHT, STEP, MARGIN = 250, 38, 60, 14  # pixels: a box, from layer to layer, around all
LETTERS = 33  # that fit a box

SHADES = (
    (1 / 8, "#eef4fb"),
    (1 / 4, "#cfe1f2"),
    (1 / 2, "#93c3df"),
    (1.0, "#fee391"),
    (10.0, "#fc8d59"),
    (float("inf"), "#d7301f"),
)
"""Colours by error: up to this many times the limit. The last two are beyond it."""
UNSEEN = "u"


def clean(text: str) -> str:
    """Text for HTML, escaped; what cannot be printed is shown as U+FFFD."""
    return escape(printable(text), quote=True)


def run_names(nodes: Sequence[NodeRow]) -> list[str]:
    """The runs that were recorded, in order."""
    return list(nodes[0].errors) if nodes else []


def shade(error: NodeError | None, limit: float) -> str:
    """The name of a colour: a number, or that of what no run shows."""
    if error is None:
        return UNSEEN
    found = error.ratio / limit
    return str(next(n for n, (top, _) in enumerate(SHADES) if found <= top))


def worst(node: NodeRow) -> NodeError | None:
    """The node's error where it is largest."""
    seen = [error for error in node.errors.values() if error is not None]
    return max(seen, key=lambda error: error.ratio, default=None)


def columns(node: NodeRow) -> list[NodeError | None]:
    """What can be chosen to be shown of a node: the worst run, then each."""
    return [worst(node), *node.errors.values()]


def graph_style(page: str, runs: int) -> str:
    """CSS that colours the boxes by the run whose radio button is on; no script is needed."""
    rules = [".v{display:none}"]
    colours = [(str(n), colour) for n, (_, colour) in enumerate(SHADES)]
    for run in range(runs + 1):
        on = f"#{page}r{run}:checked~.graph"
        rules.append(f"{on} .v{run}{{display:inline}}")
        rules += [f"{on} .c{run}_{name}>rect{{fill:{colour}}}" for name, colour in colours]
        rules.append(f"{on} .c{run}_{UNSEEN}>rect{{stroke-dasharray:4 3;fill:#fff}}")
        rules.append(f"{on} .c{run}_{len(SHADES) - 1} text{{fill:#fff}}")
    return "\n".join(rules)


def graph(nodes: Sequence[NodeRow], page: str, limit: float) -> str:
    """The drawing, or why there is none. `page` begins the ids of its elements."""
    known = {node.path for node in nodes}
    names = [name for node in nodes for name in node.inputs if name not in known]
    sources = list(dict.fromkeys(names))
    number = {name: n for n, name in enumerate((*sources, *(node.path for node in nodes)))}
    reads = [*([] for _ in sources), *([number[name] for name in n.inputs] for n in nodes)]
    layout = layered(reads)
    if layout is None:
        return f"<p>The network's {len(nodes):,} nodes are too many to draw.</p>"
    boxes = [_input(layout.items[number[name]], name) for name in sources]
    boxes += [
        _node(layout.items[number[node.path]], node, f"{page}n{n}", limit)
        for n, node in enumerate(nodes)
    ]
    width = round(layout.width * WIDTH) + 2 * MARGIN
    height = layout.layers * STEP - (STEP - HEIGHT) + 2 * MARGIN
    return "\n".join(
        [
            f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
            'aria-label="the network as a graph">',
            *_lines(layout),
            *boxes,
            "</svg>",
        ]
    )


def _lines(layout: Layout) -> list[str]:
    """One path for each value, through all its readers."""
    parts: dict[int, list[str]] = {}
    for item in layout.items:
        x, y = _middle(item), _top(item) + HEIGHT
        path = parts.setdefault(item.node, [])
        if item.width < 1.0:
            path.append(f"M{x} {y - HEIGHT}V{y}")
        for below in item.below:
            to, end = _middle(below), y + STEP - HEIGHT
            half = y + (STEP - HEIGHT) // 2
            path.append(
                f"M{x} {y}V{end}" if to == x else f"M{x} {y}C{x} {half} {to} {half} {to} {end}"
            )
    return [f'<path d="{"".join(path)}"/>' for path in parts.values() if path]


def _node(item: Item, node: NodeRow, name: str, limit: float) -> str:
    shown = columns(node)
    classes = " ".join(f"c{run}_{shade(error, limit)}" for run, error in enumerate(shown))
    kind, _, _ = node.op.partition("(")
    right = f'x="{WIDTH - 7}" y="31" text-anchor="end"'
    values = [
        f'<text class="v v{run}" {right}>{ratio(error.ratio)}</text>'
        for run, error in enumerate(shown)
        if error is not None
    ]
    told = [node.path, node.op, f"{node.shape}, {node.where}"]
    told += [f"{run}: {_error_text(error)}" for run, error in node.errors.items()]
    return (
        f'<g id="{name}" class="n {classes}" transform="translate({_left(item)} {_top(item)})">'
        f"<title>{clean(chr(10).join(told))}</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="4"/>'
        f'<text class="p" x="7" y="15">{clean(_short(node.path))}</text>'
        f'<text x="7" y="31">{clean(_short(f"{kind} {node.shape}", LETTERS - 8))}</text>'
        f"{''.join(values)}</g>"
    )


def _input(item: Item, name: str) -> str:
    return (
        f'<g class="n" transform="translate({_left(item)} {_top(item)})">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="19"/>'
        f'<text class="p" x="{WIDTH // 2}" y="23" text-anchor="middle">{clean(_short(name))}</text>'
        "</g>"
    )


def _error_text(error: NodeError | None) -> str:
    if error is None:
        return "computed in one with what reads it"
    absolute = f"{error.max:.2g} of {error.predicted_max:.2g}"
    return f"{ratio(error.ratio)} of the predicted noise ({absolute})"


def _short(text: str, letters: int = LETTERS) -> str:
    """The end of a long name, which tells more than its beginning."""
    return text if len(text) <= letters else f"…{text[1 - letters :]}"


def _middle(item: Item) -> int:
    return round(item.x * WIDTH) + MARGIN


def _left(item: Item) -> int:
    return _middle(item) - WIDTH // 2


def _top(item: Item) -> int:
    return item.layer * STEP + MARGIN
