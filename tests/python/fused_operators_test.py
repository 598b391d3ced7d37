"""Attention and rotary embeddings as operators, and what onnxruntime's optimiser writes (com.microsoft), beside onnxruntime."""
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import tenon

DTYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64, np.dtype(np.int32): TensorProto.INT32,
          np.dtype(bool): TensorProto.BOOL, np.dtype(np.float16): TensorProto.FLOAT16}
RNG = np.random.default_rng(0)


def floats(*dims):
    return RNG.standard_normal(dims).astype(np.float32)


class Case:
    """One node. Inputs are arrays, None where left out; those in `constant` are initializers.

    Dims of `symbolic`, {input: axes}, have names.
    """

    def __init__(self, op, inputs, outputs=1, domain="com.microsoft", constant=(), symbolic={}, opset=23, **attributes):
        names = [f"i{i}" if a is not None else "" for i, a in enumerate(inputs)]
        given = [(i, names[i], a) for i, a in enumerate(inputs) if a is not None]
        results = [f"o{i}" for i in range(outputs)] if isinstance(outputs, int) else outputs
        node = helper.make_node(op, names, results, domain=domain, name="node", **attributes)
        infos = [helper.make_tensor_value_info(n, DTYPES[a.dtype], [f"d{a.shape[k]}" if k in symbolic.get(i, ()) else a.shape[k]
                                                                     for k in range(a.ndim)]) for i, n, a in given if i not in constant]
        graph = helper.make_graph([node], "case", infos,
                                  [helper.make_tensor_value_info(n, DTYPES[inputs[0].dtype], None) for n in results if n],
                                  [numpy_helper.from_array(a, n) for i, n, a in given if i in constant])
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        self.bytes = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
        self.feeds = {n: a for i, n, a in given if i not in constant}
        self.results = [n for n in results if n]
        self.sizes = {f"d{a.shape[k]}": a.shape[k] for i, _, a in given for k in symbolic.get(i, ())}

    def check(self, tolerance=2e-5):
        """Results beside onnxruntime's, and the kernels of the plan."""
        model = tenon.load(self.bytes)
        ours, theirs = model.run(self.feeds), onnxruntime.InferenceSession(self.bytes).run(self.results, self.feeds)
        for name, expected in zip(self.results, theirs):
            assert ours[name].dtype == expected.dtype
            np.testing.assert_allclose(ours[name], expected, rtol=tolerance, atol=tolerance)
        return [n.kernel for n in model.explain(self.sizes) if n.note != "computed while planning"]


# ------------------------------------------------------------------------------------------------------------------ activations, norms

@pytest.mark.parametrize("op,inputs,attributes", [
    ("Gelu", [floats(3, 5, 8)], {}),
    ("FastGelu", [floats(3, 5, 8)], {}),
    ("FastGelu", [floats(3, 5, 8), floats(8)], {}),
    ("BiasGelu", [floats(3, 5, 8), floats(8)], {}),
    ("QuickGelu", [floats(3, 5, 8)], {}),
    ("QuickGelu", [floats(3, 5, 8)], {"alpha": 0.7}),
])
def test_activations(op, inputs, attributes):
    Case(op, inputs, **attributes).check()


@pytest.mark.parametrize("skip", [(2, 5, 16), (1, 5, 16), (5, 16)])
@pytest.mark.parametrize("beta,bias", [(False, False), (True, False), (True, True)])
def test_skip_layer_normalization(skip, beta, bias):
    inputs = [floats(2, 5, 16), floats(*skip), floats(16), floats(16) if beta else None, floats(16) if bias else None]
    Case("SkipLayerNormalization", inputs, outputs=["y", "", "", "sum"], constant=(2, 3, 4), epsilon=1e-5).check()
    Case("SkipLayerNormalization", inputs).check()


@pytest.mark.parametrize("bias", [False, True])
def test_skip_simplified_layer_normalization(bias):
    inputs = [floats(2, 5, 16), floats(2, 5, 16), floats(16)] + ([floats(16)] if bias else [])
    Case("SkipSimplifiedLayerNormalization", inputs, outputs=["y", "", "", "sum"], constant=(2, 3), epsilon=1e-5).check()


def test_simplified_layer_normalization():
    Case("SimplifiedLayerNormalization", [floats(2, 5, 16), floats(16)], domain="", epsilon=1e-6).check()


@pytest.mark.parametrize("a,b,attributes", [
    ((3, 4, 5), (3, 5, 6), {"alpha": 0.5}),
    ((3, 5, 4), (3, 6, 5), {"transA": 1, "transB": 1}),
    ((3, 4, 5), (6, 5), {"transB": 1, "alpha": -2.0}),
])
def test_fused_matmul(a, b, attributes):
    Case("FusedMatMul", [floats(*a), floats(*b)], **attributes).check()


# ------------------------------------------------------------------------------------------------------------------ rotary embeddings

def angles(*dims):
    a = RNG.uniform(-3, 3, dims)
    return np.cos(a).astype(np.float32), np.sin(a).astype(np.float32)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("turned", [0, 8])
