#!/usr/bin/env python3
"""Tenon beside onnxruntime, one operator at a time: single-node models at sizes that real networks use.

    make bench-operators                                       all of them, one thread
    make bench-operators BENCH_ARGS='Pool Slice --seconds 3'   those whose name contains one of the words

Both engines are bound to the same inputs and to outputs of their own, alternate run by run in one process, and must agree with a run
without optimisations. The ratio is the median over rounds of the ratio of their medians: above 1, Tenon is faster.
"""
import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from peers import reference, stats
from peers.engines import ENGINES, Setup

F, F16, F64, I32, I64, BOOL, U8 = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL,
                                    TensorProto.UINT8)
FLOATS = {F: np.float32, F16: np.float16, F64: np.float64}
OPSET = 18
ROUNDS = 10  # of one case; in each, the engines alternate run by run


class Case:
    """inputs: (name, dtype, dims) fed at run time; constants: name -> array; version: of a domain; types: of the outputs there, where they
    are not that of the first input; dynamic: the sizes of the outputs depend on values."""

    def __init__(self, label, op, inputs, constants=None, order=None, outputs=("y",), domain="", version=1, types=None, dynamic=False,
                 **attributes):
        self.label, self.dynamic, self.constants = label, dynamic, {name: np.asarray(array) for name, array in (constants or {}).items()}
        names = order or [i[0] for i in inputs] + list(constants or {})
        node = helper.make_node(op, names, list(outputs), domain=domain, **attributes)
        # Types of ONNX's own operators are inferred.
        types = types or [inputs[0][1]] * len(outputs)
        made = [helper.make_tensor_value_info(o, t, None) if domain else helper.make_value_info(o, onnx.TypeProto())
                for o, t in zip(outputs, types) if o]
        graph = helper.make_graph([node], label, [helper.make_tensor_value_info(n, t, d) for n, t, d in inputs], made,
                                  [numpy_helper.from_array(a, n) for n, a in (constants or {}).items()])
        opsets = [helper.make_opsetid("", OPSET)] + ([helper.make_opsetid(domain, version)] if domain else [])
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        self.bytes = onnx.shape_inference.infer_shapes(model).SerializeToString()
        self.inputs = inputs

    def arrays(self):
        rng = np.random.default_rng(1)
        made = {}
        for name, dtype, dims in self.inputs:
            if dtype in (I32, I64):
                made[name] = rng.integers(0, 100, dims, np.int32 if dtype == I32 else np.int64)
            elif dtype == U8:
                made[name] = rng.integers(0, 256, dims, np.uint8)
            elif dtype == BOOL:
                made[name] = rng.integers(0, 2, dims).astype(bool)
            else:
                made[name] = rng.uniform(0.1, 1, dims).astype(FLOATS[dtype])
        return made


def ints(*values):
    return np.array(values, np.int64)


def floats(*dims):
    return np.random.default_rng(2).uniform(-1, 1, dims).astype(np.float32)


def int8(*dims):
    return np.random.default_rng(2).integers(-127, 128, dims, np.int8)


def quantised_conv(filters, *dims):
    """The inputs of QLinearConv behind x."""
    return {"xs": np.float32(0.02), "xz": np.uint8(120), "w": int8(filters, *dims), "ws": np.linspace(0.001, 0.002, filters, dtype=np.float32),
            "wz": np.zeros(filters, np.int8), "ys": np.float32(0.5), "yz": np.uint8(128), "b": np.arange(filters, dtype=np.int32)}


