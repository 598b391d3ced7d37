"""What is measured: each section is a generator of rows, dicts that go into the JSON and from there into the report."""
import dataclasses
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import zoo

from . import models as models_of
from . import parts, reference, stats
from .engines import ENGINES, Engine, Setup, files_of
from .kernels import kernels, onednn
from .process import ROOT, EngineFailed, Process, interleave, started
from .stats import OURS, cells

CLI = ROOT / "build/release/bin/tenon"


@dataclasses.dataclass(frozen=True)
class Effort:
    """How long everything takes."""
    rounds: int
    seconds: float  # of one engine in one round
    warm: float     # of one engine before the first, at most
    loads: int      # rounds of loads
    shapes: int     # runs of changing shapes
    batches: tuple
    lengths: tuple
    forms: tuple    # of the files that are loaded
    some: tuple     # the models of the zoo whose throughput and scaling are measured


FULL = Effort(10, 0.5, 3.0, 7, 1000, (1, 2, 4, 8), (1, 16, 64, 256), ("external", "inline"),
              ("mlp_small", "mobilenet_v2", "resnet50", "unet", "minilm_l6", "bert_base", "llama_kv", "lstm_gru"))
QUICK = Effort(5, 0.1, 0.5, 3, 100, (1, 8), (16, 256), ("external",), ("mlp_small", "mobilenet_v2", "minilm_l6"))

SHAPED = {"mlp_small": {"batch": (1, 64, 1)}, "lstm_gru": {"time": (1, 100, 1)}, "minilm_l6": {"seq": (1, 128, 1)},
          "unet": {"h": (32, 128, 16), "w": (32, 128, 16)}}  # model -> symbol -> (least, most, step) of the changing shapes


@dataclasses.dataclass
class Session:
    engines: list
    effort: Effort
    threads: list
    weather: object
    folder: Path
    options: dict = dataclasses.field(default_factory=dict)     # engine -> what its trial chose
    prepared: dict = dataclasses.field(default_factory=dict)    # (engine, file, sizes) -> None or why it cannot be
    references: dict = dataclasses.field(default_factory=dict)  # (file, sizes) -> (outputs, operations)

    def setup(self, model, engine, **fields):
        options = self.options.get(engine, {}) | model.options.get(engine, {})
        return Setup(model.path, model.inputs, model.outputs, folder=str(self.folder), options=options, **({"sizes": model.sizes} | fields))

    def refusal(self, engine, setup):
        """Why an engine is left out before it is asked, or None; writes its own model file when it needs one."""
        kind = ENGINES[engine]
        if why := kind.refusal(setup):
            return why
        if kind.prepare.__func__ is Engine.prepare.__func__:
            return None
        key = (engine, setup.source, str(setup.sizes))
        if key not in self.prepared:
            process = Process(engine, setup, len(os.sched_getaffinity(0)))
            try:
                process.ask("prepare")
                self.prepared[key] = None
            except EngineFailed as error:
                self.prepared[key] = str(error)
            finally:
                process.close()
        return self.prepared[key]

    def reference(self, setup):
        key = (setup.source, str(setup.sizes))
        if key not in self.references:
            self.references = {key: reference.run(setup.source, zoo.inputs(setup.inputs, setup.sizes))}  # one at a time: they are large
        return self.references[key]


def installed(engines):
    """{engine: version} of those that can be imported."""
    versions = {}
    for name in engines:
        try:
            ENGINES[name].open()
            versions[name] = ENGINES[name].version()
        except ImportError as error:
            print(f"{name} left out: {error}", file=sys.stderr)
    return versions


class Running:
    """A process of every engine that takes a setup and computes the right outputs; `with` ends them."""

    def __init__(self, session, model, cpus, **fields):
        self.session, self.model, self.cpus, self.fields = session, model, cpus, fields
        self.processes, self.starts, self.errors, self.left_out, self.operations = {}, {}, {}, {}, 0

    def __enter__(self):
        try:
            for engine in self.session.engines:
                self.start(engine)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.close()

    def start(self, engine):
        setup = self.session.setup(self.model, engine, **self.fields)
        if why := self.session.refusal(engine, setup):
            self.left_out[engine] = why
            return
        try:
            want, self.operations = self.session.reference(setup)
        except Exception as error:  # whatever onnxruntime raises
            self.left_out[engine] = f"no reference to compare with: {str(error).splitlines()[0][:150]}"
            return
        try:
            self.processes[engine], self.starts[engine] = started(engine, setup, self.cpus)
            self.errors[engine] = self.difference(engine, want)
            if self.errors[engine] > reference.LIMIT:
                raise EngineFailed(f"the outputs differ by {self.errors[engine]:.1g} of the largest")
            self.processes[engine].ask("warm", self.session.effort.warm)
        except EngineFailed as error:
            self.left_out[engine] = str(error)
            if engine in self.processes:
                self.processes.pop(engine).close()

    def difference(self, engine, want):
        with tempfile.NamedTemporaryFile(suffix=".npz") as file:
            self.processes[engine].ask("outputs", file.name)
            with np.load(file.name) as arrays:
                return reference.difference([arrays[k] for k in arrays.files], list(want.values()))

    def rounds(self, request, count, threads):
        """{engine: [answer]} of a request, a function of the round's number."""
        tasks = {e: lambda k, p=p: p.ask(*request(k)) for e, p in self.processes.items()}
        answers, left_out = interleave(tasks, count, self.session.weather, threads)
        self.left_out |= left_out
        for engine in left_out:
            self.processes.pop(engine).close()
        return answers


