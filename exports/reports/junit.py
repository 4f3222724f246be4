"""Reports as JUnit XML, which build servers show: a test for every row.

The format is the one that Jenkins, GitLab and their kin read: `testsuites` of `testsuite` of
`testcase`, with `failure` for what disagreed and `error` for what failed. What did not run is an
error as well, since servers count `skipped` as well done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from netspec.exports.report import DISAGREED, PASSED, Report, Row
from netspec.exports.report_text import ratio, scientific
from netspec.exports.training import TrainingReport

# XML 1.0 has no way to write the others, escaped or not.
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(reports: Sequence[Report]) -> str:
    """The reports of one run as the text of a file."""
    root = Element("testsuites", name="netspec verify")
    for report in reports:
        same = [_case(row, f"{report.spec}.same_function", _relative(row)) for row in report.same]
        rounds = [_case(row, f"{report.spec}.rounding", _ratios(row)) for row in report.rows]
        trained = [_training(report.spec, report.training)] if report.training is not None else []
        root.append(_suite(report, [*same, *rounds, *trained]))
    _count(root, list(root.iter("testcase")))
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(report: Report, cases: list[Element]) -> Element:
    suite = Element("testsuite", name=_clean(report.spec))
    _count(suite, cases)
    properties = SubElement(suite, "properties")
    told = {"weights": report.weights, "seed": str(report.seed), "command": report.command}
    told |= {"limit": f"{report.limit:g}", "bound": f"{report.bound:g}"}
    told |= {f"version of {name}": version for name, version in report.versions.items()}
    for name, value in told.items():
        SubElement(properties, "property", name=_clean(name), value=_clean(value))
    suite.extend(cases)
    said = [*(f"note: {note}" for note in report.notes), *(b.render() for b in report.blames)]
    if said:
        SubElement(suite, "system-out").text = _clean("\n".join(said))
    return suite


def _case(row: Row, group: str, found: str) -> Element:
    name = f"{row.subject} on {row.runtime}"
    case = Element(
        "testcase", name=_clean(name), classname=_clean(group), time=f"{row.seconds:.3f}"
    )
    if row.status not in PASSED:
        kind = "failure" if row.status == DISAGREED else "error"
        message = _clean(f"{row.status}: {row.reason}" if row.reason else row.status)
        problem = SubElement(case, kind, type=_clean(row.status), message=message)
        problem.text = _clean("\n".join(text for text in (found, row.detail) if text))
    elif found:
        SubElement(case, "system-out").text = _clean(found)
    return case


def _training(spec: str, training: TrainingReport) -> Element:
    group, name = _clean(f"{spec}.training"), "torch against keras"
    case = Element("testcase", name=name, classname=group, time="0.000")
    if training:
        SubElement(case, "system-out").text = _clean(training.render())
    else:
        problem = SubElement(case, "failure", type=DISAGREED, message=_clean(training.blamed))
        problem.text = _clean(training.render())
    return case


def _relative(row: Row) -> str:
    return "\n".join(
        f"{name}: {scientific(d.relative)} of the largest output in float64"
        for name, d in row.differences.items()
    )


def _ratios(row: Row) -> str:
    return "\n".join(
        f"{name}: rms {ratio(f.ratio_rms)}, max {ratio(f.ratio_max)} of the predicted noise"
        for name, f in row.figures.items()
    )


def _count(element: Element, cases: Iterable[Element]) -> None:
    cases = list(cases)
    element.set("tests", str(len(cases)))
    for kind in ("failure", "error"):
        element.set(f"{kind}s", str(sum(case.find(kind) is not None for case in cases)))
    element.set("time", f"{sum(float(case.get('time', 0)) for case in cases):.3f}")


def _clean(text: str) -> str:
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
