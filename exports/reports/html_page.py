"""Reports as one HTML page that needs nothing else: no script, font, image or link elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape

from netspec.exports.report import PASSED, NodeError, NodeRow, Report, Row
from netspec.exports.report_text import ratio, scientific, verdict
from netspec.exports.reports.html_graph import (
    SHADES,
    clean,
    graph,
    graph_style,
    run_names,
)

STYLE = """
:root { color-scheme: light }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; padding: 0 1.5em; color: #222 }
h1 { font-size: 1.5em } h2 { font-size: 1.2em; margin-top: 2em; border-top: 1px solid #ccc }
h3 { font-size: 1em; margin: 1.5em 0 .4em }
table { border-collapse: collapse } td, th { padding: .15em .8em .15em 0; text-align: left }
th { font-weight: 600; border-bottom: 1px solid #ccc } td { vertical-align: top }
.number { text-align: right; font-variant-numeric: tabular-nums }
.good { color: #1a7f37 } .bad { color: #b42318; font-weight: 600 }
pre, code, svg { font-family: ui-monospace, Consolas, Menlo, monospace; font-size: 12px }
pre { background: #f6f6f6; padding: .6em .8em; overflow-x: auto }
.graph { overflow-x: auto; margin-top: .6em } label { margin-right: 1.2em }
svg path { fill: none; stroke: #888 } svg rect { fill: #fff; stroke: #666 }
svg text { font-size: 11px; fill: #222 } svg .p { font-weight: 600 }
.key span { display: inline-block; width: 1em; height: 1em; border: 1px solid #666;
  vertical-align: -2px; margin: 0 .3em 0 1em }
""".strip()

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(reports: Sequence[Report]) -> str:
    """The reports of one run as the text of a file. Whatever they quote is escaped."""
    names = clean(", ".join(report.spec for report in reports))
    bodies = [_report(report, f"s{number}") for number, report in enumerate(reports)]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>netspec: {names}</title>",
            f"<style>\n{STYLE}\n</style>",
            "</head>",
            "<body>",
            f"<h1>netspec verify: {names}</h1>",
            *bodies,
            "</body>",
            "</html>\n",
        ]
    )


def _report(report: Report, name: str) -> str:
    status = "good" if report else "bad"
    blames = [f"<pre>{clean(blame.render())}</pre>" for blame in report.blames]
    parts = [
        f'<section id="{name}">',
        f"<h2>{clean(report.spec)}</h2>",
        *(f'<p class="{status}">{clean(line)}</p>' for line in verdict(report)),
        *_same(report),
        *_rounding(report),
        *(f"<p>Note: {clean(note)}</p>" for note in report.notes),
        *(["<h3>Where it departs</h3>", *blames] if blames else []),
        *_training(report),
        *_logs((*report.same, *report.rows)),
        "<h3>To repeat it</h3>",
        *([f"<pre>{clean(report.command)}</pre>"] if report.command else []),
        f"<p>{clean(f'{report.weights}, seed {report.seed}')}</p>",
        _table(("package", "version"), _lines(report.versions.items())),
        "<h3>The network</h3>",
        _network(report, name),
        "</section>",
    ]
    return "\n".join(parts)


def _same(report: Report) -> list[str]:
    if not report.same:
        return []
    lines = []
    for row in report.same:
        lines += [
            _measured(row, output, scientific(difference.relative))
            for output, difference in row.differences.items()
        ] or [_measured(row, "-", "-")]
    head = ("subject", "in float64", "output", "error over its largest value")
    return ["<h3>Is it the same function?</h3>", _table((*head, *_TAIL), lines)]


def _rounding(report: Report) -> list[str]:
    lines = []
    for row in report.rows:
        lines += [
            _measured(row, output, ratio(figures.ratio_rms), ratio(figures.ratio_max))
            for output, figures in row.figures.items()
        ] or [_measured(row, "-", "-", "-")]
    head = ("subject", "runtime", "output", "rms", "max")
    return [
        "<h3>Does it round rightly? Errors in units of the predicted float32 noise</h3>",
        _table((*head, *_TAIL), lines),
    ]


def _training(report: Report) -> list[str]:
    if report.training is None:
        return []
    return ["<h3>Do they train alike?</h3>", f"<pre>{clean(report.training.render())}</pre>"]


_TAIL = ("status", "", "seconds", "ran with")


def _measured(row: Row, output: str, *numbers: str) -> str:
    """A line with an output's figures, and what is said of its row."""
    status = "good" if row.status in PASSED else "bad"
    known = {k: v for k, v in row.info.items() if v not in ([], {}, "")}
    told = {k: v if isinstance(v, str) else json.dumps(v) for k, v in known.items()}
    info = ", ".join(f"{name} {value}" for name, value in told.items())
    return "".join(
        [
            *(f"<td>{clean(text)}</td>" for text in (row.subject, row.runtime, output)),
            *(f'<td class="number">{number}</td>' for number in numbers),
            f'<td class="{status}">{clean(row.status)}</td><td>{clean(row.reason)}</td>',
            f'<td class="number">{row.seconds:.1f}</td><td>{clean(info)}</td>',
        ]
    )


def _logs(rows: Iterable[Row]) -> list[str]:
    return [
        f"<h3>The end of the log: {clean(row.name)}</h3>\n<pre>{clean(row.detail)}</pre>"
        for row in rows
        if row.detail
    ]


def _network(report: Report, name: str) -> str:
    if not report.nodes:
        return "<p>It was not recorded node by node: <code>netspec verify --html</code> does.</p>"
    runs = run_names(report.nodes)
    choices = []
    for number, run in enumerate(("the largest", *runs)):
        on = " checked" if number == 0 else ""
        label = f'<label for="{name}r{number}">{clean(run)}</label>'
        choices.append(f'<input type="radio" name="{name}r" id="{name}r{number}"{on}>{label}')
    return "\n".join(
        [
            f"<style>\n{graph_style(name, len(runs))}\n</style>",
            "<p>The largest error of each node on one sample, in units of the noise predicted for "
            "it. A node fed with errors has them too: look for the first.</p>",
            _key(report.limit),
            *choices,
            f'<div class="graph">\n{graph(report.nodes, name, report.limit)}\n</div>',
            f"<details><summary>The same as a table of {len(report.nodes):,} nodes</summary>",
            _node_table(report.nodes, runs, report.limit),
            "</details>",
        ]
    )


def _key(limit: float) -> str:
    boxes = []
    for number, (top, colour) in enumerate(SHADES):
        last = number == len(SHADES) - 1
        words = "more" if last else f"up to {top * limit:g}"
        boxes.append(f'<span style="background:{colour}"></span>{words}')
    boxes.append('<span style="border-style:dashed"></span>computed in one with what reads it')
    return f'<p class="key">{"".join(boxes)}; the limit is {limit:g}</p>'


def _node_table(nodes: Sequence[NodeRow], runs: Sequence[str], limit: float) -> str:
    def cell(error: NodeError | None) -> str:
        text = "" if error is None else ratio(error.ratio)
        beyond = error is not None and not error.ratio <= limit
        return f'<td class="number{" bad" if beyond else ""}">{text}</td>'

    lines = (
        "".join(
            [
                *(f"<td>{clean(t)}</td>" for t in (node.path, node.op, node.shape, node.where)),
                *(cell(error) for error in node.errors.values()),
            ]
        )
        for node in nodes
    )
    return _table(("node", "op", "output", "in the spec", *runs), lines)


def _lines(rows: Iterable[Sequence[str]]) -> Iterable[str]:
    return ("".join(f"<td>{clean(cell)}</td>" for cell in row) for row in rows)


def _table(head: Sequence[str], lines: Iterable[str]) -> str:
    cells = "".join(f"<th>{clean(cell)}</th>" for cell in head)
    rows = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table>\n<tr>{cells}</tr>\n{rows}\n</table>"
