"""The HTML page: whole by itself, closed to what it quotes, and a drawing that can be read."""

from __future__ import annotations

import itertools
import math
import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

import netspec
from netspec.exports.report import AGREED, FAILED, Blame, NodeError, NodeRow, Report, Row
from netspec.exports.reports.html_page import page
from netspec.exports.reports.layout import Layout, layered

HOSTILE = "</title></svg><script>alert('1')</script><img src=//x onerror=\"y\"> & {{ }} \x00\u202e"
ALIEN = "\N{REPLACEMENT CHARACTER}"
RUNS = ("torch source on torch", "onnx export on onnxruntime")
VOID = {"meta", "input", "path", "rect", "br"}


class Page(HTMLParser):
    """Reads a page strictly: every element that is opened is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.style = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            self.style += data
        else:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def report_of(name: str, **params: Any) -> Report:
    """A report on a network of the zoo, with an error for each node that its number tells."""
    graph = netspec.load(name, **params)
    nodes = [
        NodeRow(
            path=node.path,
            op=repr(node.op),
            inputs=tuple(value.name for value in node.inputs),
            shape=str(node.output.type),
            where=str(node.span),
            errors={RUNS[0]: NodeError(0.1 * n, 1.0), RUNS[1]: NodeError(2.0, 1.0) if n else None},
        )
        for n, node in enumerate(graph.inference_nodes)
    ]
    row = Row("torch source", "torch", AGREED)
    return Report(name, "probe weights", 5, (row,), nodes=tuple(nodes), command=f"verify {name}")


def hostile(report: Report, text: str) -> Report:
    """The report with a text in all places that a spec, a file or a worker fills."""
    named = {node.path: f"{node.path}{text}" for node in report.nodes}
    nodes = tuple(
        NodeRow(
            path=named[node.path],
            op=text,
            inputs=tuple(named.get(name, name + text) for name in node.inputs),
            shape=text,
            where=text,
            errors={run + text: error for run, error in node.errors.items()},
        )
        for node in report.nodes
    )
    row = Row(text, text, FAILED, {}, text, text, {text: text, "a": [text]})
    blame = Blame(text, text, text, text, text, text, (text,), (1,), 1.0, 2.0, 1.0, text, (text,))
    return replace(
        report,
        spec=text,
        weights=text,
        rows=(row,),
        same=(row,),
        notes=(text,),
        blames=(blame,),
        nodes=nodes,
        command=text,
        versions={text: text},
    )


def test_the_page_needs_nothing_else() -> None:
    text = page([report_of("resnet18"), report_of("lenet5")])
    found = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "a", "image", "use"} & {
        name for name, _ in found.elements
    }
    assert not re.search(r"https?:|//|url\(|@import|@font-face", text)
    assert all(not name.startswith("on") for _, attrs in found.elements for name in attrs)


def test_what_a_spec_says_stays_text() -> None:
    plain, quoted = report_of("lenet5"), hostile(report_of("lenet5"), HOSTILE)
    text = page([quoted])
    found, usual = Page(text), Page(page([hostile(plain, "harmless")]))
    assert [name for name, _ in found.elements] == [name for name, _ in usual.elements]
    shown = HOSTILE.replace("\x00", ALIEN).replace("\u202e", ALIEN)
    assert sum(shown in piece for piece in found.texts) > 30
    assert "\x00" not in text
    assert "\u202e" not in text


def test_the_page_tells_what_ran_and_how_to_repeat_it() -> None:
    report = replace(report_of("lenet5"), versions={"netspec": "9.9"}, seed=77)
    texts = Page(page([report])).texts
    for piece in ("verify lenet5", "9.9", "probe weights, seed 77", "conv1", "torch source"):
        assert piece in texts


def test_without_nodes_the_page_says_so() -> None:
    text = page([replace(report_of("lenet5"), nodes=())])
    assert "<svg" not in text
    assert "netspec verify --html" in text


# -- the drawing

Box = tuple[str, float, float]


def boxes(found: Page) -> dict[str, tuple[float, float]]:
    """Where each node's box begins, by its id."""
    result = {}
    for group in found.all("g"):
        place = re.fullmatch(r"translate\((-?\d+) (-?\d+)\)", group["transform"] or "")
        assert place
        if name := group.get("id"):
            result[name] = (float(place[1]), float(place[2]))
    return result


@pytest.mark.parametrize(
    "name", ["resnet50", "densenet121", "googlenet", "inception_v3", "shufflenet_v2_x0_5"]
)
def test_nodes_stand_below_what_they_read_and_beside_each_other(name: str) -> None:
    report = report_of(name)
    found = Page(page([report]))
    placed = boxes(found)
    (drawing,) = found.all("svg")
    width, height = (float(drawing[axis] or 0) for axis in ("width", "height"))
    size = next(box for box in found.all("rect") if "width" in box)
    wide, high = (float(size[axis] or 0) for axis in ("width", "height"))
    assert len(placed) == len(report.nodes)
    at = {node.path: placed[f"s0n{n}"] for n, node in enumerate(report.nodes)}
    for node in report.nodes:
        x, y = at[node.path]
        assert 0 <= x <= width - wide
        assert 0 <= y <= height - high
        assert all(at[source][1] + high < y for source in node.inputs if source in at)
    places = sorted((y, x) for x, y in at.values())
    for (y, x), (next_y, next_x) in itertools.pairwise(places):
        assert next_y > y or next_x >= x + wide
    assert width <= 8 * wide


