"""The parts of the report, one function a section: from its rows to Markdown and pictures on a page."""
import collections
import statistics

from . import plot, roofs, stats
from .stats import OURS
from .tables import Table, bytes_, classes, geometric, per_second, plural, ratio, seconds, sizes

WAYS = {OURS: "read", "tenon-mapped": "mapped", "tenon-cached": "cached"}
ITEMS = {"batch": "sample", "seq": "token", "time": "step"}  # axis -> what it counts


# ----------------------------------------------------------------------------------------------------------- cells of rows

def engines(section):
    return [e for e in section["versions"] if any(e in r.get("engines", {}) or e in r.get("left_out", {}) for r in section["rows"])]


def peers(section):
    return [e for e in engines(section) if e != OURS]


def ours(row, shown=seconds, figure="value"):
    cell = row["engines"].get(OURS)
    return shown(cell[figure]) if cell else "-"


def ratios(row, names):
    return [ratio(row["engines"].get(e)) for e in names]


def percent(row, engine, section):
    """Of the peak, or None."""
    cell = row["engines"].get(engine)
    peak = section["weather"]["probes"][str(row["threads"])]["gflops"] * 1e9
    return 100 * row["operations"] / cell["value"] / peak if cell and row["operations"] else None


def percent_text(row, section):
    value = percent(row, OURS, section)
    return "-" if value is None else f"{value:.0f} %"


def mean(rows, engine):
    """The geometric mean of the ratios of an engine in the rows that have both."""
    both = [r["engines"] for r in rows if {engine, OURS} <= r["engines"].keys()]
    return geometric([(cells[engine]["rounds"], cells[OURS]["rounds"]) for cells in both])


def ratio_of(pair):
    return ratio({"ratio": stats.as_dict(stats.ratio(*pair))})


def marks(cells):
    """What plot.dots() takes of cells that may be missing."""
    found = [(cell or {}).get("ratio") for cell in cells]
    return [f and (f["value"], f["low"], f["high"]) for f in found]


def ratio_picture(page, name, title, rows, cells_of, names):
    """Of the ratios of the engines in `names`, a row of the picture a row. cells_of(row) -> {engine: cell}."""
    series = {e: marks([cells_of(r).get(e) for r in rows]) for e in names}
    series = {e: found for e, found in series.items() if any(found)}
    if series:
        page.picture(name, f"{title} by model", plot.dots(f"{title} of other engines over Tenon's", [r["model"] for r in rows], series))


def curves(rows, names, x, y):
    """[(model, {engine: [(x, y)]})] for plot.lines(); y(cell, row)."""
    panels = {}
    for r in rows:
        for e in names:
            if cell := r["engines"].get(e):
                panels.setdefault(r["model"], {}).setdefault(e, []).append((r[x], y(cell, r)))
    return list(panels.items())


# ---------------------------------------------------------------------------------------------------------------- sections

def latency(page, section):
    names = peers(section)
    for threads in sorted({r["threads"] for r in section["rows"]}):
        rows = [r for r in section["rows"] if r["threads"] == threads]
        word = plural(threads, "thread")
        page.add(f"#### {word.capitalize()}", "")
        ratio_picture(page, f"latency-{threads}", f"Latency, {word},", rows, lambda r: r["engines"], names)
        table = Table("model", "Tenon", *names, "percent of peak")
        for r in rows:
            table.row(r["model"] + (f" ({sizes(r['sizes'])})" if r["sizes"] else ""), ours(r), *ratios(r, names), percent_text(r, section))
        for kind, members in classes(rows).items():
            table.row(f"geometric mean, {kind}", "", *(mean(members, e) for e in names), "")
        page.add(*table.markdown(), "")
        with page.folded(f"Each engine, {word}: median, 99th percentile, CPU time of a run, error"):
            page.add(*figures(rows, engines(section)), "")
    peak_picture(page, section)
    threads_table(page, section)


def figures(rows, names):
    table = Table("model", "engine", "median", "p99", "CPU time", "error")
    for r in rows:
        for e in names:
            if cell := r["engines"].get(e):
                table.row(r["model"], e, seconds(cell["value"]), seconds(cell["p99"]), seconds(cell["cpu"]), f"{cell['error']:.0e}")
    return table.markdown()


