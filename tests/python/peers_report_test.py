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

    def into_new_memory(self, size):
        return size * 1e-9


def cell(value, **more):
    return {"value": value, "low": value, "high": value, "rounds": [value], "seconds": 2e-3} | more


def kernel(case, target, aim, engines, **more):
    return {"case": case, "target": target, "aim": aim, "threads": 1, "limit": "peak", "same_as": "", "engines": engines, "left_out": {},
            "roof": {"limit": 2.0, "parts": {"arithmetic": 2.0, "weights": 0.5}}} | more


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
    slower = {"value": 0.8, "low": 0.7, "high": 0.9, "verdict": "slower"}
    rows["kernels"] = [kernel("8 x 8", "Products", 95, {"tenon": cell(76.0), "onednn": cell(95.0, ratio=slower)}),
                       kernel("9 x 9", "Products", 95, {"tenon": cell(96.0)}, left_out={"onednn": "no kernel for it"}),
                       kernel("8 x 8", "On two", 93, {"tenon": cell(50.0, at_once=55.0)}, threads=2),
                       kernel("Relu", "Copies", 85, {"tenon": cell(90.0)}, limit="copy", same_as="Relu")]
    own = {"threads": 1, "kernel": "Own", "left_out": {}, "own": 2e-6, "onednn": 3e-6}
    rows["onednn"] = [own | {"case": "not asked for", "refusal": "not faster", "gain": ratio},
                      own | {"case": "kept apart", "refusal": "cut in another way", "gain": slower},
                      own | {"case": "taken", "refusal": "", "gain": slower}]
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
                  "### Operators", "### Kernels against the machine", "### oneDNN's place"):
        assert title in text
    pictures = re.findall(r"\(benchmarks/(\S+\.svg)\)", text)
    assert pictures
    for name in pictures:
        assert ElementTree.parse(tmp_path / "benchmarks" / name).getroot().tag.endswith("svg")
    tables_in = [block.split("\n") for block in re.findall(r"(?:^\|.*\n)+", text, re.M) for block in [block.strip()]]
    assert tables_in and all(len({line.count("|") for line in table}) == 1 for table in tables_in)
    assert re.search(r"\| taken +\| +Own \| +2.00 µs \| +3.00 µs \| +\*0.80\* \[0.70, 0.90\] \| +oneDNN \|", text)
    assert "Of 3 rows oneDNN is chosen in 1 (mean ratio 0.80), is ahead but not chosen in 1 (mean ratio 0.80), and is not" in " ".join(text.split())
    assert "- Odd: not implemented" in text and "- tract for digits: not asked" in text
    assert "| Relu     | 2.00 µs |     3.00 µs | **1.50** [1.40, 1.60] |" in text
    # The digits have no tables: all their weights are needed, and no engine holds less.
    row = results["sections"]["load"]["rows"][0]
    assert 0 < row["least"]["resident"] <= row["bytes"] and "least possible" in text
    # Every ratio of the latency section stands in the page.
    for row in results["sections"]["latency"]["rows"]:
        assert f"{row['engines']['onnxruntime']['ratio']['value']:.2f}" in text


def lines_of(text, title):
    """The cells of the table below a title."""
    table = text[text.index(f"#### {title}\n"):].split("\n\n")[2]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")[2:]]


def test_kernels(results, tmp_path):
    report.keep(tmp_path, results)
    text = report.write(tmp_path).read_text()
    assert lines_of(text, "Products") == [
        ["8 x 8", "2.00 ms", "76.0 %", "95.0 % oneDNN", "*0.80* [0.70, 0.90]", "no, only overlapped", "80 to 100 %",
         "arithmetic 2.00 s + weights 500 ms"],
        ["9 x 9", "2.00 ms", "96.0 %", "-", "-", "yes", "", ""]]
    assert "the 2 threads have 91 % of the peak that each has alone." in text.replace("\n", " ")
    assert lines_of(text, "On two")[0][:4] == ["8 x 8", "2.00 ms", "50.0 %", "55.0 %"]
    assert lines_of(text, "Copies") == [["Relu", "2.00 ms", "90.0 %", "33.3 % onnxruntime", "**1.50** [1.40, 1.60]", "yes", "", ""]]
    assert "1 of 2 reach the target, 95 % of the multiply-add peak. In the others the longest part is arithmetic (1)." in text
    assert "- kernels: 8 x 8, 1 thread (onednn 0.80)" in text and "- onednn for 9 x 9: no kernel for it" in text


def test_figures_of_old_runs_stay_in_the_report(results, tmp_path):
    old = json.loads(json.dumps(results))
    del old["sections"]["kernels"]
    for row in old["sections"]["load"]["rows"]:
        del row["least"]
    report.keep(tmp_path, old)
    text = report.write(tmp_path).read_text()
    assert "### Load time and memory" in text and "### Kernels against" not in text and "least possible" not in text


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
