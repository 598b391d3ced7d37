#!/usr/bin/env python3
"""The graphs of the model zoo: where they are, their weights made once, and inputs for them.

    tools/zoo.py [NAME...]     fills build/zoo and prints the paths

The zoo (skeleton graphs and a script `zoo.py` that draws their weights from a seed) lies in $TENON_ZOO, or in ../shared/zoo
beside the repository. Tests and benchmarks share this file.
"""
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
FILLED = ROOT / "build/zoo"

# Model -> sizes of its symbolic dims: the first is the usual one, the rest are other shapes that one loaded model must take.
SIZES = {
    "bert_base": [{"batch": 1, "seq": 128}, {"batch": 2, "seq": 17}, {"batch": 1, "seq": 1}],
    "efficientnet_b0": [{}],
    "gpt2": [{}],
    "llama_kv": [{"seq": 128, "past": 64}, {"seq": 1, "past": 192}, {"seq": 5, "past": 0}],
    "lstm_gru": [{"batch": 1, "time": 100}, {"batch": 3, "time": 7}, {"batch": 1, "time": 1}],
    "minilm_l6": [{"batch": 1, "seq": 128}, {"batch": 4, "seq": 9}, {"batch": 1, "seq": 1}],
    "mlp_small": [{"batch": 1}, {"batch": 33}, {"batch": 2}],
    "mobilenet_v2": [{"batch": 1}, {"batch": 3}],
    "resnet18": [{"batch": 1}, {"batch": 2}],
    "resnet50": [{"batch": 1}, {"batch": 2}],
    "unet": [{"batch": 1, "h": 128, "w": 128}, {"batch": 2, "h": 64, "w": 96}, {"batch": 1, "h": 32, "w": 32}],
    "vgg16": [{"batch": 1}, {"batch": 2}],
    "whisper_tiny_encoder": [{}],
}


def home():
    """The folder of the zoo, or None."""
    for place in (os.environ.get("TENON_ZOO"), ROOT.parent / "shared/zoo"):
        if place and (Path(place) / "zoo.py").is_file():
            return Path(place)
    return None


def path(name, inline=False):
    """A runnable model file, its weights beside it or (inline) in it; they are drawn the first time."""
    filled = FILLED / "inline" if inline else FILLED
    target = filled / name / f"{name}.onnx"
    if target.is_file():
        return target
    place = home()
    if place is None:
        raise FileNotFoundError("the zoo is neither in $TENON_ZOO nor in ../shared/zoo")
    spec = importlib.util.spec_from_file_location("zoo_of_models", place / "zoo.py")
    zoo = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(zoo)
    filled.mkdir(parents=True, exist_ok=True)
    # Filled aside and renamed, so that an interrupted run leaves nothing half made and two at once do no harm.
    scratch = tempfile.mkdtemp(dir=filled)
    zoo.fill(name, scratch, inline)
    try:
        os.rename(scratch, target.parent)
    except OSError:
        shutil.rmtree(scratch)
    return target


def inputs(signature, sizes, seed=0):
    """Arrays for a signature [(name, dtype name, shape)] whose strings are symbols of `sizes`; others are 1."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, dtype, shape in signature:
        dims = [d if isinstance(d, int) else sizes.get(d, 1) for d in shape]
        if "mask" in name:
            array = np.ones(dims, dtype)
            array[..., dims[-1] - dims[-1] // 4:] = 0  # a quarter is padding
        elif np.issubdtype(np.dtype(dtype), np.integer):
            array = rng.integers(0, 1000, dims).astype(dtype)
        else:
            array = rng.standard_normal(dims).astype(dtype)
        arrays[name] = array
    return arrays


if __name__ == "__main__":
    for wanted in sys.argv[1:] or SIZES:
        print(path(wanted), flush=True)