@pytest.mark.parametrize("flat", [False, True])
def test_rotary_embedding(interleaved, turned, flat):
    width = (turned or 12) // 2
    x = floats(2, 5, 3 * 12) if flat else floats(2, 3, 5, 12)
    positions = RNG.integers(0, 20, (2, 5))
    shared = dict(interleaved=interleaved, rotary_embedding_dim=turned, symbolic={0: (0, 1)} if flat else {0: (0, 2)})
    heads = {"num_heads": 3} if flat or turned else {}
    ours = [Case("RotaryEmbedding", [x, positions, *angles(20, width)], constant=(2, 3), **heads, **shared),
            Case("RotaryEmbedding", [x, np.array([7]), *angles(20, width)], constant=(2, 3), **heads, **shared),
            Case("RotaryEmbedding", [x, *angles(20, width), positions], constant=(1, 2), domain="", **heads, **shared),
            Case("RotaryEmbedding", [x, *angles(2, 5, width)], domain="", **heads, **shared)]
    for case in ours:
        assert case.check().count("Rotary") == 1


# ------------------------------------------------------------------------------------------------------------------ attention

def assert_one_step(kernels):
    assert sum(k.startswith("Attention") for k in kernels) == 1 and not any("Softmax" in k or "Gemm" in k for k in kernels), kernels


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("past", [0, 3])
@pytest.mark.parametrize("mask", [None, "bool", "float"])
@pytest.mark.parametrize("causal", [0, 1])
def test_attention(flat, kv_heads, past, mask, causal):
    rows, size, total = 5, 8, 5 + past

    def heads(n):
        return floats(2, rows, n * size) if flat else floats(2, n, rows, size)

    masks = {None: None, "bool": RNG.random((2, 1, rows, total)) < 0.7, "float": floats(rows, total)}
    inputs = [heads(4), heads(kv_heads), heads(kv_heads), masks[mask]]
    if mask == "bool":
        inputs[3][..., 0] = True  # a query that sees nothing is another test
    if past:
        inputs += [floats(2, kv_heads, past, size), floats(2, kv_heads, past, size)]
    attributes = dict(q_num_heads=4, kv_num_heads=kv_heads) if flat else {}
    symbolic = {4: (2,), 5: (2,), 3: () if inputs[3] is None else (inputs[3].ndim - 1,)} if past else {}  # the mask has a name of its own
    case = Case("Attention", inputs, outputs=3 if past else 1, domain="", symbolic=symbolic, is_causal=causal, scale=0.3, **attributes)
    assert_one_step(case.check())


def test_queries_that_see_no_key_give_zeros():
    mask = np.ones((3, 4), bool)
    mask[1] = False
    q, k, v = floats(1, 2, 3, 8), floats(1, 2, 4, 8), floats(1, 2, 4, 8)
    case = Case("Attention", [q, k, v, mask], domain="")
    y = tenon.load(case.bytes).run(case.feeds)["o0"]
    assert (y[:, :, 1] == 0).all() and (y[:, :, [0, 2]] != 0).any(axis=-1).all()


@pytest.mark.parametrize("past", [0, 3])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("mask", [None, "padding", "rows", "bias", "both"])
@pytest.mark.parametrize("causal", [0, 1])
def test_multi_head_attention(past, bias, mask, causal):
    rows, total = 5, 5 + past
    padding = np.ones((2, total), np.int32)
    padding[1, 2:4] = 0  # every query sees the first key
    if mask == "rows":
        padding = np.repeat(padding[:, None], rows, 1)
    inputs = [floats(2, rows, 32), floats(2, rows, 32), floats(2, rows, 32), floats(96) if bias else None,
              padding if mask in ("padding", "rows", "both") else None, floats(1, 4, rows, total) if mask in ("bias", "both") else None]
    if past:
        inputs += [floats(2, 4, past, 8), floats(2, 4, past, 8)]
    while inputs[-1] is None:
        inputs.pop()
    case = Case("MultiHeadAttention", inputs, outputs=3 if past else 1, num_heads=4, unidirectional=causal, constant=(3,))
    assert_one_step(case.check())


def test_keys_of_another_sequence_in_heads():
    inputs = [floats(2, 5, 32), floats(2, 4, 7, 8), floats(2, 4, 7, 8)]
    assert_one_step(Case("MultiHeadAttention", inputs, num_heads=4).check())


def grouped(past, new, buffer, lengths, **attributes):
    """Sequences of these lengths, of which `past` rows at most were there, in a cache of `buffer` rows, and `new` are added."""
    batch, total, cache = len(lengths), past + new, floats(2, len(lengths), 2, buffer, 16)
    inputs = [floats(batch, new, 64), floats(batch, new, 32), floats(batch, new, 32), cache[0], cache[1],
              np.array(lengths, np.int32) - 1, np.array(total, np.int32)]
    if attributes.get("do_rotary"):
        inputs += angles(40, 8)
    return Case("GroupQueryAttention", inputs, outputs=3, num_heads=4, kv_num_heads=2, constant=(7, 8), **attributes)


