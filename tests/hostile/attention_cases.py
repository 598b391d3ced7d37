"""Cases of attention and rotary embeddings, ONNX's and onnxruntime's: heads, caches and options that do not go together."""
from cases import *

MS = "com.microsoft"
Q4, K4, FLAT, CACHE = (2, 4, 3, 8), (2, 2, 3, 8), (2, 3, 32), (2, 2, 5, 8)


def attention(inputs=(Q4, K4, K4), **attrs):
    return op("Attention", list(inputs), attrs, opset=24)


def rotary(x=Q4, angles=(2, 3, 4), **attrs):
    return op("RotaryEmbedding", [x, angles, angles], attrs, opset=23)


def multi_head(inputs=(FLAT, FLAT, FLAT), **attrs):
    return op("MultiHeadAttention", list(inputs), {k: v for k, v in (dict(num_heads=4) | attrs).items() if v is not None}, MS, [MS])


def grouped(q=FLAT, kv=(2, 3, 16), past=CACHE, angles=(), **attrs):
    inputs = [q, kv, kv, past, past, np.array([2, 2], np.int32), np.array([3], np.int32), *angles]
    return op("GroupQueryAttention", inputs, dict(num_heads=4, kv_num_heads=2) | attrs, MS, [MS])


case("AT01", "Attention of grouped heads (legal)", attention(), "accept")
case("AT02", "Attention of rank 3 without its heads", attention([FLAT] * 3), "shape", "bad_node", "q_num_heads", "0")
case("AT03", "Attention of 32 elements in 5 heads", attention([FLAT] * 3, q_num_heads=5, kv_num_heads=4), "shape", "bad_node", "32", "5")
case("AT04", "Attention of INT64_MIN heads", attention([FLAT] * 3, q_num_heads=MIN, kv_num_heads=4), "shape", "bad_node", "q_num_heads", str(MIN))
case("AT05", "Attention of 2^62 heads", attention([FLAT] * 3, q_num_heads=2**62, kv_num_heads=4), "shape", "bad_node", str(2**62))
case("AT06", "Attention of 4 heads over 3", attention([Q4, (2, 3, 3, 8), (2, 3, 3, 8)]), "shape", "bad_node", "4 heads", "3")
case("AT07", "Attention of ranks that differ", attention([Q4, FLAT, FLAT]), "shape", "bad_node", "rank 4")
case("AT08", "Attention of rank 2", attention([(2, 8)] * 3), "shape", "bad_node", "rank 3 or 4")
case("AT09", "Attention with past keys alone", attention([Q4, K4, K4, None, CACHE]), "load", "bad_node", "past_key and past_value")
case("AT10", "Attention after a past and of padded lengths", attention([Q4, K4, K4, None, CACHE, CACHE, i64(3, 3)]), "load", "bad_node", "nonpad_kv_seqlen")
case("AT11", "Attention with output mode 9", attention(qk_matmul_output_mode=9), "load", "bad_node", "qk_matmul_output_mode", "9")
case("AT12", "Attention with a softmax of integers", attention(softmax_precision=7), "load", "bad_node", "softmax_precision", "7")
case("AT13", "Attention with a softmax of type 2^40", attention(softmax_precision=2**40), "load", "bad_node", "softmax_precision", str(2**40))
case("AT14", "Attention with windows of INT64_MAX (legal)", attention(left_window_size=MAX, right_window_size=MAX), "accept")
case("AT15", "Attention with a mask that does not broadcast", attention([Q4, K4, K4, (5, 7)]), "shape", "bad_node", "7")
case("AT16", "RotaryEmbedding (legal)", rotary(), "accept")
case("AT17", "RotaryEmbedding of 3 elements a head", rotary(rotary_embedding_dim=3), "shape", "bad_node", "rotary_dim", "3")
case("AT18", "RotaryEmbedding of 2^62 elements a head", rotary(rotary_embedding_dim=2**62), "shape", "bad_node", "rotary_dim", str(2**62))
case("AT19", "RotaryEmbedding of rank 3 without its heads", rotary(FLAT), "shape", "bad_node", "num_heads", "0")
case("AT20", "RotaryEmbedding by angles of another size", rotary(angles=(2, 3, 7)), "shape", "bad_node", "7")
case("AT21", "MultiHeadAttention (legal)", multi_head(), "accept")
case("AT22", "MultiHeadAttention without heads", multi_head(num_heads=None), "load", "bad_node", "num_heads", "missing")
case("AT23", "MultiHeadAttention of -1 heads", multi_head(num_heads=-1), "shape", "bad_node", "num_heads", "-1")
case("AT24", "MultiHeadAttention of queries alone", multi_head([FLAT]), "load", "bad_node", "key", "left out")
case("AT25", "MultiHeadAttention with a bias too short", multi_head([FLAT, FLAT, FLAT, (40,)]), "shape", "bad_node", "32")
case("AT26", "GroupQueryAttention (legal)", grouped(), "accept")
case("AT27", "GroupQueryAttention of a quantised cache", grouped(k_quant_type="PER_TENSOR"), "load", "bad_node", "k_quant_type", "PER_TENSOR")
case("AT28", "GroupQueryAttention turned by no angles", grouped(do_rotary=1), "load", "bad_node", "cos_cache", "left out")
case("AT29", "GroupQueryAttention of a cache of rank 3", grouped(past=(2, 5, 16)), "shape", "bad_node", "rank 4")
case("AT30", "FusedMatMul of transposed batches", op("FusedMatMul", [(2, 3), (3, 4)], dict(transBatchA=1), MS, [MS]), "load", "bad_node", "transBatchA", "1")