def peak_picture(page, section):
    """Percent of the peak on the fewest threads that were measured, of models that are not all overhead."""
    threads = min(r["threads"] for r in section["rows"])
    rows = [r for r in section["rows"] if r["threads"] == threads and r["operations"] > 1e6]
    if rows:
        shown = {e: [(p, p, p) if (p := percent(r, e, section)) is not None else None for r in rows] for e in engines(section)}
        gflops = section["weather"]["probes"][str(threads)]["gflops"]
        title = f"Arithmetic as a part of the peak, {gflops:.0f} GFLOP/s on {plural(threads, 'thread')}"
        drawn = plot.dots(title, [r["model"] for r in rows], shown, log=False, one=False, unit=" %")
        page.picture("peak", "Percent of the machine's peak by model", drawn)


def threads_table(page, section):
    """How many times faster the most threads are than one."""
    by = {(r["model"], r["threads"]): r["engines"] for r in section["rows"]}
    most = max(threads for _, threads in by)
    models = [model for model, threads in by if threads == 1 and (model, most) in by]
    if most == 1 or not models:
        return
    page.add(f"#### {most} threads over one", "", "How many times faster each engine becomes.", "")
    names = [e for e in engines(section) if any(e in by[m, 1] and e in by[m, most] for m in models)]

    def gain(model, engine):
        one, many = (by[model, threads].get(engine) for threads in (1, most))
        return one["value"] / many["value"] if one and many else None

    gains = {e: [gain(m, e) for m in models] for e in names}
    title = f"How many times faster {most} threads are than one"
    shown = {e: [g and (g, g, g) for g in gains[e]] for e in names}
    page.picture("threads", title, plot.dots(title, models, shown, log=False))
    table = Table("model", *names)
    for k, m in enumerate(models):
        table.row(m, *(f"{gains[e][k]:.2f}" if gains[e][k] else "-" for e in names))
    page.add(*table.markdown(), "")


def load(page, section):
    page.prose("A fresh process loads the model and answers once on one thread; the files are in the page cache. Memory is "
               "what the process holds beyond what it held before the load, mapped pages of the file included. *External* and "
               "*inline* say where the ONNX file has its weights; MNN and ncnn read their own files. *tenon-mapped* views the "
               "weights in a mapping of the file, as onnxruntime views external data; *tenon-cached* maps packed weights that an earlier "
               "load kept in a directory given to it. Beside each figure stands its ratio to Tenon's.")
    rows = section["rows"]
    if any("least" in r for r in rows):
        page.prose("*Least possible* is copying the weights into memory that is new to the process, as the probe does in the pages that the "
                   "system gives it soonest, and one run as fast as Tenon's, and as memory the "
                   "weights once and the outputs, without tables from which a run only looks up rows. Beside it stands how many times that onnxruntime "
                   "takes, the most that an engine with weights of its own could be ahead.")
    names = [e for e in dict.fromkeys(e for r in rows for e in r["figures"]["first"]) if e != OURS]
    titles = {"first": ("Load and first answer", seconds), "load": ("Load", seconds), "resident": ("Memory after the first answer", bytes_),
              "peak": ("Memory at the peak", bytes_)}
    for what, (title, shown) in titles.items():
        page.add(f"#### {title}", "")
        if what in ("first", "resident"):
            ratio_picture(page, what, title, [r for r in rows if r["form"] == rows[0]["form"]], lambda r, w=what: r["figures"][w], names)
        least = any(what in r.get("least", {}) for r in rows)
        table = Table("model", "weights", "files", "Tenon", *names, *(["least possible"] if least else []))
        for r in rows:
            cells = r["figures"][what]
            table.row(r["model"], r["form"] or "-", bytes_(r["bytes"]), shown(cells[OURS]["value"]) if OURS in cells else "-",
                      *(f"{shown(cells[e]['value'])} / {ratio(cells[e], brief=True)}" if e in cells else "-" for e in names),
                      *([least_possible(r, what, shown)] if least else []))
        page.add(*table.markdown(), "")
    beside_each_way(page, rows)


