"""The command line with models whose inputs and outputs are sequences and optionals."""
import json
import shutil

import numpy as np
import pytest
from command import ROOT, tenon, tenon_json

MODEL = ROOT / "tests/data/sequence.onnx"  # chosen = cond ? a : b, sequences of vectors; same = maybe, an optional vector of two elements
GIVEN = ["--input", "cond=true", "--input", "a=[[1, 2], [3]]", "--input", "b=[]"]


def chosen(report):
    return [item["data"] for item in report["outputs"]["chosen"]["items"]]


def test_prints():
    text = tenon("run", MODEL, *GIVEN).stdout
    assert "chosen: sequence of 2 float32" in text and "  [0]: float32[2]" in text and "1, 2" in text and "same: none" in text
    report = tenon_json("run", MODEL, *GIVEN, "--input", "maybe=[4, 5]")
    assert chosen(report) == [[1, 2], [3]] and report["outputs"]["same"]["data"] == [4, 5]
    assert tenon_json("run", MODEL, *GIVEN, "--input", "maybe=null")["outputs"]["same"] is None


def test_inspect():
    text = tenon("inspect", MODEL).stdout
    assert "a: sequence(float32[n])" in text and "maybe: optional(float32[2])\n" in text
    inputs = {v["name"]: v for v in tenon_json("inspect", MODEL)["inputs"]}
    assert inputs["a"]["sequence"] and not inputs["a"]["nullable"] and inputs["maybe"]["nullable"] and not inputs["maybe"]["sequence"]


@pytest.mark.parametrize("kind", ["pb", "npz", "json"])
def test_files(kind, tmp_path):
    path = tmp_path / f"a.{kind}"
    if kind == "pb":
        shutil.copy(ROOT / "tests/data/sequence.pb", path)
    elif kind == "npz":
        np.savez(path, first=np.float32([1, 2, 3]), second=np.float32([4]))
    else:
        path.write_text("[[1, 2, 3], [4]]")
    out = tmp_path / f"out.{'npz' if kind == 'npz' else 'json'}"
    report = tenon_json("run", MODEL, "--input", "cond=true", "--input", f"a={path}", "--input", "b=[]", "--save", f"chosen={out}",
                        "--expect", f"chosen={path}")
    assert chosen(report) == [[1, 2, 3], [4]] and report["expected"]["chosen"]["equal"]
    if kind == "npz":
        assert [a.tolist() for a in np.load(out).values()] == [[1, 2, 3], [4]]
    else:
        assert [item["data"] for item in json.loads(out.read_text())["items"]] == [[1, 2, 3], [4]]


def test_expect_says_which_item_differs(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[[1, 2], [9]]")
    assert "item 1: 1 of 1 elements differ" in tenon("run", MODEL, *GIVEN, "--expect", f"chosen={path}", code=1).stdout
    path.write_text("[[1, 2]]")
    assert "expected sequence of 1 float32, got sequence of 2 float32" in tenon("run", MODEL, *GIVEN, "--expect", f"chosen={path}", code=1).stdout


@pytest.mark.parametrize("arguments, code, text", [
    (["--input", "a=7"], 3, "expected a list of the sequence's items"),
    (["--input", "a=[[1, [2]]]"], 3, "a[0]"),
    (["--input", f"a={ROOT / 'examples/digits/images.npy'}"], 3, "a sequence is read from .npz"),
    (["--input", f"a={ROOT / 'tests/data/tensor.pb'}"], 12, "not a serialized SequenceProto"),
    (["--random"], 2, "is a sequence, which is not made up"),
    ([*GIVEN, "--save-all", "{}/all.npz"], 3, "no array"),
    ([*GIVEN, "--save", "same={}/same.npy"], 3, "no array"),
    (["--input", "cond=true", "--input", "b=[]"], 11, "'a' is missing"),
])
def test_errors(arguments, code, text, tmp_path):
    assert text in tenon("run", MODEL, *[a.replace("{}", str(tmp_path)) for a in arguments], code=code).stderr
