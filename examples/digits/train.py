#!/usr/bin/env python3
"""Trains the small convolutional network of the demo on scikit-learn's handwritten digits, with numpy alone.

    pip install -r tools/requirements/train.txt && python examples/digits/train.py

Writes beside this file: digits.onnx (the network), images.npy (float32 [360, 1, 8, 8], the images it never saw) and
labels.npy (int64 [360], what they show). The same seed gives the same network.
"""
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

HERE = Path(__file__).resolve().parent
TEST_IMAGES = 360
EPOCHS = 40
BATCH = 64


def patches(x):
    """[n, c, h, w] -> [n, h, w, c * 9]: the 3x3 neighbourhood of every pixel, zero outside."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))  # n c h w 3 3
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(x.shape[0], x.shape[2], x.shape[3], -1)


class Conv:
    """3x3 convolution, padding 1, then ReLU."""

    def __init__(self, rng, inputs, outputs):
        self.weight = rng.normal(0, np.sqrt(2 / (9 * inputs)), (outputs, inputs, 3, 3)).astype(np.float32)
        self.bias = np.zeros(outputs, np.float32)

    def forward(self, x):
        self.shape, self.cols = x.shape, patches(x)
        y = self.cols @ self.weight.reshape(len(self.bias), -1).T + self.bias
        self.positive = y > 0
        return np.maximum(y, 0).transpose(0, 3, 1, 2)

    def backward(self, grad):
        grad = grad.transpose(0, 2, 3, 1) * self.positive
        flat = grad.reshape(-1, len(self.bias))
        self.grads = [(flat.T @ self.cols.reshape(len(flat), -1)).reshape(self.weight.shape), flat.sum(0)]
        # The gradient of the input is a convolution of grad with the kernels turned by 180 degrees.
        turned = self.weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3).reshape(self.shape[1], -1)
        return (patches(grad.transpose(0, 3, 1, 2)) @ turned.T).transpose(0, 3, 1, 2)

    params = property(lambda self: [self.weight, self.bias])


class MaxPool:
    """2x2 windows, stride 2."""

    def forward(self, x):
        n, c, h, w = x.shape
        blocks = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
        self.shape, self.winner = x.shape, blocks.argmax(-1)
        return blocks.max(-1)

    def backward(self, grad):
        n, c, h, w = self.shape
        blocks = (np.arange(4) == self.winner[..., None]) * grad[..., None]
        return blocks.reshape(n, c, h // 2, w // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(self.shape)

    params = grads = []


class Dense:
    """Fully connected, then ReLU unless it is the last."""

    def __init__(self, rng, inputs, outputs, relu):
        self.weight = rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs)).astype(np.float32)
        self.bias = np.zeros(outputs, np.float32)
        self.relu = relu

    def forward(self, x):
        self.shape, self.x = x.shape, x.reshape(len(x), -1)
        y = self.x @ self.weight + self.bias
        self.positive = (y > 0) | (not self.relu)
        return y * self.positive

    def backward(self, grad):
        grad = grad * self.positive
        self.grads = [self.x.T @ grad, grad.sum(0)]
        return (grad @ self.weight.T).reshape(self.shape)

    params = property(lambda self: [self.weight, self.bias])


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def shifted(rng, images):
    """Every third image moved sideways by one pixel, so that the network does not learn positions by heart."""
    moved = images.copy()
    for i in rng.choice(len(images), len(images) // 3, replace=False):
        moved[i] = np.roll(images[i], rng.choice([-1, 1]), axis=2)
    return moved


def train(images, labels, rng):
    layers = [Conv(rng, 1, 16), MaxPool(), Conv(rng, 16, 32), MaxPool(), Dense(rng, 128, 64, True), Dense(rng, 64, 10, False)]
    params = [p for layer in layers for p in layer.params]
    mean, square, step = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params], 0
    for epoch in range(EPOCHS):
        order, rate, losses = rng.permutation(len(images)), 2e-3 * (1 - epoch / EPOCHS), []
        for start in range(0, len(order), BATCH):
            pick = order[start:start + BATCH]
            x = shifted(rng, images[pick])
            for layer in layers:
                x = layer.forward(x)
            p, wanted = softmax(x), labels[pick]
            losses.append(-np.log(p[np.arange(len(pick)), wanted] + 1e-9).mean())
            grad = ((p - np.eye(10, dtype=np.float32)[wanted]) / len(pick)).astype(np.float32)
            for layer in reversed(layers):
                grad = layer.backward(grad)
            step += 1
            for i, g in enumerate(g for layer in layers for g in layer.grads):  # Adam
                mean[i] = 0.9 * mean[i] + 0.1 * g
                square[i] = 0.999 * square[i] + 0.001 * g * g
                params[i] -= (rate * (mean[i] / (1 - 0.9**step)) / (np.sqrt(square[i] / (1 - 0.999**step)) + 1e-8)).astype(np.float32)
        print(f"epoch {epoch + 1:2d}  loss {np.mean(losses):.4f}")
    return layers


def save(layers, path):
    conv1, _, conv2, _, dense1, dense2 = layers
    weights = {
        "conv1.weight": conv1.weight, "conv1.bias": conv1.bias, "conv2.weight": conv2.weight, "conv2.bias": conv2.bias,
        "dense1.weight": dense1.weight, "dense1.bias": dense1.bias, "dense2.weight": dense2.weight, "dense2.bias": dense2.bias,
    }
    nodes = [
        helper.make_node("Conv", ["image", "conv1.weight", "conv1.bias"], ["c1"], "conv1", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("MaxPool", ["r1"], ["p1"], "pool1", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "conv2.weight", "conv2.bias"], ["c2"], "conv2", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("MaxPool", ["r2"], ["p2"], "pool2", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p2"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "dense1.weight", "dense1.bias"], ["d1"], "dense1"),
        helper.make_node("Relu", ["d1"], ["r3"], "relu3"),
        helper.make_node("Gemm", ["r3", "dense2.weight", "dense2.bias"], ["logits"], "dense2"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax", axis=1),
    ]
    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()])
    model = helper.make_model(graph, producer_name="tenon examples/digits/train.py", ir_version=8,
                              opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(model, {"task": "handwritten digits", "data": "scikit-learn load_digits"})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main():
    rng = np.random.default_rng(20)
    data = load_digits()
    images = (data.images / 16).astype(np.float32)[:, None]
    labels = data.target.astype(np.int64)
    order = rng.permutation(len(images))
    held, seen = order[:TEST_IMAGES], order[TEST_IMAGES:]
    layers = train(images[seen], labels[seen], rng)

    x = images[held]
    for layer in layers:
        x = layer.forward(x)
    print(f"accuracy on {TEST_IMAGES} images it never saw: {(x.argmax(1) == labels[held]).mean():.2%}")
    save(layers, HERE / "digits.onnx")
    np.save(HERE / "images.npy", images[held])
    np.save(HERE / "labels.npy", labels[held])


if __name__ == "__main__":
    main()
