// A part of a convolution in which every block of filters reads channels of its own. Included once per Highway target.
#if defined(TENON_KERNELS_CONV_PART_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TENON_KERNELS_CONV_PART_INL_H_
#undef TENON_KERNELS_CONV_PART_INL_H_
#else
#define TENON_KERNELS_CONV_PART_INL_H_
#endif

#include "kernels/conv/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

/// Output rows [row_begin, row_end) of one block of filters.
struct Part {
  int64_t image, block, row_begin, row_end;
  int64_t in_plane, out_plane;
  float* dst;             ///< the block's plane
  const float* residual;  ///< likewise
  alignas(64) float bias[kBlock];

  Part(const ConvParams& p, const Call& call, int64_t part) {
    const int64_t blocks = (p.filters + kBlock - 1) / kBlock;
    const Place place = PlaceOf(p, part, blocks);
    row_begin = place.rows * p.rows;
    row_end = row_begin + p.rows < p.out_rows() ? row_begin + p.rows : p.out_rows();
    block = place.tile;
    image = place.image;
    in_plane = p.in[0] * p.in[1] * p.in[2] * kBlock;
    out_plane = p.out[0] * p.out[1] * p.out[2] * kBlock;
    const int64_t offset = (image * blocks + block) * out_plane;
    dst = Result0(call, p.shared_output) + offset;
    residual = p.epilogue.residual ? Operand(call, 3, p.epilogue.shared_residual) + offset : nullptr;
    CopyBias(p.epilogue.bias ? Operand(call, 2, p.epilogue.shared_bias) : nullptr, block * kBlock, kBlock, p.filters, bias);
  }
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#endif
