"""The report: a page over the tiers of machines that have figures, and the JSON where these are kept."""
import contextlib
import json
import os
import textwrap
from pathlib import Path

from . import parts
from .tables import left_out, losers, mark, sizes

HEAD = Path(__file__).with_name("head.md")
TITLES = {"latency": "Latency", "load": "Load time and memory", "throughput": "Throughput of concurrent callers",
          "scaling": "Batch and sequence length", "shapes": "Changing shapes",
          "overhead": "Cost of a run and of a node", "operators": "Operators", "kernels": "Kernels against the machine",
          "onednn": "oneDNN's place"}


class Page:
    """Lines of Markdown, and the pictures they show, in a folder; without one they stay away and nothing is folded."""

    def __init__(self, folder, tier, sections):
        self.lines, self.folder, self.stem, self.sections = [], folder, tier.lower(), sections

    def add(self, *lines):
        self.lines += lines

    def prose(self, words):
        self.add(*textwrap.wrap(words, 120), "")

    def picture(self, name, caption, drawn):
        if self.folder is not None:
            file = f"{self.stem}-{name}.svg"
            (self.folder / file).write_text(drawn, encoding="utf-8")
            self.add(f"![{caption}](benchmarks/{file})", "")

    @contextlib.contextmanager
    def folded(self, summary):
        """What is added within stays away until the reader asks for it."""
        self.add(*((summary, "") if self.folder is None else ("<details>", f"<summary>{summary}</summary>", "")))
        yield
        self.add(*(() if self.folder is None else ("</details>", "")))

    def section(self, name, section):
        """The part of one section, what was left out and why, and how steady the machine was."""
        self.add(f"### {TITLES[name]}", "")
        getattr(parts, name)(self, section)
        self.add(*left_out(section["rows"]))
        weather = section["weather"]
        share = min(probe["share"] for probe in weather["probes"].values())
        versions = ", ".join(f"{name} {version}" for name, version in section["versions"].items())
        trials = "".join(f" {t['engine']} ran with {sizes(t['chosen'])}, the fastest in a trial on {t['model']}."
                         for t in section.get("trials", ()))
        self.prose(f"Versions: {versions}.{trials} {weather['rounds']} rounds, {weather['discarded']} of them discarded and measured again; the "
                   f"probe had {100 * share:.0f} % of its core, the hypervisor kept {100 * weather['stolen']:.1f} % of the time"
                   f"{'; quick mode' if section['quick'] else ''}.")


def tier(folder, results):
    """The lines of one tier's part."""
    sections = {name: results["sections"][name] for name in TITLES if results["sections"].get(name, {}).get("rows")}
    page = Page(folder, results["tier"], sections)
    cap = f" Tenon was held to {results['cap']}, the others were not: no fair table." if results["cap"] else ""
    hidden = " It has wider vectors, which were hidden from every engine and from the probe." if results.get("hidden") else ""
    page.add(f"## {results['tier']}", "", f"A machine with {results['tier']} and {results['cpus']} cores.{hidden}{cap}", "")
    page.add("### Where Tenon is slower or larger", "", *(losers(sections) or ["Nowhere in what was measured."]), "")
    for name, section in sections.items():
        page.section(name, section)
    return page.lines


def name_of(out, tier_name):
    return Path(out) / "benchmarks" / f"{tier_name.lower()}.json"


def keep(out, results):
    """Writes the figures of a tier, all or nothing."""
    target = name_of(out, results["tier"])
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".new")
    scratch.write_text(json.dumps(results, separators=(",", ":")) + "\n", encoding="utf-8")
    os.replace(scratch, target)


def kept(out, tier_name):
    """The figures of a tier from earlier runs, or none yet."""
    file = name_of(out, tier_name)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"tier": tier_name, "sections": {}}


def write(out):
    """The page over all tiers that have figures; its path."""
    lines = [*HEAD.read_text(encoding="utf-8").splitlines(), ""]
    for file in sorted(Path(out).glob("benchmarks/*.json")):
        lines += tier(file.parent, json.loads(file.read_text(encoding="utf-8")))
    target = Path(out) / "benchmarks.md"
    target.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return target


def line(row):
    """A row in a few words, for whoever waits."""
    where = [str(row[k]) for k in ("model", "operator", "target", "case", "form", "axis", "size", "pattern") if row.get(k)]
    where += [f"{row[k]} {k}" for k in ("threads", "callers") if k in row]
    found = row.get("engines") or row.get("figures", {}).get("first") or {"onnxruntime": row}
    shown = [f"{engine} {mark(cell)}" for engine, cell in found.items() if "ratio" in cell]
    missing = row.get("left_out", {})
    shown += [f"without {engine}" for engine in missing] if isinstance(missing, dict) else [missing]
    return f"{' '.join(where)}: {', '.join(shown)}"
