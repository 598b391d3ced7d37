"""What exporters mean, in the ways they write it: each spelling becomes the one operator it stands for, with onnxruntime's results."""
import functools
import itertools
from collections import Counter

import numpy as np
import onnxruntime
import pytest
from conftest import make_model
from onnx import TensorProto, helper

import tenon


class Builder:
    """Nodes of a model, written as calls; numbers and arrays become initializers of float32, lists of int64."""

    def __init__(self):
        self.nodes, self.initializers, self.inputs, self.arrays = [], [], [], {}
        self.names = (f"t{i}" for i in itertools.count())

    def input(self, *dims, symbolic=()):
        """An input of these dims; those at the places in `symbolic` are open."""
        name = next(self.names)
        self.arrays[name] = np.random.default_rng(len(self.inputs)).standard_normal(dims).astype(np.float32)
        self.inputs.append((name, TensorProto.FLOAT, [f"d{d}" if i in symbolic else d for i, d in enumerate(dims)]))
        return name

    def value(self, x):
        if isinstance(x, str):
            return x
        name = next(self.names)
        self.initializers.append((name, np.array(x, np.int64 if isinstance(x, list) else np.float32)))
        return name

    def weight(self, *dims):
        return self.value(np.random.default_rng(len(self.initializers)).standard_normal(dims) / dims[0] ** 0.5)

    def scalar(self, i):
        name = next(self.names)
        self.initializers.append((name, np.array(i, np.int64)))
        return name

    def __getattr__(self, op):
        def node(*inputs, outputs=1, **attributes):
            names = [next(self.names) for _ in range(outputs)]
            self.nodes.append(helper.make_node(op, [self.value(x) for x in inputs], names, **attributes))
            return names[0] if outputs == 1 else names
        return node

    def steps(self, *results):
        """Loads the model and compares its results; -> operators that take work."""
        model = make_model(self.nodes, self.inputs, [(r, TensorProto.FLOAT, None) for r in results], self.initializers, opset=18)
        loaded = tenon.load(model, threads=1)
        got = loaded(**self.arrays)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        want = onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, self.arrays)
        for name, reference in zip(results, want):
            np.testing.assert_allclose(got[name], reference, rtol=1e-4, atol=2e-5)
        sizes = {f"d{d}": d for array in self.arrays.values() for d in array.shape}
        return Counter(n.op for n in loaded.explain({k: v for k, v in sizes.items() if k in str(loaded.inputs)})
                       if n.kernel not in ("View", "InPlace") and n.note != "computed while planning")


# ------------------------------------------------------------------------------------------------------------- activations

def gelu_erf_div(b, x):
    return b.Mul(b.Mul(x, b.Add(b.Erf(b.Div(x, 2 ** 0.5)), 1)), 0.5)


def gelu_erf_mul(b, x):
    return b.Mul(b.Mul(0.5, x), b.Add(1, b.Erf(b.Mul(x, 0.5 ** 0.5))))


def gelu_erf_gate(b, x):
    return b.Mul(x, b.Mul(b.Add(b.Erf(b.Div(x, 2 ** 0.5)), 1), 0.5))


def gelu_tanh_pow(b, x):
    return b.Mul(b.Mul(x, 0.5), b.Add(b.Tanh(b.Mul(b.Add(x, b.Mul(b.Pow(x, 3), 0.044715)), (2 / np.pi) ** 0.5)), 1))


def gelu_tanh_products(b, x):
    inner = b.Mul(b.Mul(x, (2 / np.pi) ** 0.5), b.Add(1, b.Mul(b.Mul(0.044715, x), x)))
    return b.Mul(b.Mul(0.5, x), b.Add(1, b.Tanh(inner)))


def gelu_tanh_cube(b, x):
    inner = b.Mul((2 / np.pi) ** 0.5, b.Add(x, b.Mul(0.044715, b.Mul(x, b.Mul(x, x)))))
    return b.Mul(0.5, b.Mul(x, b.Add(1, b.Tanh(inner))))


def gelu_erf_halves(b, x):
    return b.Mul(x, b.Add(0.5, b.Mul(b.Erf(b.Div(x, 2 ** 0.5)), 0.5)))


def gelu_erf_complement(b, x):
    """As jax, which has erfc of the negative."""
    return b.Mul(b.Mul(x, 0.5), b.Sub(1, b.Erf(b.Mul(b.Neg(x), 0.5 ** 0.5))))


def gelu_tanh_distributed(b, x):
    c = (2 / np.pi) ** 0.5
    return b.Mul(b.Mul(0.5, x), b.Add(1, b.Tanh(b.Add(b.Mul(c, x), b.Mul(0.044715 * c, b.Pow(x, 3))))))


