#!/usr/bin/env python3
"""Fails when a file includes something its layer may not include.

    tools/check_layers.py [ROOT]

The layers and their arrows are the table of docs/architecture.md ("Layers"); this script only knows how to read it and
which headers belong to which third-party library. Generated files, tests and benchmarks are not checked.
Exit code: 0 all well, 1 a forbidden arrow (printed as file:line), 2 the table could not be read.
"""
import re
import sys
from pathlib import Path

# Header prefix -> library, as the table names it.
LIBRARIES = {
    "hwy/": "Highway",
    "oneapi/dnnl/": "oneDNN",
    "dnnl": "oneDNN",
    "omp.h": "OpenMP",
    "google/protobuf": "protobuf-lite",
    "onnx.pb.h": "protobuf-lite",
    "onnx-ml.pb.h": "protobuf-lite",
    "pybind11/": "pybind11",
    "CLI/": "CLI11",
    "nlohmann/": "nlohmann-json",
    "gtest/": "GoogleTest",
    "gmock/": "GoogleTest",
    "benchmark/": "Google Benchmark",
}
# Quoted include path -> layer: the longest prefix wins.
ROOMS = {
    "base/": "base", "kernels/": "kernels", "ops/": "ops", "graph/": "graph", "passes/": "passes", "plan/": "plan",
    "importers/": "importers", "capi/": "capi", "tenon/tenon.h": "tenon.h", "tenon/tenon.hpp": "tenon.hpp",
}
SUFFIXES = {".h", ".hpp", ".c", ".cc", ".cpp", ".inc", ".go"}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


class TableError(Exception):
    pass


def read_table(text):
    """The rows of the table as (layer, folders or files, allowed names), in order."""
    section = text.split("## Layers", 1)
    if len(section) < 2:
        raise TableError("no section 'Layers'")
    rows = []
    for line in section[1].split("\n## ", 1)[0].splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 4 or set(cells[0]) <= {"-"} or cells[1] == "folder":
            continue
        name, folders, _, allowed = cells
        rows.append((name, re.findall(r"`([^`]+)`", folders), allowed))
    if not rows:
        raise TableError("no row in the table of layers")
    above = []
    result = []
    known = set(ROOMS.values())
    for name, folders, allowed in rows:
        if "everything above" in allowed:
            names = set(above) | {name, "tenon.h"}
        else:
            words = set(re.findall(r"[\w.\-]+", allowed.replace("tenon.hpp", " tenon.hpp ")))
            names = (words & known) | {lib for lib in LIBRARIES.values() if re.search(rf"\b{re.escape(lib)}\b", allowed)}
            names |= {name} & known
        if not folders:
            raise TableError(f"layer '{name}' names no folder")
        result.append((name, folders, names))
        above.append(name)
    return result


def layer_of(path, table):
    """The row of the most specific folder that holds `path` (a posix path relative to the root), or None."""
    best = None
    for row in table:
        for folder in row[1]:
            if path == folder or path.startswith(folder.rstrip("/") + "/"):
                if best is None or len(folder) > best[0]:
                    best = (len(folder), row)
    return best[1] if best else None


def target_of(include):
    """What an include reaches: a layer, a library, or None for the standard library and files of the same folder."""
    for prefix in sorted(ROOMS, key=len, reverse=True):
        if include == prefix or (prefix.endswith("/") and include.startswith(prefix)):
            return ROOMS[prefix]
    for prefix, library in LIBRARIES.items():
        if include.startswith(prefix):
            return library
    return None


def check(root):
    """The forbidden arrows under `root`, each as one line of text."""
    table = read_table((root / "docs/architecture.md").read_text(encoding="utf-8"))
    folders = sorted({folder for _, names, _ in table for folder in names})
    files = set()
    for folder in folders:
        start = root / folder
        files |= {start} if start.is_file() else {p for p in start.rglob("*") if p.suffix in SUFFIXES}
    problems = []
    for file in sorted(files):
        path = file.relative_to(root).as_posix()
        row = layer_of(path, table)
        if row is None or "/build/" in path:
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            target = target_of(match[1]) if match else None
            if target is not None and target not in row[2]:
                allowed = ", ".join(sorted(row[2])) or "the standard library only"
                problems.append(f"{path}:{number}: layer '{row[0]}' may not include {target} ({match[1]}); allowed: {allowed}")
    return problems


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
    try:
        problems = check(root)
    except (TableError, OSError) as error:
        print(f"check_layers: docs/architecture.md: {error}", file=sys.stderr)
        return 2
    for problem in problems:
        print(problem)
    print(f"check_layers: {len(problems)} forbidden include{'' if len(problems) == 1 else 's'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
