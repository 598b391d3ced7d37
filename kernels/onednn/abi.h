// What the engine and its oneDNN module say to each other. Both are built from this header; kAbiVersion changes with it. Plain structs and
// C function pointers: nothing of oneDNN, no exception and no memory owned by the other side crosses.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenon::kernels::onednn {

inline constexpr uint32_t kAbiVersion = 2;
/// The one symbol of the module: `const Api* tenon_onednn_api(uint32_t version)`, null when it was built for another version.
inline constexpr const char* kEntry = "tenon_onednn_api";

/// A primitive of oneDNN for given sizes, with one thread. Immutable; executed by any number of threads at once.
struct Primitive;

/// float32 convolution of one image. Tensors are channel-blocked [C/block, D, H, W, block], without a part of a block; src is plain
/// [C, D, H, W] when `plain_input`. One filter a group and one channel a group is a depthwise convolution.
struct ConvSizes {
  int64_t groups, channels, filters;
  int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];  ///< depth, height, width; `pad` before
  int64_t block;                                                     ///< 8 or 16
  bool plain_input;
  bool bias;
  bool transposed;  ///< the sizes are those of a transposed convolution
};

/// dst[m, n] = src[m, k] * weights[k, n], all of float32 or all of bfloat16. No row of the engine's own: benchmarks measure beside it.
struct MatMulSizes {
  int64_t m, n, k;
  int64_t src_step, dst_step;    ///< elements between rows
  int64_t weights_k, weights_n;  ///< strides of the plain weights, in elements; one of them is 1
  bool bfloat16;
};

struct Buffers {
  const void* src;
  const void* weights;  ///< packed
  const void* bias;     ///< float32, null when there is none
  void* dst;
  void* scratch;  ///< scratch_bytes() many, this thread's own
};

struct Api {
  uint32_t version;
  const char* library;  ///< "oneDNN 2.6.3"
  /// Null when oneDNN has nothing for it (or no memory); `release` ends its life.
  Primitive* (*convolution)(const ConvSizes&);
  Primitive* (*matmul)(const MatMulSizes&);
  void (*release)(Primitive*);
  /// oneDNN's name of the implementation it picked, such as "jit_1x1:avx512_core"; lives as long as the primitive.
  const char* (*implementation)(const Primitive*);
  size_t (*weights_bytes)(const Primitive*);  ///< of the packed weights
  size_t (*scratch_bytes)(const Primitive*);
  /// plain: a convolution's [filters, channels/groups, kernel...] (transposed: [channels, filters/groups, kernel...]) or a product's
  /// weights. False when it fails.
  bool (*pack)(const Primitive*, const void* plain, void* packed);
  bool (*execute)(const Primitive*, const Buffers&);
};

}  // namespace tenon::kernels::onednn
