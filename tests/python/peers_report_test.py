"""The report of a short run: complete tables, pictures that parse, losers named."""
import dataclasses
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import DIGITS
from peers import models, plot, report, sections, tables


class Steady:
    """A machine that never changes."""
    rounds = discarded = 0

    def look(self, _):
        return True


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The figures of a short run over the digits, as they are kept."""
    model = models.find(str(DIGITS / "digits.onnx"))
    effort = dataclasses.replace(sections.QUICK, rounds=3, seconds=0.01, warm=0.01, loads=1, batches=(1, 4))
    session = sections.Session(["tenon", "onnxruntime"], effort, [1, 2], Steady(), tmp_path_factory.mktemp("bench"))
    weather = {"rounds": 1, "discarded": 0, "stolen": 0.0, "probes": dict.fromkeys("12", {"gflops": 50.0, "gb_per_s": 10.0, "share": 1.0})}
    kept = {"tier": "AVX2", "cpus": 2, "cap": "", "sections": {}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections, "SHAPED", {"digits": {"batch": (1, 8, 1)}})
        rows = {name: list(sections.SECTIONS[name](session, [model]))
                for name in ("latency", "load", "throughput", "scaling", "shapes", "overhead")}
    ratio = {"value": 1.5, "low": 1.4, "high": 1.6, "verdict": "faster"}
    rows["operators"] = [{"operator": "Relu", "tenon": 2e-6, "onnxruntime": 3e-6, "least": 1e-6, "ratio": ratio},
                         {"operator": "Odd", "left_out": "not implemented"}]
    rows["latency"][0]["left_out"]["tract"] = "not asked"
    for name in rows:
        kept["sections"][name] = {"rows": rows[name], "quick": True, "weather": weather,
                                  "versions": {"tenon": "1", "onnxruntime": "2", "tract": "3"}, "trials": []}
    return kept


def test_report(results, tmp_path):
    report.keep(tmp_path, results)
    assert report.kept(tmp_path, "AVX2") == json.loads(json.dumps(results))
    text = report.write(tmp_path).read_text()
    for title in ("## AVX2", "### Where Tenon is slower", "### Latency", "#### 2 threads over one", "### Load time and memory",
                  "#### onnxruntime over each way", "### Throughput", "### Batch", "### Changing shapes", "### Cost of a run",
                  "### Operators"):
        assert title in text
    pictures = re.findall(r"\(benchmarks/(\S+\.svg)\)", text)
    assert pictures
    for name in pictures:
        assert ElementTree.parse(tmp_path / "benchmarks" / name).getroot().tag.endswith("svg")
    tables_in = [block.split("\n") for block in re.findall(r"(?:^\|.*\n)+", text, re.M) for block in [block.strip()]]
    assert tables_in and all(len({line.count("|") for line in table}) == 1 for table in tables_in)
    assert "- Odd: not implemented" in text and "- tract for digits: not asked" in text
    assert "| Relu     | 2.00 µs |     3.00 µs | **1.50** [1.40, 1.60] |" in text
    # Every ratio of the latency section stands in the page.
    for row in results["sections"]["latency"]["rows"]:
        assert f"{row['engines']['onnxruntime']['ratio']['value']:.2f}" in text


def test_tiers_stand_side_by_side(results, tmp_path):
    report.keep(tmp_path, results)
    report.keep(tmp_path, results | {"tier": "AVX-512"})
    text = report.write(tmp_path).read_text()
    assert text.index("## AVX-512") < text.index("## AVX2")
    assert report.kept(tmp_path, "SSE4") == {"tier": "SSE4", "sections": {}}


def test_what_is_left_out_is_told_once():
    rows = [{"model": m, "threads": t, "left_out": {"tract": "one thread only"} if t == 2 else {}} for m in "ab" for t in (1, 2)]
    rows[0]["left_out"] = {"mnn": "refused"}
    assert tables.left_out(rows) == ["Left out:", "", "- mnn for a: refused", "- tract for every model on 2 threads: one thread only", ""]
    assert tables.left_out([{"model": "a", "left_out": {}}]) == []


def test_losers_are_named():
    def cell(verdict):
        return {"engines": {"mnn": {"ratio": {"value": 0.5, "low": 0.4, "high": 0.6, "verdict": verdict}}, "tenon": {}}}
    rows = [{"model": "m", "threads": 2} | cell("slower"), {"model": "n", "threads": 1} | cell("even")]
    assert tables.losers({"latency": {"rows": rows}}) == ["- latency: m, 2 threads (mnn 0.50)"]


@pytest.mark.parametrize("low, high", [(0.5, 3), (1, 1.2), (0.01, 500), (1e-6, 1), (90, 100), (0.98, 1.01)])
@pytest.mark.parametrize("log", [True, False])
def test_ticks_are_few_round_and_inside(low, high, log):
    scale = plot.Scale([low, high], 0, 100, log)
    got = scale.ticks()
    assert 1 <= len(got) <= 15 and all(0 <= scale(t) <= 100 for t in got)
    assert all(f"{t:.3g}" == f"{t:.6g}" for t in got)
