#!/usr/bin/env python3
"""Writes every case as files: generate.py OUT_DIR. OUT_DIR/manifest.tsv lists them for test_hostile:
id, model file, class expected, words its message must hold (|), options, what it is."""
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import attention_cases  # noqa: F401
import cases
import loader_cases  # noqa: F401
import operator_cases  # noqa: F401
import structure_cases  # noqa: F401
import tree_cases  # noqa: F401


def main(out):
    shutil.rmtree(out, ignore_errors=True)
    rows = []
    for id, what, model, klass, words in cases.CASES:
        directory = f"{out}/{id}/m"
        os.makedirs(directory)
        if callable(model):
            model = model(directory)
        data = model if isinstance(model, bytes) else model.SerializeToString()
        with open(f"{directory}/model.onnx", "wb") as f:
            f.write(data)
        rows.append("\t".join([id, f"{id}/m/model.onnx", klass or "error", "|".join(words), cases.OPTIONS.get(id, ""), what]))
    with open(f"{out}/manifest.tsv", "w", encoding="utf-8") as f:
        f.write("\n".join(rows) + "\n")
    print(f"{len(rows)} cases in {out}")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