def least_possible(row, what, shown, peer="onnxruntime"):
    """The least figure of a row, and a peer's over it."""
    least, cell = row.get("least", {}).get(what), row["figures"][what].get(peer)
    return "-" if least is None else shown(least) + (f" / {cell['value'] / least:.2f}" if cell else "")


def beside_each_way(page, rows, peer="onnxruntime"):
    """The ratios of one engine to every way in which we take the weights."""
    table = Table("Tenon's weights", "files", *(f"{what}: {n}" for what in ("load", "first answer", "memory") for n in ("mean", "least")))
    for form in dict.fromkeys(r["form"] for r in rows):
        for way, text in WAYS.items():
            texts = []
            for what in ("load", "first", "resident"):
                both = [(r["model"], r["figures"][what]) for r in rows if r["form"] == form and {way, peer} <= r["figures"][what].keys()]
                pairs = {model: (cells[peer]["rounds"], cells[way]["rounds"]) for model, cells in both}
                pairs = {model: pair for model, pair in pairs.items() if min(map(min, pair)) > 0}
                least = min(pairs, key=lambda m: statistics.median(pairs[m][0]) / statistics.median(pairs[m][1]), default=None)
                texts += [geometric(pairs.values()), f"{ratio_of(pairs[least])} {least}"] if pairs else ["-", "-"]
            if any(t != "-" for t in texts):
                table.row(text, form or "-", *texts)
    if len(table.rows) > 1:
        page.add(f"#### {peer} over each way to take the weights", "", *table.markdown(), "")


def throughput(page, section):
    page.prose("Threads of one process run one loaded model at the same time, each run on the thread of its caller (in Python, "
               "which releases its lock while a run computes, and is busy with it between runs). Runs a second, all callers together. "
               "*From C++* is Tenon without Python.")
    names = peers(section)
    panels = curves(section["rows"], engines(section), "callers", lambda cell, _: cell["value"])
    page.picture("throughput", "Runs a second over concurrent callers", plot.lines("Runs a second, over concurrent callers", panels))
    table = Table("model", "callers", "Tenon, from C++", "Tenon", *names)
    for r in section["rows"]:
        table.row(r["model"], r["callers"], per_second(r["direct"]) if r.get("direct") else "-", ours(r, per_second), *ratios(r, names))
    page.add(*table.markdown(), "")


def scaling(page, section):
    names = peers(section)
    for axis in dict.fromkeys(r["axis"] for r in section["rows"]):
        page.add(f"#### Over {axis}", "")
        rows = [r for r in section["rows"] if r["axis"] == axis]
        threads = min(r["threads"] for r in rows)
        fewest = [r for r in rows if r["threads"] == threads]
        panels = curves(fewest, engines(section), "size", lambda cell, r: cell["value"] * 1e6 / r["size"])
        title = f"Microseconds a {ITEMS.get(axis, axis)}, over {axis}, {plural(threads, 'thread')}"
        page.picture(f"scaling-{axis}", title, plot.lines(title, panels))
        table = Table("model", "threads", axis, "Tenon", *names, "percent of peak")
        for r in rows:
            table.row(r["model"], r["threads"], r["size"], ours(r), *ratios(r, names), percent_text(r, section))
        page.add(*table.markdown(), "")


def shapes(page, section):
    page.prose("One loaded model, one thread; the inputs' sizes are eight, each for a while or in turn, or random within a range, the same "
               "for every engine. Binding the inputs counts, and so does what an engine does when it meets a shape. Growth is of the "
               "process' memory over all of these, in the last three quarters of the rounds.")
    names = peers(section)
    table = Table("model", "shapes", "runs", "Tenon, a run", *names)
    for r in section["rows"]:
        table.row(r["model"], r["pattern"], r["runs"], ours(r, figure="each"), *ratios(r, names))
    page.add(*table.markdown(), "")
    turns = Table("model", *(f"in turn, {e}" for e in engines(section)), *(f"growth, {e}" for e in engines(section)))
    for r in (r for r in section["rows"] if r["pattern"] == "eight in turn"):
        cells = [r["engines"].get(e) for e in engines(section)]
        turns.row(r["model"], *(ratio({"ratio": c["turns"] | {"verdict": "even"}}) if c else "-" for c in cells),
                  *(bytes_(c["growth"]) if c else "-" for c in cells))
    page.prose("*In turn* is the time of eight shapes in turn over that of the same runs shape by shape.")
    page.add(*turns.markdown(), "")