def trees(count, depth, features, votes):
    """The attributes of `count` complete trees; votes: how those of leaves begin."""
    rng = np.random.default_rng(2)
    inner, n = 2**depth - 1, 2 ** (depth + 1) - 1
    ids, leaves = np.arange(n), np.arange(inner, n)
    leaf = ids >= inner
    made = {"nodes_treeids": np.repeat(np.arange(count), n), "nodes_nodeids": np.tile(ids, count), "nodes_featureids": rng.integers(0, features, n * count),
            "nodes_values": rng.uniform(0.1, 1, n * count), "nodes_modes": np.tile(np.where(leaf, "LEAF", "BRANCH_LEQ"), count),
            "nodes_truenodeids": np.tile(np.where(leaf, 0, 2 * ids + 1), count), "nodes_falsenodeids": np.tile(np.where(leaf, 0, 2 * ids + 2), count),
            f"{votes}_treeids": np.repeat(np.arange(count), len(leaves)), f"{votes}_nodeids": np.tile(leaves, count),
            f"{votes}_ids": np.zeros(len(leaves) * count, np.int64), f"{votes}_weights": rng.uniform(-1, 1, len(leaves) * count)}
    return {name: column.tolist() for name, column in made.items()}


IMAGE = [("x", F, [1, 64, 112, 112])]
MATRIX = [("x", F, [1024, 1024])]