@pytest.mark.parametrize("past,new,buffer,lengths", [
    (0, 5, 0, [5, 5]), (4, 1, 4, [5, 5]), (6, 1, 6, [7, 7]), (4, 3, 4, [7]), (4, 1, 4, [3, 5])])
@pytest.mark.parametrize("attributes", [{}, {"do_rotary": 1}, {"do_rotary": 1, "rotary_interleaved": 1}, {"local_window_size": 3},
                                        {"softcap": 2.0, "scale": 0.2}])
def test_group_query_attention(past, new, buffer, lengths, attributes):
    case = grouped(past, new, buffer, lengths, **attributes)
    if lengths != [3, 5]:
        case.check()
        return
    # Rows past the end of a shorter sequence are nobody's.
    ours, theirs = tenon.load(case.bytes).run(case.feeds), onnxruntime.InferenceSession(case.bytes).run(case.results, case.feeds)
    np.testing.assert_allclose(ours["o0"], theirs[0], rtol=2e-5, atol=2e-5)
    for name, expected in zip(case.results[1:], theirs[1:]):
        for b, length in enumerate(lengths):
            np.testing.assert_allclose(ours[name][b, :, :length], expected[b, :, :length], rtol=2e-5, atol=2e-5)


def test_a_cache_with_room_for_more():
    """The same rows in a cache of their number and in a longer one."""
    exact, roomy = grouped(4, 1, 4, [5, 5], do_rotary=1), grouped(4, 1, 9, [5, 5], do_rotary=1)
    for name, array in exact.feeds.items():
        roomy.feeds[name] = array
    for name in ("i3", "i4"):
        roomy.feeds[name] = np.concatenate([exact.feeds[name], floats(2, 2, 5, 16)], axis=2)
    sines = onnx.load_from_string(exact.bytes).graph.initializer
    model = onnx.load_from_string(roomy.bytes)
    del model.graph.initializer[:]
    model.graph.initializer.extend(sines)
    want, got = tenon.load(exact.bytes).run(exact.feeds), tenon.load(model.SerializeToString()).run(roomy.feeds)
    np.testing.assert_array_equal(got["o0"], want["o0"])
    for name in ("o1", "o2"):
        assert got[name].shape == (2, 2, 9, 16)
        np.testing.assert_array_equal(got[name][:, :, :5], want[name])


@pytest.mark.parametrize("op,inputs,attributes,expected", [
    ("MultiHeadAttention", [floats(2, 5, 4, 3, 8)], {"num_heads": 4}, "input 1 (key) is left out"),
    ("MultiHeadAttention", [floats(2, 5, 30)] * 3, {"num_heads": 4}, "multiple of 4 (attribute 'num_heads')"),
    ("MultiHeadAttention", [floats(2, 5, 32)] * 3 + [None, np.ones(2, np.int32)], {"num_heads": 4}, "expected rank 2 or 3"),
    ("GroupQueryAttention", [floats(1, 1, 32), floats(1, 1, 16), floats(1, 1, 16), floats(1, 2, 4, 8), floats(1, 2, 4, 8),
                             np.array([4], np.int32), np.array(5, np.int32)], {"num_heads": 4, "kv_num_heads": 2, "smooth_softmax": 1},
     "'smooth_softmax' is 1, expected 0"),
    ("RotaryEmbedding", [floats(2, 3, 5, 8), np.zeros(5, np.int64), *angles(9, 4)], {}, "expected one position"),
    ("FusedMatMul", [floats(2, 3, 3), floats(2, 3, 3)], {"transBatchA": 1}, "'transBatchA' is 1, expected 0"),
    ("RotaryEmbedding", [floats(2, 3, 5, 8), np.zeros((2, 5), np.int64), *angles(9, 4)], {"scale": 2.0}, "'scale' is 2, expected 1"),
])
def test_errors_name_what_is_not_there(op, inputs, attributes, expected):
    with pytest.raises(tenon.Error) as error:
        tenon.load(Case(op, inputs, **attributes).bytes)
    for text in ("'node'", op, expected):
        assert text in str(error.value)


@pytest.mark.parametrize("inputs,attributes,expected", [
    ([floats(2, 5, 32)] * 3, {}, "'q_num_heads' is 0, expected a positive number"),
    ([floats(2, 5, 32), floats(2, 4, 5, 8), floats(2, 4, 5, 8)], {"q_num_heads": 4, "kv_num_heads": 4}, "expected rank 3"),
    ([floats(2, 3, 5, 8), floats(2, 2, 5, 8), floats(2, 2, 5, 8)], {}, "queries have 3 heads"),
    ([floats(2, 3, 5, 8)] * 3, {"qk_matmul_output_mode": 4}, "'qk_matmul_output_mode' is 4"),
    ([floats(2, 3, 5, 8)] * 3 + [None, floats(2, 3, 1, 8)], {}, "past_key and past_value"),
])
def test_errors_of_attention(inputs, attributes, expected):
    with pytest.raises(tenon.Error) as error:
        tenon.load(Case("Attention", inputs, domain="", **attributes).bytes)
    for text in ("'node'", "Attention", expected):
        assert text in str(error.value)
