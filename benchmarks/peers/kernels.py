"""Kernels alone, beside what limits them and beside oneDNN: the kernel benchmarks' chosen cases."""
import dataclasses
import json
import subprocess
import typing

from . import roofs, stats
from .process import DEADLINE, ROOT, EngineFailed, interleave
from .stats import OURS, cells, median

PROGRAMS = ROOT / "build/release/benchmarks"
PEER = "onednn"


@dataclasses.dataclass(frozen=True)
class Case:
    label: str
    names: dict              # engine -> the benchmark's name
    roof: typing.Callable    # (Machine, the counters of ours) -> as roofs.roof() has it
    operator: str = ""       # of the operators section, where a peer computes the same


@dataclasses.dataclass(frozen=True)
class Target:
    title: str
    program: str
    limit: str  # of the machine: "peak", "read" or "copy"
    aim: float  # percent of it
    cases: list
    threads: int = 1


def products(threads):
    for n in (512, 1024, 2048):
        sizes = f"{n}/{n}/{n}"
        ours = f"product/packed/{sizes}" if threads == 1 else f"on_threads/{sizes}/{threads}"
        yield Case(f"{n} x {n} x {n}", {OURS: ours, PEER: f"by_onednn/{sizes}/{threads}"},
                   lambda machine, _, n=n: roofs.product(machine, n, n, n, threads))


def convolutions(model, sizes, kernel, ours, roof):
    """sizes: (channels, filters, pixels across)."""
    for channels, filters, across in sizes:
        name = f"{model}/{channels}-{filters}-{across}{kernel}"
        yield Case(f"{channels} to {filters} at {across} x {across}", {OURS: name + ours, PEER: f"{name}/onednn"},
                   lambda machine, counters, s=(channels, filters, across): roof(machine, *s, int(counters["block"])))


def moving(family, names):
    """names: (label, benchmark, operator)."""
    for label, name, operator in names:
        yield Case(label, {OURS: f"{family}/{name}"}, lambda _, counters: roofs.moving(counters), operator)


UNARY = [("Relu", "relu"), ("Exp", "exp"), ("Sigmoid", "sigmoid"), ("Tanh", "tanh"), ("Erf", "erf"), ("Gelu", "gelu"), ("Sqrt", "sqrt")]

TARGETS = [
    Target("Products of packed weights, one thread", "gemm_benchmark", "peak", 95, [*products(1)]),
    Target("Products of packed weights, two threads", "gemm_benchmark", "peak", 93, [*products(2)], threads=2),
    Target("One row times packed weights", "gemm_benchmark", "read", 85,
           [Case("1 x 4096 x 4096", {OURS: "product/packed/1/4096/4096", PEER: "by_onednn/1/4096/4096/1"},
                 lambda machine, _: roofs.row_product(machine, 4096, 4096))]),
    Target("3x3 convolutions, stride 1", "conv_benchmark", "peak", 160,
           [*convolutions("vgg16", [(64, 64, 224), (256, 256, 56), (512, 512, 28), (512, 512, 14)], "", "/winograd", roofs.winograd),
            *convolutions("resnet50", [(64, 64, 56), (128, 128, 28), (256, 256, 14), (512, 512, 7)], "-3", "/winograd", roofs.winograd)]),
    Target("1x1 convolutions", "conv_benchmark", "peak", 88,
           [*convolutions("resnet50", [(64, 64, 56), (64, 256, 56), (256, 64, 56), (512, 128, 28), (256, 1024, 14), (1024, 256, 14),
                                       (512, 2048, 7), (2048, 512, 7)], "-1", "", roofs.pointwise),
            *convolutions("mobilenet", [(32, 16, 112), (16, 96, 112), (96, 24, 56), (24, 144, 56), (384, 64, 14), (320, 1280, 7)], "-1", "",
                          roofs.pointwise)]),
    Target("Elementwise, softmax and normalisation beyond the second cache", "tables_benchmark", "copy", 85,
           [*moving("unary", [(label, f"{name}/UnaryFloat32", label if label != "Gelu" else "") for label, name in UNARY]),
            *moving("binary", [("Add", "add/BinaryFloat32", "Add"), ("Mul", "mul/BinaryFloat32", "Mul")]),
            *moving("softmax", [("Softmax, rows of 768", "rows/SoftmaxRows", "Softmax rows")]),
            *moving("layer_norm", [("LayerNormalization, rows of 768", "mean/LayerNormFloat32", "LayerNormalization"),
                                   ("RMSNormalization, rows of 768", "rms/LayerNormFloat32", "")])]),
]