def cases():
    unary = "Relu Sigmoid Tanh Exp Log Sqrt Erf HardSwish HardSigmoid LeakyRelu Elu Softplus Mish Sin Floor Round Neg Abs Reciprocal Sign"
    for op in unary.split():
        yield Case(op, op, MATRIX)
    for op in "Add Sub Mul Div Max Min Pow".split():
        yield Case(op, op, [("a", F, [1024, 1024]), ("b", F, [1024, 1024])])
        yield Case(f"{op} row", op, [("a", F, [1024, 1024]), ("b", F, [1024])])
        yield Case(f"{op} column", op, [("a", F, [1024, 1024]), ("b", F, [1024, 1])])
        yield Case(f"{op} channel", op, [("a", F, [1, 64, 112, 112]), ("b", F, [64, 1, 1])])
    for op in "Neg Abs Relu Sqrt Exp Log Tanh Sigmoid Softplus Erf".split():
        yield Case(f"{op} float64", op, [("x", F64, [512, 1024])])
    for op in "Add Div Pow".split():
        yield Case(f"{op} float64", op, [("a", F64, [512, 1024]), ("b", F64, [512, 1024])])
    yield Case("Pow float64 2", "Pow", [("a", F64, [512, 1024])], {"b": np.float64(2)})
    yield Case("Pow float64 1.5", "Pow", [("a", F64, [512, 1024])], {"b": np.float64(1.5)})
    yield Case("IsNaN", "IsNaN", MATRIX)
    yield Case("Mod", "Mod", [("a", F, [512, 1024])], {"b": np.float32(0.3)}, fmod=1)
    yield Case("Mod int32", "Mod", [("a", I32, [512, 1024])], {"b": np.int32(7)})
    for op in "Greater LessOrEqual Equal".split():
        yield Case(op, op, [("a", F, [1024, 1024]), ("b", F, [1024, 1024])])
    for op in "Add Mul Div Mod Equal".split():
        yield Case(f"{op} int64", op, [("a", I64, [512, 1024])], {"b": ints(7)})
    yield Case("And", "And", [("a", BOOL, [1024, 1024]), ("b", BOOL, [1024, 1024])])
    yield Case("Not", "Not", [("a", BOOL, [1024, 1024])])
    yield Case("Where", "Where", [("c", BOOL, [1024, 1024]), ("x", F, [1024, 1024])], {"z": np.zeros((), np.float32)})
    yield Case("Where mask", "Where", [("c", BOOL, [1, 1, 128, 128]), ("x", F, [8, 12, 128, 128])], {"z": np.zeros((), np.float32)})
    yield Case("Clip", "Clip", MATRIX, {"low": np.float32(0), "high": np.float32(6)})
    yield Case("Clip int32", "Clip", [("x", I32, [1024, 1024])], {"low": np.int32(10), "high": np.int32(60)})
    yield Case("Clip float64", "Clip", [("x", F64, [512, 1024])], {"low": np.float64(0.2), "high": np.float64(0.6)})
    yield Case("PRelu", "PRelu", IMAGE, {"slope": floats(64, 1, 1)})
    yield Case("Cast int64 to float", "Cast", [("x", I64, [1024, 512])], to=F)
    yield Case("Cast float to int64", "Cast", MATRIX, to=I64)
    yield Case("Cast float to half", "Cast", MATRIX, to=F16)
    yield Case("Cast half to float", "Cast", [("x", F16, [1024, 1024])], to=F)
    yield Case("Cast bool to float", "Cast", [("x", BOOL, [1024, 1024])], to=F)

    for op in "ReduceSum ReduceMean ReduceMax ReduceL2 ReduceProd ReduceLogSumExp".split():
        for label, axes, dims in (("rows", (1,), [2048, 1024]), ("columns", (0,), [2048, 1024]), ("all", (0, 1), [2048, 1024]),
                                  ("space", (2, 3), [1, 256, 56, 56]), ("channels", (1,), [1, 256, 56, 56]), ("short", (2,), [64, 512, 8])):
            yield Case(f"{op} {label}", op, [("x", F, dims)], {"axes": ints(*axes)})
    yield Case("ArgMax rows", "ArgMax", [("x", F, [16, 50257])], axis=-1)
    yield Case("ArgMax channels", "ArgMax", [("x", F, [1, 21, 256, 256])], axis=1)
    yield Case("TopK", "TopK", [("x", F, [4, 50257])], {"k": ints(50)}, outputs=("y", "i"))
    yield Case("CumSum", "CumSum", [("x", F, [64, 4096])], {"axis": np.array(1)})
    yield Case("Softmax rows", "Softmax", [("x", F, [4096, 512])], axis=-1)
    yield Case("Softmax short rows", "Softmax", [("x", F, [65536, 16])], axis=-1)
    yield Case("Softmax channels", "Softmax", [("x", F, [1, 21, 128, 128])], axis=1)
    yield Case("LogSoftmax", "LogSoftmax", [("x", F, [64, 50257])], axis=-1)
    yield Case("Softmax rows float64", "Softmax", [("x", F64, [2048, 512])], axis=-1)
    yield Case("Softmax classes float64", "Softmax", [("x", F64, [65536, 10])], axis=-1)
    yield Case("Hardmax", "Hardmax", [("x", F, [4096, 512])], axis=-1)
    yield Case("LayerNormalization", "LayerNormalization", [("x", F, [2048, 768])], {"scale": floats(768), "bias": floats(768)})
    yield Case("InstanceNormalization", "InstanceNormalization", [("x", F, [1, 64, 128, 128])], {"scale": floats(64), "bias": floats(64)})
    yield Case("BatchNormalization", "BatchNormalization", IMAGE,
               {"scale": floats(64), "bias": floats(64), "mean": floats(64), "var": np.abs(floats(64))})
    yield Case("LpNormalization", "LpNormalization", [("x", F, [2048, 768])], axis=-1, p=2)
    yield Case("LRN", "LRN", [("x", F, [1, 96, 56, 56])], size=5)

    for kind in "MaxPool AveragePool".split():
        yield Case(f"{kind} 3x3/2", kind, IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        yield Case(f"{kind} 2x2/2", kind, IMAGE, kernel_shape=[2, 2], strides=[2, 2])
        yield Case(f"{kind} 5x5/1", kind, [("x", F, [1, 256, 20, 20])], kernel_shape=[5, 5], strides=[1, 1], pads=[2, 2, 2, 2])
        yield Case(f"{kind} 1-D", kind, [("x", F, [8, 64, 4000])], kernel_shape=[4], strides=[4])
    for kernel in (3, 13):
        yield Case(f"AveragePool {kernel}x{kernel}/1", "AveragePool", [("x", F, [1, 32, 112, 112])], kernel_shape=[kernel] * 2,
                   pads=[kernel // 2] * 4)
    yield Case("MaxPool 3x3/2 bytes", "MaxPool", [("x", U8, [1, 64, 112, 112])], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    yield Case("MaxPool 3x3/2 half", "MaxPool", [("x", F16, [1, 64, 112, 112])], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    yield Case("ReduceMean rows half", "ReduceMean", [("x", F16, [1024, 1024])], {"axes": ints(1)})
    yield Case("Softmax rows half", "Softmax", [("x", F16, [1024, 512])], axis=-1)
    yield Case("GlobalAveragePool", "GlobalAveragePool", [("x", F, [8, 256, 28, 28])])
    yield Case("GlobalMaxPool", "GlobalMaxPool", [("x", F, [8, 256, 28, 28])])
    yield Case("LpPool", "LpPool", [("x", F, [1, 64, 56, 56])], kernel_shape=[2, 2], strides=[2, 2])

    yield Case("Conv 3x3", "Conv", [("x", F, [1, 64, 56, 56])], {"w": floats(64, 64, 3, 3)}, pads=[1, 1, 1, 1])
    yield Case("Conv 3x3/2", "Conv", [("x", F, [1, 64, 56, 56])], {"w": floats(128, 64, 3, 3)}, pads=[1, 1, 1, 1], strides=[2, 2])
    yield Case("Conv 1x1", "Conv", [("x", F, [1, 256, 28, 28])], {"w": floats(256, 256, 1, 1)})
    yield Case("Conv 7x7/2 image", "Conv", [("x", F, [1, 3, 224, 224])], {"w": floats(64, 3, 7, 7)}, pads=[3] * 4, strides=[2, 2])
    yield Case("Conv depthwise", "Conv", [("x", F, [1, 96, 56, 56])], {"w": floats(96, 1, 3, 3)}, pads=[1] * 4, group=96)
    yield Case("Conv depthwise 7x7", "Conv", [("x", F, [1, 96, 56, 56])], {"w": floats(96, 1, 7, 7)}, pads=[3] * 4, group=96)
    yield Case("Conv 32 groups", "Conv", [("x", F, [1, 128, 56, 56])], {"w": floats(128, 4, 3, 3)}, pads=[1] * 4, group=32)
    yield Case("Conv dilated", "Conv", [("x", F, [1, 64, 56, 56])], {"w": floats(64, 64, 3, 3)}, pads=[2] * 4, dilations=[2, 2])
    yield Case("Conv 1-D", "Conv", [("x", F, [1, 80, 3000])], {"w": floats(384, 80, 3)}, pads=[1, 1])
    yield Case("Conv 3-D", "Conv", [("x", F, [1, 16, 16, 32, 32])], {"w": floats(32, 16, 3, 3, 3)}, pads=[1] * 6)
    yield Case("ConvTranspose 2x2/2", "ConvTranspose", [("x", F, [1, 128, 28, 28])], {"w": floats(128, 64, 2, 2)}, strides=[2, 2])
    yield Case("ConvTranspose 4x4/2", "ConvTranspose", [("x", F, [1, 128, 28, 28])], {"w": floats(128, 64, 4, 4)}, strides=[2, 2], pads=[1] * 4)
    for m in (1, 4, 16, 128):
        yield Case(f"MatMul {m}x768x3072", "MatMul", [("x", F, [m, 768])], {"w": floats(768, 3072)})
    for bits, block in ((4, 32), (4, 128), (8, 32), (2, 32)):
        weights = {"b": np.random.default_rng(3).integers(0, 256, (4096, 4096 // block, block * bits // 8), np.uint8),
                   "s": np.abs(floats(4096, 4096 // block)) / 100}
        for m in (1, 8, 128):
            yield Case(f"MatMulNBits {m}x4096x4096 {bits} bits of {block}", "MatMulNBits", [("x", F, [m, 4096])], weights,
                       domain="com.microsoft", K=4096, N=4096, bits=bits, block_size=block)
    for m, k, n in ((1, 1024, 4096), (16, 768, 3072), (128, 768, 3072), (128, 3072, 768), (512, 512, 512)):
        yield Case(f"MatMulInteger {m}x{k}x{n}", "MatMulInteger", [("x", U8, [m, k])], {"w": int8(k, n), "xz": np.uint8(120), "wz": np.int8(0)})
    yield Case("QLinearMatMul 128x768x768", "QLinearMatMul", [("x", U8, [128, 768])],
               {"xs": np.float32(0.02), "xz": np.uint8(120), "w": int8(768, 768), "ws": np.float32(0.001), "wz": np.int8(0), "ys": np.float32(0.5),
                "yz": np.uint8(128)})
    yield Case("DynamicQuantizeLinear", "DynamicQuantizeLinear", [("x", F, [128, 768])], outputs=("y", "s", "z"))
    for channels, filters, size, kernel, stride in ((64, 64, 56, 1, 1), (64, 64, 56, 3, 1), (64, 256, 56, 1, 1), (256, 64, 56, 1, 1),
                                                    (128, 128, 56, 3, 2), (128, 128, 28, 3, 1), (256, 256, 14, 3, 1), (1024, 512, 14, 1, 1),
                                                    (512, 512, 7, 3, 1), (2048, 512, 7, 1, 1)):
        yield Case(f"QLinearConv {kernel}x{kernel}/{stride} {channels} to {filters} of {size}", "QLinearConv", [("x", U8, [1, channels, size, size])],
                   quantised_conv(filters, channels, kernel, kernel), pads=[kernel // 2] * 4, strides=[stride] * 2)
    yield Case("QLinearConv 7x7/2 image", "QLinearConv", [("x", U8, [1, 3, 224, 224])], quantised_conv(64, 3, 7, 7), pads=[3] * 4, strides=[2, 2])
    yield Case("QLinearConv depthwise", "QLinearConv", [("x", U8, [1, 96, 56, 56])], quantised_conv(96, 1, 3, 3), pads=[1] * 4, group=96)
    yield Case("QLinearConv depthwise/2", "QLinearConv", [("x", U8, [1, 96, 112, 112])], quantised_conv(96, 1, 3, 3), pads=[1] * 4, strides=[2, 2], group=96)
    scales = {"as": np.float32(0.02), "az": np.uint8(120), "bs": np.float32(0.03), "bz": np.uint8(130), "ys": np.float32(0.05), "yz": np.uint8(128)}
    yield Case("QLinearAdd", "QLinearAdd", [("a", U8, [1, 256, 56, 56]), ("b", U8, [1, 256, 56, 56])], scales,
               order=["a", "as", "az", "b", "bs", "bz", "ys", "yz"], domain="com.microsoft")
    yield Case("MatMul 512", "MatMul", [("a", F, [512, 512]), ("b", F, [512, 512])])
    yield Case("MatMul heads", "MatMul", [("a", F, [1, 12, 128, 64]), ("b", F, [1, 12, 64, 128])])
    for label, dtype in (("float64", F64), ("half", F16)):
        yield Case(f"MatMul 512 {label}", "MatMul", [("a", dtype, [512, 512]), ("b", dtype, [512, 512])])
        yield Case(f"MatMul heads {label}", "MatMul", [("a", dtype, [1, 12, 128, 64]), ("b", dtype, [1, 12, 64, 128])])
        for m in (1, 16, 128):
            yield Case(f"Gemm {m}x768x768 {label}", "Gemm", [("x", dtype, [m, 768])],
                       {"w": floats(768, 768).astype(FLOATS[dtype]), "c": floats(768).astype(FLOATS[dtype])})
        yield Case(f"Gemm transB {label}", "Gemm", [("x", dtype, [8, 1024])],
                   {"w": floats(1000, 1024).astype(FLOATS[dtype]), "c": floats(1000).astype(FLOATS[dtype])}, transB=1)
    yield Case("MatMul vector float64", "MatMul", [("a", F64, [2048, 1024]), ("b", F64, [1024])])
    yield Case("Gemm transB", "Gemm", [("x", F, [8, 1024])], {"w": floats(1000, 1024), "c": floats(1000)}, transB=1)
    yield Case("Einsum", "Einsum", [("a", F, [2, 128, 12, 64]), ("b", F, [2, 128, 12, 64])], equation="bqhd,bkhd->bhqk")
    for op, gates in (("LSTM", 4), ("GRU", 3)):
        yield Case(op, op, [("x", F, [50, 1, 128])], {"w": floats(1, gates * 256, 128) / 10, "r": floats(1, gates * 256, 256) / 10}, hidden_size=256)

    yield Case("Transpose 2-D", "Transpose", MATRIX, perm=[1, 0])
    yield Case("Transpose to NHWC", "Transpose", IMAGE, perm=[0, 2, 3, 1])
    yield Case("Transpose heads", "Transpose", [("x", F, [8, 128, 12, 64])], perm=[0, 2, 1, 3])
    yield Case("Slice step 2", "Slice", [("x", F, [1, 3, 640, 640])], {"s": ints(0, 1), "e": ints(10**9, 10**9), "a": ints(2, 3), "t": ints(2, 2)})
    yield Case("Slice backwards", "Slice", [("x", F, [1, 3, 640, 640])], {"s": ints(-1), "e": ints(-10**9), "a": ints(3), "t": ints(-1)})
    yield Case("Slice columns", "Slice", MATRIX, {"s": ints(100), "e": ints(612), "a": ints(1)})
    yield Case("Concat channels", "Concat", [("a", F, [4, 128, 28, 28]), ("b", F, [4, 128, 28, 28])], axis=1)
    yield Case("Concat last", "Concat", [("a", F, [4096, 64]), ("b", F, [4096, 64])], axis=1)
    yield Case("Split", "Split", [("x", F, [4096, 192])], outputs=("p", "q", "r"), axis=1, num_outputs=3)
    yield Case("Pad", "Pad", [("x", F, [1, 64, 56, 56])], {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)})
    yield Case("Pad reflect", "Pad", [("x", F, [1, 64, 56, 56])], {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)}, mode="reflect")
    yield Case("Expand", "Expand", [("x", F, [1024, 1])], {"s": ints(1024, 1024)})
    yield Case("Tile", "Tile", [("x", F, [64, 64])], {"r": ints(8, 8)})
    yield Case("Gather rows", "Gather", [("i", I64, [2048])], {"x": floats(30000, 256)}, order=["x", "i"])
    yield Case("Gather columns", "Gather", [("x", F, [4096, 128]), ("i", I64, [64])], axis=1)
    yield Case("GatherElements", "GatherElements", [("x", F, [1024, 512]), ("i", I64, [1024, 512])], axis=1)
    yield Case("GatherND", "GatherND", [("x", F, [100, 100, 64]), ("i", I64, [2048, 2])])
    yield Case("ScatterND", "ScatterND", [("x", F, [4096, 256]), ("i", I64, [64, 1]), ("u", F, [64, 256])])
    yield Case("ScatterElements", "ScatterElements", [("x", F, [1024, 512]), ("i", I64, [1024, 64]), ("u", F, [1024, 64])], axis=1)
    yield Case("OneHot", "OneHot", [("i", I64, [4096])], {"d": ints(128), "v": np.array([0, 1], np.float32)})
    yield Case("DepthToSpace", "DepthToSpace", [("x", F, [1, 64, 128, 128])], blocksize=2)
    yield Case("SpaceToDepth", "SpaceToDepth", [("x", F, [1, 64, 128, 128])], blocksize=2)
    yield Case("Trilu", "Trilu", MATRIX)
    for label, attributes in (("nearest", {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
                              ("linear", {"mode": "linear"}), ("cubic", {"mode": "cubic"})):
        yield Case(f"Resize {label}", "Resize", [("x", F, [1, 64, 48, 48])], {"s": np.array([1, 1, 2, 2], np.float32)}, order=["x", "", "s"], **attributes)
    yield Case("Resize nearest bytes", "Resize", [("x", U8, [1, 64, 48, 48])], {"s": np.array([1, 1, 2, 2], np.float32)},
               order=["x", "", "s"], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    yield Case("NonZero", "NonZero", [("x", BOOL, [512, 512])], dynamic=True)
    for count, rows in ((100, 1), (100, 1000), (1000, 1000)):
        yield Case(f"TreeEnsembleRegressor {count} trees {rows} rows", "TreeEnsembleRegressor", [("x", F, [rows, 30])], domain="ai.onnx.ml",
                   version=3, n_targets=1, **trees(count, 6, 30, "target"))
    for rows in (1, 100):
        yield Case(f"TreeEnsembleClassifier 500 trees {rows} rows", "TreeEnsembleClassifier", [("x", F, [rows, 30])], outputs=("label", "y"),
                   domain="ai.onnx.ml", version=3, types=(I64, F), classlabels_int64s=[0, 1], post_transform="LOGISTIC",
                   **trees(500, 6, 30, "class"))


# ----------------------------------------------------------------------------------------------------------------------- timing

def bound(engine, case, threads, arrays):
    """A caller of an engine that has run once."""
    loaded = ENGINES[engine](Setup(case.bytes, [(name, None, dims) for name, _, dims in case.inputs], [], threads, dynamic=case.dynamic))
    loaded.load()
    caller = loaded.caller(arrays)
    caller.run()
    if not case.dynamic:
        caller.keep_outputs()
    return caller


def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(case, threads, seconds):
    """Seconds of both engines, the ratio with its interval, and what the operator does at least: operations and bytes."""
    arrays = case.arrays()
    outputs, operations = reference.run(case.bytes, arrays)
    ours, theirs = (bound(engine, case, threads, arrays) for engine in ("tenon", "onnxruntime"))
    for caller in (ours, theirs):
        for got, want in zip(caller.outputs(), outputs.values(), strict=True):
            np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=2e-3, atol=1e-4)
    rounds = [[], []]
    for _ in range(ROUNDS):
        a, b, end = [], [], time.monotonic() + seconds / ROUNDS
        while time.monotonic() < end or not a:
            a.append(timed(ours.run))
            b.append(timed(theirs.run))
        rounds[0].append(statistics.median(a))
        rounds[1].append(statistics.median(b))
    moved = [*arrays.values(), *outputs.values(), *(case.constants.values() if operations else ())]
    return {"operator": case.label, "tenon": statistics.median(rounds[0]), "onnxruntime": statistics.median(rounds[1]),
            "ratio": stats.as_dict(stats.ratio(rounds[1], rounds[0])),
            "operations": operations, "bytes": sum(array.nbytes for array in moved)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only operators whose label contains one of these")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.5, help="timing of one operator")
    parser.add_argument("--json", help="write the figures here")
    options = parser.parse_args()
    rows, left_out = [], {}
    for case in cases():
        if options.words and not any(w.lower() in case.label.lower() for w in options.words):
            continue
        try:
            row = measure(case, options.threads, options.seconds)
        except Exception as error:  # an operator that one of the two refuses, or whose results differ
            left_out[case.label] = str(error).strip().splitlines()[0][:100]
            print(f"{case.label:28} {left_out[case.label]}", flush=True)
            continue
        rows.append(row)
        print(f"{row['operator']:28} tenon {row['tenon'] * 1e6:10.1f} us   onnxruntime {row['onnxruntime'] * 1e6:10.1f} us"
              f"   ratio {row['ratio']['value']:6.2f}", flush=True)
    if rows:
        ratios = [r["ratio"]["value"] for r in rows]
        slower = sorted((r for r in rows if r["ratio"]["verdict"] == "slower"), key=lambda r: r["ratio"]["value"])
        middle = statistics.geometric_mean(ratios)
        print(f"\n{len(rows)} operators: median ratio {statistics.median(ratios):.2f}, geometric mean {middle:.2f}")
        print("Slower than onnxruntime: " + (", ".join(f"{r['operator']} {r['ratio']['value']:.2f}" for r in slower) or "none"))
    if options.json:
        Path(options.json).write_text(json.dumps({"threads": options.threads, "operators": rows, "left_out": left_out}, indent=1))
    return 1 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