def timed(session, model, threads, sizes):
    """A row of the latency at some sizes."""
    with Running(session, model, threads, threads=threads, sizes=sizes) as running:
        answers = running.rounds(lambda _: ("time", session.effort.seconds), session.effort.rounds, threads)
        engines = cells(answers, "median")
        for engine, cell in engines.items():
            start, rounds = running.starts[engine], answers[engine]
            p99, cpu = (float(np.median([r[what] for r in rounds])) for what in ("p99", "cpu"))
            cell |= {"error": running.errors[engine], "best": min(r["best"] for r in rounds), "p99": p99, "cpu": cpu,
                     "memory": rounds[-1]["resident"] - start["before"], "settings": start["settings"]}
    return {"model": model.name, "threads": threads, "sizes": sizes, "operations": running.operations, "engines": engines,
            "left_out": running.left_out}


def latency(session, models):
    for model in models:
        for threads in session.threads:
            yield timed(session, model, threads, model.sizes)


def some(session, models):
    return [m for m in models if m.name in session.effort.some or m.name not in zoo.SIZES]


def scaling(session, models):
    """Latency over the batch, and over the length of sequences, on the fewest threads."""
    axes = {"batch": session.effort.batches, "seq": session.effort.lengths, "time": session.effort.lengths}
    for model in some(session, models):
        for axis in (axis for axis in axes if axis in model.symbols):
            for point in axes[axis]:
                row = timed(session, model, min(session.threads), model.sizes | {axis: point})
                for cell in row["engines"].values():
                    del cell["settings"]  # those of the latency section
                yield {"axis": axis, "size": point} | row


def throughput(session, models):
    """Runs a second of K threads of one process that share a loaded model, each run on its caller's thread."""
    cpus = len(os.sched_getaffinity(0))
    for model in some(session, models):
        for callers in (1, 2, 4):
            with Running(session, model, cpus, callers=callers) as running:
                request = ("callers", callers, session.effort.seconds)
                answers = running.rounds(lambda _, r=request: r, session.effort.rounds, min(callers, cpus))
            direct = [bench(session, model, 1, callers) for _ in range(3)]
            yield {"model": model.name, "callers": callers, "engines": cells(answers, "rate", inverse=True), "left_out": running.left_out,
                   "direct": statistics.median(d["runs_per_second"] for d in direct) if None not in direct else None}


PAUSE = 2.5  # seconds in which a virtual machine may give free memory back to its host, as between two loads


def size(path):
    """Bytes of a model and its external data."""
    return sum(file.stat().st_size for file in files_of(path))


def load(session, models):
    """Fresh processes that load and answer once, the files in the page cache: seconds, and bytes beyond those held before the load."""
    names = list(dict.fromkeys([*session.engines, *parts.WAYS])) if OURS in session.engines else session.engines
    for model in models:
        for form, path in model.files.items():
            tasks, left_out = {}, {}
            for engine in names:
                setup = dataclasses.replace(session.setup(model, engine), source=str(path))
                if why := session.refusal(engine, setup):
                    left_out[engine] = why
                else:
                    tasks[engine] = lambda _, e=engine, s=setup: loaded(e, s)
                    read(ENGINES[engine].files(setup))
            answers, failed = interleave(tasks, session.effort.loads, session.weather, 1)
            figures = {what: cells(answers, what) for what in ("load", "first", "resident", "peak")}
            least = {"least": least_of(session, path, answers[OURS])} if OURS in answers else {}
            yield {"model": model.name, "form": form, "bytes": size(path), "figures": figures, "left_out": left_out | failed} | least


def least_of(session, path, answers):
    """What an engine with weights of its own needs: the time of copying them into new memory and of a run like ours, memory for them and the
    outputs."""
    weights = models_of.weights(path)
    least = []
    for answer in answers:
        time.sleep(PAUSE)
        least.append(answer["run"] + (session.weather.into_new_memory(weights) if weights else 0.0))
    return {"first": float(np.median(least)), "resident": weights + answers[0]["outputs"]}


def read(files):
    """Into the page cache."""
    for name in files:
        with open(name, "rb") as file:
            while file.read(1 << 24):
                pass


def loaded(engine, setup):
    process, answer = started(engine, setup, 1)
    try:
        run = {"run": process.ask("time", 0)["median"]} if engine == OURS else {}
    finally:
        process.close()
    beyond = {what: answer[what] - answer["before"] for what in ("resident", "peak")}
    return {what: answer[what] for what in ("load", "first", "outputs")} | beyond | run


