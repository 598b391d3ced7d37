"""What the plans of the zoo's models do, beside what the architectures need: steps by operator, views and shape arithmetic left out."""
from collections import Counter

import pytest
import zoo

import tenon

pytestmark = pytest.mark.skipif(zoo.home() is None, reason="the model zoo is neither in $TENON_ZOO nor in ../shared/zoo")
NO_WORK = ("View", "InPlace")  # kernels of nodes that a plan has no step for


def transformer(layers, norm="LayerNormalization", products=4, **more):
    """Attention, two normalisations and some products a layer, residuals and activations within these; a normalisation before or after.

    Products: one for Q, K and V, of which attention reads windows, the one behind attention, two of the feed-forward part.
    """
    return Counter({norm: 2 * layers + 1}, Attention=layers, Product=products * layers) + Counter(more)


def bert(layers):
    """Words looked up and the other two embeddings added; the mask made of int64 flags."""
    return transformer(layers, Gather=1, Cast=1, Elementwise=2)


def convnet(convolutions, products, **more):
    """Normalisation, activation, residual and squeeze-and-excite factors are part of the convolutions."""
    return Counter(Conv=convolutions, Product=products) + Counter(more)


STEPS = {
    "bert_base": bert(12),
    "minilm_l6": bert(6),
    # The word embedding is the last product's weights too.
    "gpt2": transformer(12, GatherPacked=1, Add=1) + Counter(Product=1),
    # Two convolutions in blocked layout before the encoder.
    "whisper_tiny_encoder": transformer(4, Conv=2, Reorder=2, Transpose=1, Add=1),
    # Q and K turned by their positions and K and V joined to the cache in its layout, so by products of their own; three products with a
    # gate. The mask and the angles are known while planning.
    "llama_kv": transformer(6, norm="RMSNormalization", products=7, RotaryEmbedding=2 * 6, Concat=2 * 6, Transpose=6, Mul=6, Gather=1)
                + Counter(Product=1),
    "lstm_gru": Counter(LSTM=2, GRU=1, Product=1),
    "mlp_small": Counter(Product=3, Softmax=1),
    # Stem and head, and 17 blocks of which the first does not expand; the largest image, which the second expands to, is never whole.
    "mobilenet_v2": convnet(2 + 3 * 17 - 1 - 2, 1, ConvPair=1, GlobalAveragePool=1),
    # The same with 16 blocks, each with two more convolutions and a pool for squeeze-and-excite.
    "efficientnet_b0": convnet(2 + 5 * 16 - 1 - 2, 1, ConvPair=1, GlobalPool=16 + 1),
    # A stem, eight blocks of two, three shortcuts that change the shape.
    "resnet18": convnet(1 + 2 * 8 + 3, 1, MaxPool=1, GlobalAveragePool=1),
    # A stem, 16 blocks of three, four such shortcuts.
    "resnet50": convnet(1 + 3 * 16 + 4, 1, MaxPool=1, GlobalAveragePool=1),
    # What is concatenated is computed in its place; the mask leaves the blocked layout.
    "unet": convnet(11, 0, ConvTranspose=2, MaxPool=2, Reorder=1),
    "vgg16": convnet(13, 3, MaxPool=5, AveragePool=1, Reorder=1),
}


def steps(model, sizes):
    nodes = [n for n in model.explain(sizes) if n.kernel not in NO_WORK and n.note != "computed while planning"]
    return Counter("Product" if n.op in ("MatMul", "Gemm") else n.op for n in nodes)


@pytest.mark.parametrize("name", list(zoo.SIZES))
def test_steps(name):
    assert steps(tenon.load(zoo.path(name)), zoo.SIZES[name][0]) == STEPS[name]
