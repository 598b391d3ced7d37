#!/usr/bin/env python3
"""Recognises the test images of the digits example and shows them in the terminal (`make demo`)."""
import argparse
import shutil
import sys
import time
from pathlib import Path

import numpy as np

import tenon

HERE = Path(__file__).resolve().parent
BAR = 12


def gray(value):
    """Index of the terminal's 24-step gray ramp."""
    return 232 + round(float(np.clip(value, 0, 1)) * 23)


def picture(image, color):
    """An [8, 8] image as 4 lines of text: each character cell holds two pixels, one above the other."""
    lines = []
    for top, bottom in zip(image[0::2], image[1::2]):
        if color:
            cells = "".join(f"\033[38;5;{gray(t)};48;5;{gray(b)}m▀▀" for t, b in zip(top, bottom))
            lines.append(cells + "\033[0m")
        else:
            lines.append("".join(" ▄▀█"[2 * (t > 0.4) + (b > 0.4)] * 2 for t, b in zip(top, bottom)))
    return lines


def bars(probabilities, truth, color):
    """The likeliest three classes with a bar each, and whether the first is right."""
    order = np.argsort(probabilities)[::-1][:3]
    right = order[0] == truth
    paint = (lambda code, text: f"\033[{code}m{text}\033[0m") if color else (lambda code, text: text)
    lines = [paint("1;32" if right else "1;31", f"{order[0]}  {'✓' if right else f'✗ is {truth}'}".ljust(19))]
    for k in order:
        filled = round(float(probabilities[k]) * BAR)
        lines.append(f"{k} " + paint("36", "█" * filled) + "░" * (BAR - filled) + f" {probabilities[k]:4.0%}")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=HERE / "digits.onnx", type=Path)
    parser.add_argument("--count", type=int, default=12, help="images to draw")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    images, labels = np.load(HERE / "images.npy"), np.load(HERE / "labels.npy")
    color = sys.stdout.isatty()
    started = time.perf_counter()
    model = tenon.load(args.model, threads=args.threads)
    loaded = time.perf_counter()
    probabilities = model(images)["probabilities"]
    finished = time.perf_counter()

    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    # Mistakes are worth seeing too: the last cells show one or two of them.
    shown = np.concatenate([np.flatnonzero(predicted == labels)[: args.count - min(2, len(wrong))], wrong[:2]])[: args.count]
    columns = max(1, min(4, shutil.get_terminal_size((100, 24)).columns // 40))
    print(f"\n{model!r}\n")
    for start in range(0, len(shown), columns):
        row = shown[start : start + columns]
        cells = [list(zip(picture(images[i, 0], color), bars(probabilities[i], labels[i], color))) for i in row]
        for line in zip(*cells):
            print("  " + "   ".join(f"{left} {right}" for left, right in line))
        print()
    right = int((predicted == labels).sum())
    print(f"{right} of {len(labels)} images right ({right / len(labels):.1%}), none of which the network saw in training.")
    print(f"Loaded in {(loaded - started) * 1e3:.1f} ms; first run, {len(labels)} images in one batch: "
          f"{(finished - loaded) * 1e3:.1f} ms.\n")
    return 0 if right >= 0.95 * len(labels) else 1


if __name__ == "__main__":
    sys.exit(main())