def gelu_tanh_sigmoid(b, x):
    return b.Mul(x, b.Sigmoid(b.Mul(b.Add(x, b.Mul(0.044715, b.Pow(x, 3))), 2 * (2 / np.pi) ** 0.5)))


def quick_gelu(b, x):
    return b.Mul(x, b.Sigmoid(b.Mul(1.702, x)))


def quick_gelu_gate_first(b, x):
    return b.Mul(b.Sigmoid(b.Mul(x, 1.702)), x)


def quick_gelu_divided(b, x):
    return b.Mul(x, b.Sigmoid(b.Div(x, 1 / 1.702)))


@pytest.mark.parametrize("spelling", [gelu_erf_div, gelu_erf_mul, gelu_erf_gate, gelu_tanh_pow, gelu_tanh_products, gelu_tanh_cube,
                                      gelu_erf_halves, gelu_erf_complement, gelu_tanh_distributed, gelu_tanh_sigmoid, quick_gelu, quick_gelu_gate_first, quick_gelu_divided])
def test_gelu_is_part_of_the_product(spelling):
    b = Builder()
    x = b.input(2, 7, 16, symbolic=(0, 1))
    assert b.steps(spelling(b, b.Add(b.MatMul(x, b.weight(16, 24)), b.weight(24)))) == {"MatMul": 1}


def hard_sigmoid_divided(b, x):
    return b.Div(b.Clip(b.Add(x, 3), 0, 6), 6)


def hard_sigmoid_of_unit(b, x):
    return b.Clip(b.Add(b.Mul(x, 1 / 6), 0.5), 0, 1)


def hard_swish_of_bounds(b, x):
    return b.Mul(x, b.Mul(b.Min(b.Max(b.Add(3, x), 0), 6), 1 / 6))


def hard_swish_of_relu(b, x):
    return b.Div(b.Mul(b.Min(b.Relu(b.Add(x, 3)), 6), x), 6)


def hard_swish_of_unit(b, x):
    return b.Mul(hard_sigmoid_of_unit(b, x), x)


def relu6(b, x):
    return b.Min(b.Relu(x), 6)


def relu6_clipped(b, x):
    return b.Clip(b.Relu(x), 0, 6)


def relu_as_max(b, x):
    return b.Max(0, x)


@pytest.mark.parametrize("spelling", [hard_sigmoid_divided, hard_sigmoid_of_unit, hard_swish_of_bounds, hard_swish_of_relu,
                                      hard_swish_of_unit, relu6, relu6_clipped, relu_as_max])
def test_bounds_are_part_of_the_product(spelling):
    b = Builder()
    assert b.steps(spelling(b, b.MatMul(b.input(2, 7, 16, symbolic=(0, 1)), b.weight(16, 24)))) == {"MatMul": 1}


# ---------------------------------------------------------------------------------------------------------------- products

def linear(b, x, inputs, outputs):
    return b.Add(b.MatMul(x, b.weight(inputs, outputs)), b.weight(outputs))


def layer_scale(b, x):
    """As DINOv2."""
    return b.Add(x, b.Mul(linear(b, x, 24, 24), b.weight(24)))


def layer_scale_first(b, x):
    return b.Add(b.Mul(b.weight(24), b.Gemm(x, b.weight(24, 24), b.weight(24), transB=1)), x)


def normalised_rows(b, x):
    return b.Relu(normalised(b, b.Gemm(x, b.weight(24, 24), b.weight(24), transB=1), 24))


def normalised_after_reshape(b, x):
    """As LeViT: rows of a batch run together for the normalisation."""
    y = b.Reshape(b.MatMul(x, b.weight(24, 32)), [-1, 32])
    return b.Reshape(normalised(b, y, 32), [7, 1, 32])


def normalised(b, x, channels):
    variance = b.value(np.linspace(0.5, 2, channels))
    return b.BatchNormalization(x, b.weight(channels), b.weight(channels), b.weight(channels), variance)


@pytest.mark.parametrize("spelling", [layer_scale, layer_scale_first, normalised_rows, normalised_after_reshape])
def test_scale_of_columns_is_part_of_the_product(spelling):
    b = Builder()
    steps = b.steps(spelling(b, b.input(7, 24, symbolic=(0,) if spelling != normalised_after_reshape else ())))
    assert sum(steps.values()) == 1 and set(steps) <= {"MatMul", "Gemm"}