def test_colours_follow_the_chosen_run() -> None:
    report = report_of("resnet18")
    found = Page(page([report]))
    chosen = [box["id"] for box in found.all("input") if "checked" in box]
    assert chosen == ["s0r0"]
    labels = [label["for"] for label in found.all("label")]
    assert labels == [box["id"] for box in found.all("input")] == ["s0r0", "s0r1", "s0r2"]
    colours = dict(
        re.findall(r"#(s0r\d+:checked~\.graph \.c\d_\w+)>rect\{fill:(#\w+)\}", found.style)
    )
    groups = {box["id"]: (box["class"] or "").split() for box in found.all("g") if "id" in box}
    seen: dict[str, set[float]] = {}
    for n, node in enumerate(report.nodes):
        error = node.errors[RUNS[0]]
        assert error is not None
        shade = next(c for c in groups[f"s0n{n}"] if c.startswith("c1_"))
        seen.setdefault(colours[f"s0r1:checked~.graph .{shade}"], set()).add(error.ratio)
    # Each colour stands for one stretch of ratios, and one of the bounds is the limit.
    stretches = sorted((min(ratios), max(ratios)) for ratios in seen.values())
    assert len(stretches) >= 4
    assert all(top < low for (_, top), (low, _) in itertools.pairwise(stretches))
    assert any(top <= report.limit < low for (_, top), (low, _) in itertools.pairwise(stretches))
    assert "c2_u" in groups["s0n0"]


def test_an_error_without_bound_has_the_last_colour() -> None:
    report = report_of("lenet5")
    nodes = tuple(replace(n, errors={"run": NodeError(math.inf, 0.0)}) for n in report.nodes)
    text = page([replace(report, nodes=nodes)])
    assert text.count("c1_5") == len(nodes) + 2  # and the rules of box and text
    Page(text)


# -- the layout


def is_sound(layout: Layout, inputs: list[list[int]]) -> None:
    items = layout.items
    for node, given in enumerate(inputs):
        assert all(items[i].layer < items[node].layer for i in given)
        for i in given:  # a lane leads from each node to each of its readers
            steps = [items[i]]
            while steps[-1].layer < items[node].layer - 1:
                steps.append(next(s for s in steps[-1].below if s.node == i and s.width < 1))
            assert items[node] in steps[-1].below
    rows: dict[int, list[tuple[float, float]]] = {}
    for item in items:
        rows.setdefault(item.layer, []).append((item.x, item.width))
        assert item.width / 2 - 1e-9 <= item.x <= layout.width - item.width / 2 + 1e-9
    for row in rows.values():
        row.sort()
        for (x, width), (next_x, next_width) in itertools.pairwise(row):
            assert next_x - x >= (width + next_width) / 2
    assert set(rows) == set(range(layout.layers))


@pytest.mark.parametrize("seed", range(30))
def test_any_graph_has_a_sound_layout(seed: int) -> None:
    rng = random.Random(seed)
    inputs: list[list[int]] = []
    for node in range(rng.randrange(1, 60)):
        count = rng.choice([0, 1, 1, 1, 2, 3]) if node else 0
        first = max(0, node - rng.choice([3, 60]))
        inputs.append([rng.randrange(first, node) for _ in range(count)])
    layout = layered(inputs)
    assert layout is not None
    is_sound(layout, inputs)


def test_a_chain_is_a_straight_line() -> None:
    layout = layered([[], *([n] for n in range(199))])
    assert layout is not None
    assert {item.x for item in layout.items} == {0.5}
    assert layout.layers == 200


def test_residual_blocks_do_not_drift_away() -> None:
    inputs: list[list[int]] = [[]]
    for _ in range(40):
        start = len(inputs) - 1
        inputs += [[start], [start + 1], [start + 2], [start + 3, start]]
    layout = layered(inputs)
    assert layout is not None
    is_sound(layout, inputs)
    assert layout.width < 2.5


def test_what_is_too_large_is_not_drawn() -> None:
    assert layered([[], *([n] for n in range(30_000))]) is None
    report = report_of("lenet5")
    nodes = tuple(replace(report.nodes[0], path=f"n{n}", inputs=()) for n in range(20_001))
    assert "20,001 nodes are too many to draw" in page([replace(report, nodes=nodes)])


def test_nothing_is_an_empty_layout() -> None:
    layout = layered([])
    assert layout is not None
    assert (layout.items, layout.layers) == ([], 0)