def overhead(page, section):
    page.prose("Runs that have next to nothing to compute: a chain of additions of 16 numbers, each a node of its own (Tenon's fusion is "
               "off; engines that merge additions all the same compute fewer nodes than are counted here), and a small network. "
               "*From C++* is Tenon without Python's call.")
    names = peers(section)
    table = Table("model", "threads", "Tenon, from C++", "Tenon", *names, "a node", *(f"a node, {e}" for e in names))
    for r in section["rows"]:
        nodes = [seconds(r["engines"][e]["value"] / r["nodes"]) if e in r["engines"] and "nodes" in r else "-" for e in [OURS, *names]]
        table.row(r["model"], r["threads"], seconds(r["direct"]) if r["direct"] else "-", ours(r), *ratios(r, names), *nodes)
    page.add(*table.markdown(), "")


def operators(page, section):
    page.prose("Single operators at sizes that real networks use, beside onnxruntime, on one thread. *Of the machine* is the "
               "time that the probe's multiply-adds would take for the arithmetic, or a copy for the bytes of inputs and "
               "outputs, whichever is longer, as a part of the engine's time. Operators that skip part of their input, and "
               "Winograd's convolutions, can pass 100 %.")
    rows = [r for r in section["rows"] if OURS in r]
    middle = statistics.geometric_mean([r["ratio"]["value"] for r in rows])
    count = {v: sum(r["ratio"]["verdict"] == v for r in rows) for v in ("faster", "even", "slower")}
    page.prose(f"Of {len(rows)} operators Tenon is faster in {count['faster']}, even in {count['even']}, slower in {count['slower']}; "
               f"the geometric mean of the ratios is {middle:.2f}.")
    part = {(r["operator"], e): 100 * r["least"] / r[e] for r in rows for e in (OURS, "onnxruntime")}
    shown = {e: [(part[r["operator"], e],) * 3 for r in rows] for e in (OURS, "onnxruntime")}
    title = "Speed as a part of the machine's, one thread"
    table = Table("operator", "Tenon", "onnxruntime", "ratio", "Tenon of the machine", "onnxruntime of it")
    for r in rows:
        parts = (f"{part[r['operator'], e]:.0f} %" for e in (OURS, "onnxruntime"))
        table.row(r["operator"], seconds(r[OURS]), seconds(r["onnxruntime"]), ratio(r), *parts)
    with page.folded("All operators"):
        page.picture("operators", title, plot.dots(title, [r["operator"] for r in rows], shown, log=False, one=False, unit=" %", step=14))
        page.add(*table.markdown(), "")


# ----------------------------------------------------------------------------------------------------------------- kernels

LIMITS = {"peak": "the multiply-add peak", "read": "the read bandwidth", "copy": "the copy bandwidth"}


