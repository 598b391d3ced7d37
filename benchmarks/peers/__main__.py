"""Tenon beside its peers over the models of the zoo.

    make bench-peers                                                    everything, an hour or two
    make bench-peers BENCH_ARGS=--quick                                 the whole zoo in a quarter of an hour
    make bench-peers BENCH_ARGS='resnet18 --sections latency,load --out build/try'
    make bench-peers BENCH_ARGS='--quick --sections kernels'            kernels alone against the machine: two minutes
    make bench-peers BENCH_ARGS='--quick --avx2'                        on a machine with AVX-512, as if it had AVX2 only
    PYTHONPATH=benchmarks:tools python -m peers --report                writes the report anew from the JSON that is there

Writes benchmarks.md into --out, and benchmarks/TIER.json with all figures and SVG files beside it, where the tier is the machine's widest
instruction set: those of other tiers stay in the report.
"""
import argparse
import os
import sys
import time
from pathlib import Path

from . import cpuid, report
from .engines import ENGINES
from .models import find
from .process import HIDE, PROBE, ROOT, Weather
from .sections import FULL, QUICK, SECTIONS, Session, installed, trials


def tier(hidden):
    """The widest vectors of the machine (but AVX-512 where that is hidden), as a word for file names and titles."""
    flags = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith(("flags", "Features"))), "").split()
    known = {"avx512f": "AVX-512", "avx2": "AVX2", "sse4_1": "SSE4", "asimd": "NEON"}
    return next((name for flag, name in known.items() if flag in flags and not (hidden and flag == "avx512f")), "other")


def rounded(value):
    """Figures as they are worth keeping."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, (list, tuple)) else value


def arguments():
    import zoo
    parser = argparse.ArgumentParser(prog="peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="names of zoo models or paths of ONNX files (default: the whole zoo)")
    parser.add_argument("--sections", default=",".join(SECTIONS), help="default: %(default)s")
    parser.add_argument("--engines", default="tenon,onnxruntime,openvino,mnn,ncnn,tract", help="default: %(default)s")
    parser.add_argument("--threads", default="1,2", help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds; throughput and scaling of three models")
    parser.add_argument("--avx2", action="store_true", help="hide AVX-512 and what came with it from every engine (CPUID shows none)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder of the report (default: docs)")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    options = parser.parse_args()
    for what, known in (("sections", list(SECTIONS)), ("engines", list(ENGINES))):
        setattr(options, what, [word for word in getattr(options, what).split(",") if word])
        if wrong := [word for word in getattr(options, what) if word not in known]:
            parser.error(f"--{what}: expected some of {', '.join(known)}, got {', '.join(wrong)}")
    options.threads = [int(n) for n in options.threads.split(",")]
    if max(options.threads) > len(os.sched_getaffinity(0)) or min(options.threads) < 1:
        parser.error(f"--threads: the machine has {len(os.sched_getaffinity(0))} CPUs")
    if not options.report and not options.models and zoo.home() is None:
        parser.error("the model zoo is neither in $TENON_ZOO nor in ../shared/zoo; name ONNX files instead")
    options.models = options.models or list(zoo.SIZES)
    return options


def measure(options):
    """Measures the sections that are asked for and keeps every row at once, so that an interrupted run leaves what it has."""
    effort = QUICK if options.quick else FULL
    versions = installed(options.engines)
    if not PROBE.is_file():
        sys.exit(f"{PROBE.relative_to(ROOT)} is missing: make bench-peers builds it")
    if options.avx2:
        if not HIDE.is_file():
            sys.exit(f"{HIDE.relative_to(ROOT)} is missing: make bench-peers builds it on x86-64")
        listed = HIDE.with_suffix(".sites")
        cpuid.write_sites([HIDE.parent, *(HIDE.parents[1] / name for name in ("lib", "python")), Path(sys.prefix)], HIDE, listed)
        os.environ |= {"LD_AUDIT": str(HIDE), "TENON_CPUID_SITES": str(listed)}  # of every process from here on
    folder = ROOT / "build/bench"
    folder.mkdir(parents=True, exist_ok=True)
    models = [find(word, effort.forms if "load" in options.sections else ("external",)) for word in options.models]
    results = report.kept(options.out, tier(options.avx2)) | {"cpus": len(os.sched_getaffinity(0)), "cap": os.environ.get("TENON_MAX_ISA", ""),
                                                              "hidden": options.avx2}
    session = Session(list(versions), effort, options.threads, Weather(), folder)
    tried = list(trials(session, models)) if set(options.sections) - {"operators", "kernels", "onednn"} else []
    begin = time.monotonic()
    for name in options.sections:
        session.weather.restart()
        section = results["sections"][name] = {"rows": [], "versions": versions, "quick": options.quick, "trials": tried,
                                               "effort": {"rounds": effort.rounds, "seconds": effort.seconds}}
        for row in SECTIONS[name](session, models):
            section["rows"].append(row)
            section["weather"] = session.weather.summary()
            report.keep(options.out, rounded(results))
            print(f"{time.monotonic() - begin:5.0f} s  {name}  {report.line(row)}", file=sys.stderr, flush=True)
    session.weather.close()


def main():
    options = arguments()
    if not options.report:
        measure(options)
    print(f"report: {report.write(options.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
