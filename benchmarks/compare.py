#!/usr/bin/env python3
"""Tenon beside onnxruntime (or other engines) over the models of the zoo: latency, load time, memory and the cost of a node, as tables
on the terminal.

    make bench-models                                      all models, 1 and 2 threads
    make bench-models BENCH_ARGS='resnet50 --rounds 9'     some, longer
    make bench-models BENCH_ARGS='--load --loads 9'        load time and memory alone, weights beside the model files and inside

The protocol and the engines are those of benchmarks/peers; `make bench-peers` makes the whole report.
"""
import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import zoo  # noqa: E402
from peers import report  # noqa: E402
from peers.__main__ import rounded, tier  # noqa: E402
from peers.models import find  # noqa: E402
from peers.process import Weather  # noqa: E402
from peers.sections import FULL, SECTIONS, Session, installed  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="names of zoo models or paths of ONNX files (default: the whole zoo)")
    parser.add_argument("--engines", default="tenon,onnxruntime", help="default: %(default)s")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one engine in one round")
    parser.add_argument("--loads", type=int, default=3, help="processes of each engine that load")
    parser.add_argument("--load", action="store_true", help="load time and memory only, of both forms of the files")
    parser.add_argument("--inline", action="store_true", help="weights inside the model files instead of beside them")
    parser.add_argument("--json", type=Path, help="write all figures")
    options = parser.parse_args()
    if not options.models and zoo.home() is None:
        parser.error("the model zoo is neither in $TENON_ZOO nor in ../shared/zoo; name ONNX files instead")
    return options


def main():
    options = arguments()
    forms = ("external", "inline") if options.load else ("inline",) if options.inline else ("external",)
    models = [find(word, forms) for word in options.models or zoo.SIZES]
    versions = installed(options.engines.split(","))
    effort = dataclasses.replace(FULL, rounds=options.rounds, seconds=options.seconds, warm=options.seconds, loads=options.loads)
    folder = ROOT / "build/bench"
    folder.mkdir(parents=True, exist_ok=True)
    session = Session(list(versions), effort, [int(n) for n in options.threads.split(",")], Weather(), folder)
    results = {"tier": tier(False), "cpus": len(os.sched_getaffinity(0)), "sections": {}}
    page = report.Page(None, results["tier"], results["sections"])
    names = ("load",) if options.load else ("latency", "load") if options.models else ("latency", "load", "overhead")
    for name in names:
        session.weather.restart()
        section = results["sections"][name] = {"rows": [], "versions": versions, "quick": False}
        for row in SECTIONS[name](session, models):
            section["rows"].append(row)
            print(report.line(row), file=sys.stderr, flush=True)
        section["weather"] = session.weather.summary()
        page.section(name, section)
    session.weather.close()
    print("\n" + "\n".join(page.lines))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rounded(results), indent=1))
        print(f"all figures: {options.json}")


if __name__ == "__main__":
    main()