@pytest.mark.parametrize("slope", [0.25, [[0.25]], np.full((16, 1, 1), 0.25)])
def test_one_slope_is_part_of_the_convolution(slope):
    b = Builder()
    x = b.input(1, 16, 9, 9, symbolic=(0,))
    y = b.PRelu(b.Conv(x, b.weight(16, 16, 3, 3), b.weight(16), pads=[1] * 4), b.value(np.array(slope)))
    assert b.steps(y) == {"Conv": 1, "Reorder": 2}


def test_slopes_of_channels_stay_in_the_layout_of_convolutions():
    b = Builder()
    conv = functools.partial(b.Conv, pads=[1] * 4)
    y = b.PRelu(conv(b.input(1, 16, 9, 9, symbolic=(0,)), b.weight(16, 16, 3, 3)), b.value(np.linspace(-1, 2, 16).reshape(16, 1, 1)))
    assert b.steps(conv(y, b.weight(16, 16, 3, 3))) == {"Conv": 2, "PRelu": 1, "Reorder": 2}


def test_scale_of_channels_behind_a_transpose():
    """As ConvNeXt of timm and torchvision."""
    b = Builder()
    x = b.input(1, 24, 5, 6, symbolic=(0,))
    y = linear(b, b.Transpose(x, perm=[0, 2, 3, 1]), 24, 24)
    steps = b.steps(b.Mul(b.Transpose(y, perm=[0, 3, 1, 2]), b.value(np.linspace(0.5, 2, 24).reshape(24, 1, 1))))
    assert steps == {"MatMul": 1, "Transpose": 2}


# ----------------------------------------------------------------------------------------------------------- normalisation

def mean(b, x):
    return b.ReduceMean(x, [-1])


def layer_norm_pow(b, x, scale, bias):
    d = b.Sub(x, mean(b, x))
    return b.Add(b.Mul(b.Div(d, b.Sqrt(b.Add(mean(b, b.Pow(d, 2)), 1e-5))), scale), bias)


def layer_norm_reciprocal(b, x, scale, bias):
    d = b.Sub(x, mean(b, x))
    return b.Add(bias, b.Mul(scale, b.Mul(d, b.Reciprocal(b.Sqrt(b.Add(1e-5, mean(b, b.Mul(d, d))))))))


def layer_norm_two_differences(b, x, scale, bias):
    m = mean(b, x)
    deviation = b.Pow(b.Add(mean(b, b.Pow(b.Sub(x, m), 2)), 1e-5), 0.5)
    return b.Add(b.Mul(b.Div(b.Sub(x, m), deviation), scale), bias)


def inverse_deviation(b, d):
    return b.Reciprocal(b.Sqrt(b.Add(mean(b, b.Mul(d, d)), 1e-5)))


def layer_norm_scaled_inverse(b, x, scale, bias):
    d = b.Sub(x, mean(b, x))
    return b.Add(b.Mul(d, b.Mul(inverse_deviation(b, d), scale)), bias)


def layer_norm_scaled_difference(b, x, scale, bias):
    d = b.Sub(x, mean(b, x))
    return b.Add(b.Div(b.Mul(scale, d), b.Sqrt(b.Add(mean(b, b.Pow(d, 2)), 1e-5))), bias)


def layer_norm_shifted(b, x, scale, bias):
    """As tf.nn.batch_normalization."""
    m = mean(b, x)
    factor = b.Mul(inverse_deviation(b, b.Sub(x, m)), scale)
    return b.Add(b.Mul(x, factor), b.Sub(bias, b.Mul(m, factor)))


def layer_norm_fast_variance(b, x, scale, bias):
    """As Flax."""
    m = mean(b, x)
    variance = b.Max(0, b.Sub(mean(b, b.Mul(x, x)), b.Mul(m, m)))
    return b.Add(b.Mul(b.Sub(x, m), b.Mul(b.Reciprocal(b.Sqrt(b.Add(variance, 1e-5))), scale)), bias)


def layer_norm_fast_variance_pow(b, x, scale, bias):
    m = mean(b, x)
    variance = b.Sub(mean(b, b.Pow(x, 2)), b.Pow(m, 2))
    return b.Add(b.Mul(b.Div(b.Sub(x, m), b.Sqrt(b.Add(1e-5, variance))), scale), bias)


def layer_norm_dropped_dims(b, x, scale, bias):
    d = b.Sub(x, b.Unsqueeze(b.ReduceMean(x, [2], keepdims=0), [2]))
    variance = b.Unsqueeze(b.ReduceMean(b.Mul(d, d), [-1], keepdims=0), [-1])
    return b.Add(b.Mul(b.Div(d, b.Sqrt(b.Add(variance, 1e-5))), scale), bias)


def layer_norm_operator(b, x, scale, bias):
    return b.LayerNormalization(x, scale, bias, axis=-1)