def kernels(page, section):
    page.prose("Single kernels as percentages of a limit measured every few milliseconds between their calls: multiply-adds of full "
               "vectors (of one thread alone, times the threads), a pass that reads the same weights, or a copy of as many bytes. The *best peer* is "
               "oneDNN on the same shapes, or onnxruntime in the section on operators.")
    page.prose("Where a target is missed, *least time* has what the algorithm takes in anyone's hands, longest first: its arithmetic at "
               "the peak (for elementwise kernels and the like the time of their own instructions on operands in the cache) and the "
               "bytes it must move at the probe's speed for so many. *Roof* is the percentage left when these follow each other, and when they overlap wholly.")
    for title in dict.fromkeys(r["target"] for r in section["rows"]):
        rows = [r for r in section["rows"] if r["target"] == title and OURS in r["engines"]]
        if not rows:
            continue
        aim, limit, threads = (rows[0][what] for what in ("aim", "limit", "threads"))
        met = [r for r in rows if r["engines"][OURS]["value"] >= aim]
        page.add(f"#### {title}", "")
        page.prose(f"{len(met)} of {len(rows)} reach the target, {aim:g} % of {LIMITS[limit]}{' of each thread' if threads > 1 else ''}."
                   f"{bounds(r for r in rows if r not in met)}{together(rows) if threads > 1 else ''}")
        table = Table("case", "Tenon", "of the limit", *(["of all threads' peak at once"] if threads > 1 else []), "best peer of the limit",
                      "ratio", "met", "roof", "least time")
        for r in rows:
            cell = r["engines"][OURS]
            table.row(r["case"], seconds(cell["seconds"]), f"{cell['value']:.1f} %",
                      *([f"{cell['at_once']:.1f} %"] if threads > 1 else []), *best_peer(r, page.sections), *roof(r, r in met))
        page.add(*table.markdown(), "")


def onednn(page, section):
    page.prose("Convolutions and products of the zoo on one thread, by the engine's own kernel and by oneDNN, in turn. The ratio is oneDNN's "
               "time over that of the own kernel; where oneDNN is *chosen*, models run its kernel. Bfloat16 products count with their weights "
               "in that type.")
    rows = [r for r in section["rows"] if "gain" in r]
    chosen = [r for r in rows if not r["refusal"]]
    ahead = [r for r in rows if r["refusal"] and r["gain"]["verdict"] == "slower"]
    page.prose(f"Of {len(rows)} rows oneDNN is chosen in {len(chosen)}{middle(chosen)}, is ahead but not chosen in {len(ahead)}{middle(ahead)}, and "
               "is not ahead in the others.")
    table = Table("case", "own kernel", "its time", "oneDNN", "ratio", "choice")
    for r in sorted(rows, key=lambda r: (bool(r["refusal"]), r["gain"]["value"])):
        table.row(r["case"], r["kernel"], seconds(r["own"]), seconds(r["onednn"]), ratio({"ratio": r["gain"]}), r["refusal"] or "oneDNN")
    with page.folded("All rows"):
        page.add(*table.markdown(), "")


def middle(rows):
    """The geometric mean of the ratios, in brackets; nothing without rows."""
    return f" (mean ratio {statistics.geometric_mean([r['gain']['value'] for r in rows]):.2f})" if rows else ""


def best_peer(row, sections):
    """What it reaches of the limit, and its ratio."""
    if "onednn" in row["engines"]:
        return f"{row['engines']['onednn']['value']:.1f} % oneDNN", ratio(row["engines"]["onednn"])
    same = [r for r in sections.get("operators", {}).get("rows", ()) if r.get("operator") == row["same_as"] and "least" in r]
    return (f"{100 * same[0]['least'] / same[0]['onnxruntime']:.1f} % onnxruntime", ratio(same[0])) if same else ("-", "-")


def roof(row, met):
    """The cells of one row from "met" on."""
    if met:
        return "yes", "", ""
    found = row["roof"]
    least = " + ".join(f"{name} {seconds(taken)}" for name, taken in sorted(found["parts"].items(), key=lambda part: -part[1]))
    return f"no, {roofs.reach(found, row['aim'])}", f"{roofs.apart(found):.0f} to {roofs.hidden(found):.0f} %", least


def together(rows):
    """What threads that run at once have of the peak that each has alone."""
    part = statistics.median(r["engines"][OURS]["value"] / r["engines"][OURS]["at_once"] for r in rows)
    return f" All at once, the {rows[0]['threads']} threads have {100 * part:.0f} % of the peak that each has alone."


def bounds(missed):
    """How many of the rows that miss their target are bound by what."""
    counted = collections.Counter(max(r["roof"]["parts"], key=r["roof"]["parts"].get) for r in missed)
    texts = [f"{name} ({count})" for name, count in counted.most_common()]
    return f" In the others the longest part is {', '.join(texts)}." if texts else ""
