"""How figures are written: units, ratios with their verdicts, Markdown tables."""
from . import stats

# What the models of the zoo are; others have no class of their own.
CLASSES = {"convolutional": ("resnet18", "resnet50", "mobilenet_v2", "efficientnet_b0", "vgg16", "unet"),
           "transformers": ("bert_base", "minilm_l6", "gpt2", "llama_kv", "whisper_tiny_encoder")}


def quantity(x):
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"


def seconds(x):
    return f"{quantity(x * 1e6)} µs" if x < 1e-3 else f"{quantity(x * 1e3)} ms" if x < 1 else f"{quantity(x)} s"


def bytes_(x):
    return f"{x / 1e6:.0f} MB" if abs(x) >= 1e7 else f"{x / 1e6:.1f} MB"


def per_second(x):
    return f"{quantity(x)}/s"


def plural(count, noun):
    return f"{count} {noun}{'' if count == 1 else 's'}"


def sizes(of):
    return ", ".join(f"{name} {size}" for name, size in of.items())


def mark(cell):
    return f"{cell['ratio']['value']:.2f}"


def ratio(cell, brief=False):
    """The ratio of a cell with its interval, bold where we are faster, italic where slower."""
    found = (cell or {}).get("ratio")
    if not found:
        return "-"
    around = {"faster": "**", "slower": "*", "even": ""}[found["verdict"]]
    return f"{around}{found['value']:.2f}{around}" + ("" if brief else f" [{found['low']:.2f}, {found['high']:.2f}]")


def geometric(pairs):
    """The geometric mean of the ratios of cells, as ratio() writes one."""
    return ratio({"ratio": stats.as_dict(stats.mean_ratio(pairs))}) if pairs else "-"


def classes(rows):
    """Class -> its rows, those with rows only, all last."""
    found = {kind: [r for r in rows if r["model"] in members] for kind, members in CLASSES.items()}
    return {kind: members for kind, members in (found | {"all": rows}).items() if len(members) > 1}


class Table:
    """Rows of text under a head; the first column stands left, the others right."""

    def __init__(self, *head):
        self.rows = [head]

    def row(self, *texts):
        self.rows.append(tuple(map(str, texts)))

    def markdown(self):
        widths = [max(len(row[k]) for row in self.rows) for k in range(len(self.rows[0]))]
        aligned = ["| " + " | ".join(cell.rjust(w) if k else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, widths))) + " |"
                   for row in self.rows]
        rule = "|" + "|".join("-" * (w + 2) if k == 0 else "-" * (w + 1) + ":" for k, w in enumerate(widths)) + "|"
        return [aligned[0], rule, *aligned[1:]]


def left_out(rows):
    """A list of the engines that are missing from rows, and why."""
    found, asked = {}, {}
    for r in rows:
        if "operator" in r:
            if "left_out" in r:
                found[r["operator"], r["left_out"], ""] = {}
            continue
        where = f" on {r['threads']} threads" if r.get("threads", 1) > 1 else ""
        asked.setdefault(where, set()).add(r.get("model") or r["case"])
        for engine, why in r["left_out"].items():
            found.setdefault((engine, why, where), {})[r.get("model") or r["case"]] = None
    lines = []
    for (name, why, where), models in found.items():
        several = len(models) > 1 and asked[where] == set(models)
        whose = f" for {'every model' if several else ', '.join(models)}{where}" if models else ""
        lines.append(f"- {name}{whose}: {why}")
    return ["Left out:", "", *lines, ""] if lines else []


def losers(sections):
    """A list of every cell in which we are slower or larger for sure."""
    lines = []
    for name, section in sections.items():
        for r in section["rows"]:
            figures = r.get("figures") or ({"": r["engines"]} if "engines" in r else {"": {"onnxruntime": r}})
            for what, found in figures.items():
                worse = [f"{e} {mark(cell)}" for e, cell in found.items()
                         if isinstance(cell, dict) and cell.get("ratio", {}).get("verdict") == "slower" and not e.startswith("tenon-")]
                if worse:
                    where = [what, r.get("model") or r.get("operator"), r.get("case"), r.get("form"), f"{r['axis']} {r['size']}" if "axis" in r else "",
                             r.get("pattern"), *(plural(r[noun + "s"], noun) for noun in ("thread", "caller") if noun + "s" in r)]
                    lines.append((name, f"{', '.join(filter(None, where))} ({', '.join(worse)})"))
    return [f"- {name}: " + "; ".join(words for n, words in lines if n == name) for name in dict.fromkeys(n for n, _ in lines)]