def answers(program, names, seconds):
    """{name: counters} of benchmarks of a program, each run for so long; those that say why they cannot be run have {"error": text}."""
    command = [PROGRAMS / program, f"--benchmark_filter=^({'|'.join(names)})$", "--benchmark_format=json",
               f"--benchmark_min_time={seconds}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE)
        found = json.loads(done.stdout)["benchmarks"]
    except FileNotFoundError:
        raise EngineFailed(f"{program} is missing: it needs libbenchmark-dev") from None
    except subprocess.CalledProcessError as error:
        raise EngineFailed(f"{program} ended with {error.returncode}") from None
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise EngineFailed(f"{program}: {str(error).splitlines()[-1][:150]}") from None
    return {one["name"]: {"error": one["error_message"]} if one.get("error_occurred") else one for one in found}


def usual(rounds):
    """The medians of counters over rounds."""
    return {name: median([each[name] for each in rounds]).value for name, first in rounds[0].items() if isinstance(first, (int, float))}


def rows_of(session, target):
    engines = [engine for engine in (OURS, PEER) if any(engine in case.names for case in target.cases)]
    names = {engine: [case.names[engine] for case in target.cases if engine in case.names] for engine in engines}
    tasks = {engine: lambda _, e=engine: answers(target.program, names[e], session.effort.seconds / 2) for engine in engines}
    rounds, failed = interleave(tasks, session.effort.rounds, session.weather, target.threads)
    machine = roofs.Machine(session.weather, roofs.cache())
    for case in target.cases:
        found, left_out = {}, {}
        for engine, name in case.names.items():
            each = [answer.get(name, {"error": "no such benchmark"}) for answer in rounds.get(engine, [])]
            errors = [answer["error"] for answer in each if "error" in answer]
            if errors or not each:
                left_out[engine] = errors[0] if errors else failed[engine]
            else:
                found[engine] = each
        # Of percentages, as the machine's limit was measured beside each of them.
        engines = cells(found, f"percent_of_{target.limit}", inverse=True)
        for engine, cell in engines.items():
            cell["seconds"] = median([answer["usual_us"] * 1e-6 for answer in found[engine]]).value
            if target.threads > 1:
                cell["at_once"] = median([answer["percent_of_peak_at_once"] for answer in found[engine]]).value
        row = {"target": target.title, "case": case.label, "same_as": case.operator, "threads": target.threads, "limit": target.limit,
               "aim": target.aim, "engines": engines, "left_out": left_out}
        yield row | ({"roof": case.roof(machine, usual(found[OURS]))} if OURS in found else {})


def onednn(session, _):
    """The rows of oneDNN beside the engine's own kernels, and which of them is chosen."""
    session.weather.usual(1)
    try:
        done = subprocess.run([PROGRAMS / "onednn_benchmark", "--json"], capture_output=True, text=True, check=True, timeout=DEADLINE)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        yield {"case": "every row", "threads": 1, "left_out": {PEER: f"onednn_benchmark: {str(error).splitlines()[-1][:150]}"}}
        return
    for row in rows:
        gain = stats.as_dict(stats.ratio(row["onednn"], row["own"]))
        yield {"case": row["case"], "threads": 1, "kernel": row["kernel"], "refusal": row["refusal"], "gain": gain, "left_out": {},
               "own": median(row["own"]).value * 1e-9, "onednn": median(row["onednn"]).value * 1e-9}


def kernels(session, _):
    """The time of a call and the percentage of the machine's limit that it reaches, with what the limit leaves to the algorithm."""
    for target in TARGETS:
        if target.threads in session.threads:
            yield from rows_of(session, target)