def shapes(session, models):
    """Runs whose shapes change: eight shapes each by itself, the same in turn, and many at random, the same for every engine."""
    for model in (m for m in models if m.name in SHAPED):
        rng = random.Random(1)

        def draw():
            return model.sizes | {s: rng.randrange(low, high + 1, step) for s, (low, high, step) in SHAPED[model.name].items()}

        rounds = 10
        times = max(1, session.effort.shapes // rounds // 8)
        eight, many = [draw() for _ in range(8)], [[draw() for _ in range(8 * times)] for _ in range(rounds)]
        by_itself = [sizes for sizes in eight for _ in range(times)]
        with Running(session, model, 1, dynamic=True) as running:
            answers = running.rounds(lambda k: ("shapes", {"each of eight": by_itself, "eight in turn": eight * times, "random": many[k]}),
                                     rounds, 1)
            for pattern in ("each of eight", "eight in turn", "random"):
                engines = cells(answers, pattern)
                for engine, cell in engines.items():
                    held = [a["resident"] for a in answers[engine]]
                    cell |= {"each": cell["value"] / (8 * times), "growth": held[-1] - held[len(held) // 4]}
                    if pattern == "eight in turn":
                        by_turns, one_by_one = ([a[name] for a in answers[engine]] for name in (pattern, "each of eight"))
                        cell["turns"] = stats.as_dict(stats.ratio(by_turns, one_by_one))
                yield {"model": model.name, "pattern": pattern, "runs": 8 * times * rounds, "engines": engines,
                       "left_out": dict(running.left_out)}


CHAIN = 1000


def overhead(session, _):
    """What runs cost that have next to nothing to compute: a chain of tiny nodes that are not fused, and a small network."""
    chain = models_of.chain(session.folder / "chain.onnx", CHAIN)
    small = [models_of.find("mlp_small")] if zoo.home() else []
    for model in [chain, *small]:
        for threads in session.threads:
            nodes = {"nodes": CHAIN} if model is chain else {}
            found = bench(session, model, threads)
            yield timed(session, model, threads, model.sizes) | nodes | {"direct": found["p50"] if found else None}


def bench(session, model, threads, callers=1):
    """Tenon from C++: what the command line's bench finds; None where that is not built."""
    if OURS not in session.engines or not CLI.is_file():
        return None
    command = [CLI, "bench", model.path, "--threads", str(threads), "--callers", str(callers), "--json", "--no-operators",
               "--warmup", str(session.effort.warm), "--seconds", str(session.effort.seconds)]
    command += [word for name, size in model.sizes.items() for word in ("--dim", f"{name}={size}")]
    command += [word for name in model.options.get(OURS, {}).get("disabled_passes", ()) for word in ("--disable-pass", name)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def trials(session, models):
    """Engines with settings that are better tried than known: the fastest on the model of middle size, at the most threads."""
    threads, model = max(session.threads), sorted(models, key=lambda m: size(m.path))[len(models) // 2]
    for engine in session.engines:
        choices = ENGINES[engine].trials()
        if len(choices) < 2:
            continue
        processes = {}
        try:
            for k, options in enumerate(choices):
                setup = dataclasses.replace(session.setup(model, engine, threads=threads), options=options)
                processes[k] = started(engine, setup, threads)[0]
                processes[k].ask("warm", session.effort.warm)
            tasks = {k: lambda _, p=p: p.ask("time", session.effort.seconds) for k, p in processes.items()}
            answers, _ = interleave(tasks, session.effort.rounds, session.weather, threads)
        except EngineFailed:
            continue
        finally:
            for process in processes.values():
                process.close()
        medians = {k: float(np.median([a["median"] for a in rounds])) for k, rounds in answers.items()}
        if medians:
            session.options[engine] = choices[min(medians, key=medians.get)]
            yield {"engine": engine, "model": model.name, "threads": threads, "seconds": {str(choices[k]): m for k, m in medians.items()},
                   "chosen": session.options[engine]}


def operators(session, _):
    """Single operators on one thread, by benchmarks/operators.py, and the part of the machine's speed that each reaches."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        command = [sys.executable, ROOT / "benchmarks/operators.py", "--seconds", str(session.effort.seconds), "--json", file.name]
        path = os.pathsep.join([str(ROOT / "benchmarks"), str(ROOT / "tools"), os.environ.get("PYTHONPATH", "")])
        subprocess.run(command, env=dict(os.environ, PYTHONPATH=path), stdout=subprocess.DEVNULL, check=False)  # 1: some are left out
        measured = json.load(file)
    gflops = session.weather.usual(1)["gflops"]
    for row in measured["operators"]:
        least = max(row["operations"] / gflops, row["bytes"] / session.weather.copy_speed(row["bytes"])) * 1e-9
        yield row | {"least": least}
    for label, why in measured["left_out"].items():
        yield {"operator": label, "left_out": why}


SECTIONS = {"latency": latency, "load": load, "throughput": throughput, "scaling": scaling, "shapes": shapes, "overhead": overhead,
            "operators": operators, "kernels": kernels, "onednn": onednn}