@pytest.mark.parametrize("spelling", [layer_norm_pow, layer_norm_reciprocal, layer_norm_two_differences,
                                      layer_norm_scaled_inverse, layer_norm_scaled_difference, layer_norm_shifted, layer_norm_operator,
                                      layer_norm_fast_variance, layer_norm_fast_variance_pow, layer_norm_dropped_dims])
def test_layer_norm(spelling):
    b = Builder()
    assert b.steps(spelling(b, b.input(2, 7, 32, symbolic=(0, 1)), b.weight(32), b.weight(32))) == {"LayerNormalization": 1}


def rms_norm_pow(b, x, scale):
    return b.Mul(scale, b.Mul(x, b.Div(1, b.Sqrt(b.Add(mean(b, b.Pow(x, 2)), 1e-5)))))


def rms_norm_division(b, x, scale):
    return b.Mul(b.Div(x, b.Sqrt(b.Add(mean(b, b.Mul(x, x)), 1e-5))), scale)


def rms_norm_reciprocal(b, x, scale):
    return b.Mul(b.Mul(x, b.Reciprocal(b.Sqrt(b.Add(mean(b, b.Pow(x, 2)), 1e-5)))), scale)


def rms_norm_negative_power(b, x, scale):
    return b.Mul(scale, b.Mul(b.Pow(b.Add(mean(b, b.Mul(x, x)), 1e-5), -0.5), x))


def rms_norm_scaled_inverse(b, x, scale):
    return b.Mul(b.Mul(scale, inverse_deviation(b, x)), x)


@pytest.mark.parametrize("spelling", [rms_norm_pow, rms_norm_division, rms_norm_reciprocal, rms_norm_negative_power,
                                      rms_norm_scaled_inverse])
def test_rms_norm(spelling):
    b = Builder()
    assert b.steps(spelling(b, b.input(2, 7, 32, symbolic=(0, 1)), b.weight(32))) == {"RMSNormalization": 1}


# --------------------------------------------------------------------------------------------------------------- attention

BATCH, ROWS, HEADS, SIZE = 2, 9, 4, 16
WIDTH = HEADS * SIZE


def heads(b, x, count=HEADS):
    return b.Transpose(b.Reshape(x, [0, 0, count, SIZE]), perm=[0, 2, 1, 3])


def merged(b, y):
    return b.Reshape(b.Transpose(y, perm=[0, 2, 1, 3]), [0, 0, WIDTH])


def attend_bert(b, q, k, v, mask=None):
    """Scores divided, the mask added, K transposed with the heads."""
    k = b.Transpose(b.Reshape(k, [0, 0, HEADS, SIZE]), perm=[0, 2, 3, 1])
    scores = b.Div(b.MatMul(heads(b, q), k), SIZE ** 0.5)
    return merged(b, b.MatMul(b.Softmax(b.Add(scores, mask) if mask else scores, axis=-1), heads(b, v)))


def attend_scaled_operands(b, q, k, v, mask=None):
    """As torch's scaled_dot_product_attention: Q and K each by the root of the scale."""
    k = b.Mul(b.Transpose(heads(b, k), perm=[0, 1, 3, 2]), SIZE ** -0.25)
    scores = b.MatMul(b.Mul(heads(b, q), SIZE ** -0.25), k)
    return merged(b, b.MatMul(b.Softmax(b.Add(scores, mask) if mask else scores, axis=3), heads(b, v)))


def attend_scaled_query(b, q, k, v, mask=None):
    """As whisper: Q scaled before it is cut into heads, K's heads run together with the batch for a transpose of three dims."""
    q = heads(b, b.Mul(q, SIZE ** -0.5))
    k = b.Reshape(b.Transpose(b.Reshape(heads(b, k), [-1, ROWS, SIZE]), perm=[0, 2, 1]), [BATCH, HEADS, SIZE, ROWS])
    scores = b.MatMul(q, k)
    return merged(b, b.MatMul(b.Softmax(b.Add(mask, scores) if mask else scores, axis=-1), heads(b, v)))


ATTENTIONS = [attend_bert, attend_scaled_operands, attend_scaled_query]


@pytest.mark.parametrize("spelling", ATTENTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_attention(spelling, masked):
    b = Builder()
    q, k, v = (b.input(BATCH, ROWS, WIDTH) for _ in range(3))
    assert b.steps(spelling(b, q, k, v, b.input(BATCH, 1, 1, ROWS) if masked else None)) == {"Attention": 1}


@pytest.mark.parametrize("masked", [False, True])
def test_attention_of_open_sizes(masked):
    b = Builder()
    q, k, v = (b.input(BATCH, ROWS, WIDTH, symbolic=(0, 1)) for _ in range(3))
    mask = b.input(BATCH, 1, 1, ROWS, symbolic=(0, 3)) if masked else None
    assert b.steps(attend_bert(b, q, k, v, mask)) == {"Attention": 1}


@pytest.mark.parametrize("masked", [False, True])
def test_attention_of_heads_run_together_with_the_batch(masked):
    """As bart."""
    b = Builder()
    q, k, v = (b.Reshape(heads(b, x), [BATCH * HEADS, ROWS, SIZE])
               for x in (b.Mul(b.input(BATCH, ROWS, WIDTH), SIZE ** -0.5), b.input(BATCH, ROWS, WIDTH), b.input(BATCH, ROWS, WIDTH)))
    scores = b.MatMul(q, b.Transpose(k, perm=[0, 2, 1]))
    if masked:
        scores = b.Add(b.Reshape(scores, [BATCH, HEADS, ROWS, ROWS]), b.input(BATCH, 1, ROWS, ROWS))
        scores = b.Reshape(scores, [BATCH * HEADS, ROWS, ROWS])
    y = b.Reshape(b.MatMul(b.Softmax(scores, axis=-1), v), [BATCH, HEADS, ROWS, SIZE])
    assert b.steps(merged(b, y)) == {"Attention": 1}


@pytest.mark.parametrize("masked", [False, True])
def test_attention_of_rows_before_the_batch(masked):
    """As torch.nn.MultiheadAttention."""
    b = Builder()
    q, k, v = (b.Transpose(b.Reshape(b.input(ROWS, BATCH, WIDTH), [ROWS, BATCH * HEADS, SIZE]), perm=[1, 0, 2]) for _ in range(3))
    scores = b.MatMul(b.Mul(q, SIZE ** -0.5), b.Transpose(k, perm=[0, 2, 1]))
    y = b.MatMul(b.Softmax(b.Add(scores, b.input(ROWS, ROWS)) if masked else scores, axis=-1), v)
    assert b.steps(b.Reshape(b.Transpose(y, perm=[1, 0, 2]), [ROWS, BATCH, WIDTH])) == {"Attention": 1}


@pytest.mark.parametrize("where_true", [False, True])
@pytest.mark.parametrize("fill", [-1e4, -3.4e38])
def test_attention_masked_by_a_choice(where_true, fill):
    b = Builder()
    q, k, v = (heads(b, b.input(BATCH, ROWS, WIDTH)) for _ in range(3))
    scores = b.Div(b.MatMul(q, b.Transpose(k, perm=[0, 1, 3, 2])), SIZE ** 0.5)
    choice = (fill, scores) if where_true else (scores, fill)
    masked = b.Where(b.Greater(b.input(BATCH, 1, 1, ROWS), 0), *choice)
    steps = b.steps(merged(b, b.MatMul(b.Softmax(masked, axis=-1), v)))
    assert steps == {"Attention": 1, "Greater": 1, "Where": 1} or steps == {"Attention": 1, "Elementwise": 1}


def padding_and_causal(b, scores):
    return b.Add(b.Add(scores, b.input(BATCH, 1, 1, ROWS)), b.input(ROWS, ROWS))


def padding_subtracted(b, scores):
    return b.Sub(scores, b.Mul(b.Sub(1, b.input(BATCH, 1, 1, ROWS)), 1e4))


def rows_of_nothing(b, scores):
    """Masks of -inf that leave some rows no key."""
    masks = (b.Where(b.Greater(b.input(*dims), 0.5), 0, -np.inf) for dims in ((BATCH, 1, 1, ROWS), (ROWS, ROWS)))
    for mask in masks:
        scores = b.Add(mask, scores)
    return scores


def lowest_numbers(b, scores):
    """Masks whose sum overflows."""
    lowest = np.finfo(np.float32).min
    for dims in ((BATCH, 1, 1, ROWS), (ROWS, ROWS)):
        scores = b.Add(scores, b.Where(b.Greater(b.input(*dims), 0), lowest, 0))
    return scores


def factors_of_heads(b, scores):
    """As Swin v2."""
    return b.Add(b.Mul(scores, b.value(np.linspace(0.1, 2, HEADS).reshape(HEADS, 1, 1))), b.weight(1, HEADS, ROWS, ROWS))


def capped(b, scores):
    """As Gemma 2."""
    return b.Add(b.Mul(b.Tanh(b.Div(b.Mul(scores, SIZE ** -0.5), 1.5)), 1.5), b.input(BATCH, 1, ROWS, ROWS))


@pytest.mark.parametrize("masked", [padding_and_causal, padding_subtracted, rows_of_nothing, lowest_numbers, factors_of_heads, capped])
def test_attention_of_scores_changed(masked):
    b = Builder()
    q, k, v = (heads(b, b.input(BATCH, ROWS, WIDTH)) for _ in range(3))
    scores = masked(b, b.MatMul(q, b.Transpose(k, perm=[0, 1, 3, 2])))
    steps = b.steps(merged(b, b.MatMul(b.Softmax(scores, axis=-1), v)))
    assert steps.pop("Attention") == 1
    assert set(steps) <= {"Add", "Greater", "Where", "Elementwise"} or masked == factors_of_heads  # of the masks


@pytest.mark.parametrize("images", [1, 2])
def test_attention_in_shifted_windows(images):
    """As Swin."""
    b = Builder()
    windows = 3
    x = b.input(images * windows, ROWS, WIDTH)
    q, k, v = cut_after_transpose(b, linear(b, x, WIDTH, 3 * WIDTH))
    scores = b.Add(b.MatMul(b.Mul(q, SIZE ** -0.5), b.Transpose(k, perm=[0, 1, 3, 2])), b.weight(1, HEADS, ROWS, ROWS))
    mask = b.value(np.where(np.random.default_rng(0).random((1, windows, 1, ROWS, ROWS)) < 0.3, -100, 0))
    scores = b.Add(b.Reshape(scores, [images, windows, HEADS, ROWS, ROWS]), mask)
    y = b.MatMul(b.Softmax(b.Reshape(scores, [-1, HEADS, ROWS, ROWS]), axis=-1), v)
    assert b.steps(merged(b, y)) == {"MatMul": 1, "Attention": 1}


def test_attention_masked_alike_in_many_layers():
    """What becomes of the masks is made once."""
    b = Builder()
    x, padding, causal = b.input(BATCH, ROWS, WIDTH), b.input(BATCH, 1, 1, ROWS), b.input(ROWS, ROWS)
    for _ in range(3):
        q = heads(b, x)
        scores = b.Sub(b.Add(b.MatMul(q, b.Transpose(q, perm=[0, 1, 3, 2])), padding), causal)
        x = merged(b, b.MatMul(b.Softmax(scores, axis=-1), q))
    assert b.steps(x) == {"Attention": 3, "Sub": 1}


def test_attention_by_einsum():
    b = Builder()
    q, k, v = (heads(b, b.input(BATCH, ROWS, WIDTH, symbolic=(0,))) for _ in range(3))
    scores = b.Mul(b.Einsum(q, k, equation="bhqd,bhkd->bhqk"), SIZE ** -0.5)
    y = b.Einsum(b.Softmax(scores, axis=-1), v, equation="bhqk,bhkd->bqhd")
    assert b.steps(b.Reshape(y, [0, 0, WIDTH])) == {"Attention": 1}


@pytest.mark.parametrize("equations", [("bqhd,bkhd->bhqk", "bhqk,bkhd->bqhd"), ("...qhd,...khd->...hqk", "...hqk,...khd->...qhd"),
                                       ("BTNH,BSNH->BNTS", "BNTS,BSNH->BTNH")])
def test_attention_by_einsum_of_rows(equations):
    b = Builder()
    q, k, v = (b.Reshape(b.input(BATCH, ROWS, WIDTH), [0, 0, HEADS, SIZE]) for _ in range(3))
    scores = b.Add(b.Mul(b.Einsum(q, k, equation=equations[0]), SIZE ** -0.5), b.input(BATCH, 1, 1, ROWS))
    y = b.Einsum(b.Softmax(scores, axis=-1), v, equation=equations[1])
    assert b.steps(b.Reshape(y, [0, 0, WIDTH])) == {"Attention": 1}


def test_attention_of_keras():
    """Every product an Einsum, heads in dims of their own."""
    b = Builder()
    x = b.input(BATCH, ROWS, WIDTH, symbolic=(0, 1))
    q, k, v = (b.Add(b.Einsum(x, b.weight(WIDTH, HEADS, SIZE), equation="abc,cde->abde"), b.weight(HEADS, SIZE)) for _ in range(3))
    scores = b.Einsum(k, b.Mul(q, SIZE ** -0.5), equation="aecd,abcd->acbe")
    y = b.Einsum(b.Softmax(scores, axis=-1), v, equation="acbe,aecd->abcd")
    y = b.Add(b.Einsum(y, b.weight(HEADS, SIZE, WIDTH), equation="abcd,cde->abe"), b.weight(WIDTH))
    assert b.steps(y) == {"MatMul": 2, "Attention": 1}


def test_attention_over_an_image():
    """As YOLO11: heads of channels, cut with Q, K and V beside each other in each."""
    b = Builder()
    channels, height, width = 64, 5, 6
    x = b.Conv(b.input(1, channels, height, width, symbolic=(0,)), b.weight(2 * channels, channels, 1, 1))
    q, k, v = b.Split(b.Reshape(x, [-1, 2, channels, height * width]), [16, 16, 32], axis=2, outputs=3)
    scores = b.Mul(b.MatMul(b.Transpose(q, perm=[0, 1, 3, 2]), k), 0.25)
    y = b.MatMul(v, b.Transpose(b.Softmax(scores, axis=-1), perm=[0, 1, 3, 2]))
    places = b.Conv(b.Reshape(v, [-1, channels, height, width]), b.weight(channels, 1, 3, 3), pads=[1] * 4, group=channels)
    steps = b.steps(b.Add(b.Reshape(y, [-1, channels, height, width]), places))
    assert steps.pop("Attention") == 1
    assert not {"MatMul", "Softmax"} & set(steps)


def cut_by_split(b, x):
    return [heads(b, part) for part in b.Split(x, [WIDTH] * 3, outputs=3, axis=2)]


def cut_by_slices(b, x):
    return [heads(b, b.Slice(x, [i * WIDTH], [(i + 1) * WIDTH], [2])) for i in range(3)]


def cut_after_transpose(b, x):
    """As timm: [batch, rows, 3, heads, size] turned to [3, batch, heads, rows, size], of which each takes one."""
    y = b.Transpose(b.Reshape(x, [0, 0, 3, HEADS, SIZE]), perm=[2, 0, 3, 1, 4])
    scalars = [b.value(np.array(i)) for i in range(3)]
    b.initializers = [(n, a.astype(np.int64) if n in scalars else a) for n, a in b.initializers]
    return [b.Gather(y, scalar, axis=0) for scalar in scalars]


def three_by_head(b, x):
    return b.Transpose(b.Reshape(x, [0, 0, 3, HEADS, SIZE]), perm=[2, 0, 3, 1, 4])


def cut_unbound(b, x):
    return [b.Squeeze(part, [0]) for part in b.Split(three_by_head(b, x), [1, 1, 1], outputs=3, axis=0)]


def cut_sliced_and_squeezed(b, x):
    y = three_by_head(b, x)
    return [b.Squeeze(b.Slice(y, [i], [i + 1], [0]), [0]) for i in range(3)]


def cut_before_transpose(b, x):
    parts = b.Split(b.Reshape(x, [0, 0, 3, HEADS, SIZE]), [1, 1, 1], outputs=3, axis=2)
    return [b.Transpose(b.Squeeze(part, [2]), perm=[0, 2, 1, 3]) for part in parts]


@pytest.mark.parametrize("cut", [cut_by_split, cut_by_slices, cut_after_transpose, cut_unbound, cut_sliced_and_squeezed,
                                 cut_before_transpose])
def test_attention_reads_parts_of_one_product(cut):
    b = Builder()
    product = b.Add(b.MatMul(b.input(BATCH, ROWS, WIDTH, symbolic=(0, 1)), b.weight(WIDTH, 3 * WIDTH)), b.weight(3 * WIDTH))
    q, k, v = cut(b, product)
    scores = b.Mul(b.MatMul(q, b.Transpose(k, perm=[0, 1, 3, 2])), SIZE ** -0.5)
    assert b.steps(merged(b, b.MatMul(b.Softmax(scores, axis=-1), v))) == {"MatMul": 1, "Attention": 1}


def repeat_expand(b, x, rows):
    """As transformers' repeat_kv."""
    return b.Reshape(b.Expand(b.Unsqueeze(x, [2]), [1, HEADS // 2, 2, rows, SIZE]), [1, HEADS, rows, SIZE])


def repeat_tile(b, x, rows):
    return b.Reshape(b.Tile(b.Unsqueeze(x, [2]), [1, 1, 2, 1, 1]), [1, HEADS, rows, SIZE])


def repeat_concat(b, x, rows):
    one = b.Reshape(x, [1, HEADS // 2, 1, rows, SIZE])
    return b.Reshape(b.Concat(one, one, axis=2), [1, HEADS, rows, SIZE])


@pytest.mark.parametrize("repeat", [repeat_expand, repeat_tile, repeat_concat])
@pytest.mark.parametrize("cached", [False, True])
def test_attention_of_grouped_heads(cached, repeat):
    b = Builder()
    q, k, v = b.input(1, ROWS, WIDTH), b.input(1, ROWS, WIDTH // 2), b.input(1, ROWS, WIDTH // 2)
    k, v = (heads(b, x, HEADS // 2) for x in (k, v))
    outputs, rows = [], ROWS
    if cached:
        rows += 5
        k, v = (b.Concat(b.input(1, HEADS // 2, 5, SIZE), x, axis=2) for x in (k, v))
        outputs = [k, v]
    scores = b.MatMul(heads(b, q), b.Transpose(repeat(b, k, rows), perm=[0, 1, 3, 2]))
    probabilities = b.Softmax(b.Add(b.Mul(scores, SIZE ** -0.5), b.input(1, 1, ROWS, rows)), axis=-1)
    steps = b.steps(merged(b, b.MatMul(probabilities, repeat(b, v, rows))), *outputs)
    # The cache is kept by head: what is new goes there transposed.
    assert steps == ({"Attention": 1, "Concat": 2, "Transpose": 2} if cached else {"Attention": 1})


# ------------------------------------------------------------------------------------------------------------------ rotary

def halves(b, x):
    return [b.Slice(x, [0], [SIZE // 2], [3]), b.Slice(x, [SIZE // 2], [2 ** 63 - 1], [3])]


def rotary_slices(b, x, cos, sin):
    first, second = halves(b, x)
    return b.Add(b.Mul(x, cos), b.Mul(b.Concat(b.Neg(second), first, axis=-1), sin))


def rotary_split(b, x, cos, sin):
    first, second = b.Split(x, [SIZE // 2] * 2, outputs=2, axis=-1)
    return b.Add(b.Mul(b.Concat(b.Neg(second), first, axis=3), sin), b.Mul(cos, x))


def rotary_by_halves(b, x, cos, sin):
    first, second = halves(b, x)
    cos, sin = (halves(b, angles)[0] for angles in (cos, sin))
    return b.Concat(b.Sub(b.Mul(first, cos), b.Mul(second, sin)), b.Add(b.Mul(second, cos), b.Mul(first, sin)), axis=-1)


def every_second(b, x):
    return [b.Slice(x, [i], [2 ** 63 - 1], [3], [2]) for i in range(2)]


def stack(b, first, second, size=SIZE):
    """Neighbours of one tensor, as torch.stack(..., -1).flatten(-2) is exported."""
    pairs = b.Concat(b.Unsqueeze(first, [-1]), b.Unsqueeze(second, [-1]), axis=-1)
    return b.Reshape(pairs, [0, 0, 0, size])


def rotary_every_two(b, x, cos, sin):
    even, odd = every_second(b, x)
    return b.Add(b.Mul(x, cos), b.Mul(stack(b, b.Neg(odd), even), sin))


def rotary_pairs(b, x, cos, sin):
    """As complex numbers are exported."""
    pairs = b.Reshape(x, [0, 0, 0, SIZE // 2, 2])
    a, c = (b.Gather(pairs, b.scalar(i), axis=4) for i in range(2))
    cos, sin = (halves(b, angles)[0] for angles in (cos, sin))
    return stack(b, b.Sub(b.Mul(a, cos), b.Mul(c, sin)), b.Add(b.Mul(a, sin), b.Mul(c, cos)))


def rotary_first_half(b, x, cos, sin):
    first, rest = b.Split(x, [SIZE // 2] * 2, outputs=2, axis=-1)
    cos, sin = (halves(b, angles)[0] for angles in (cos, sin))
    a, c = b.Split(first, [SIZE // 4] * 2, outputs=2, axis=-1)
    return b.Concat(b.Add(b.Mul(first, cos), b.Mul(b.Concat(b.Neg(c), a, axis=-1), sin)), rest, axis=-1)


def rotary_first_half_every_two(b, x, cos, sin):
    first, rest = halves(b, x)
    cos, sin = (halves(b, angles)[0] for angles in (cos, sin))
    even, odd = every_second(b, first)
    return b.Concat(b.Add(b.Mul(first, cos), b.Mul(stack(b, b.Neg(odd), even, SIZE // 2), sin)), rest, axis=-1)


@pytest.mark.parametrize("spelling", [rotary_slices, rotary_split, rotary_by_halves, rotary_every_two, rotary_pairs,
                                      rotary_first_half, rotary_first_half_every_two])
def test_rotary_embedding(spelling):
    b = Builder()
    x = heads(b, b.input(BATCH, ROWS, WIDTH, symbolic=(0, 1)))
    angles = b.input(1, 1, ROWS, SIZE, symbolic=(2,)), b.input(1, 1, ROWS, SIZE, symbolic=(2,))
    steps = b.steps(spelling(b, x, *angles))
    assert steps.pop("RotaryEmbedding") == 1
    assert set(steps) <= {"Slice"}  # of the angles
