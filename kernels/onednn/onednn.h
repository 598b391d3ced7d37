// oneDNN as a second provider of kernels. It lives in a module of its own, libtenon_onednn.so, which is opened when a shape first comes up
// that it is the better one for (choice.h); without the module the engine's own kernels do everything.
#pragma once

#include <memory>
#include <string>

#include "kernels/conv/conv.h"
#include "kernels/onednn/abi.h"

namespace tenon::kernels::onednn {

/// The module, opened on first use: the file that the environment variable TENON_ONEDNN names, or libtenon_onednn.so beside the library
/// or program that holds the engine, or where the system looks for libraries. Null when there is none; stays so for the process.
/// Thread-safe.
const Api* module();
/// What module() found: "oneDNN 2.6.3", or why there is none. Opens the module. Thread-safe.
const std::string& description();

/// One operator as primitives of oneDNN, cut into slices of its output channels or columns: slice i has [begin(i), begin(i + 1)).
/// How many slices depends on the sizes alone. Packed weights are those of the slices one after the other. Immutable.
class Slices {
 public:
  ~Slices();
  Slices(const Slices&) = delete;
  Slices& operator=(const Slices&) = delete;

  int64_t count() const { return count_; }
  int64_t begin(int64_t i) const { return i * units_ / count_ * unit_; }
  size_t weights_bytes() const { return weights_at(count_); }
  size_t scratch_bytes() const { return scratch_; }  ///< of a thread; a multiple of 64
  int64_t largest() const { return (units_ + count_ - 1) / count_ * unit_; }
  /// Packs slices [range.begin, range.end). `plain`: as Api::pack has it, of the whole operator; `step`: bytes of it a channel or column.
  bool pack(const void* plain, int64_t step, void* packed, Range range) const;
  /// Slice i. `buffers.weights` are those of the whole operator, the rest is the slice's own.
  bool execute(int64_t i, Buffers buffers) const;

 private:
  template <class Create>
  friend std::shared_ptr<const Slices> cut(int64_t channels, int64_t unit, int64_t count, const char* set, Create&& create);
  Slices(int64_t units, int64_t unit, int64_t count) : units_(units), unit_(unit), count_(count) {}
  int64_t units(int64_t i) const { return (i + 1) * units_ / count_ - i * units_ / count_; }
  /// Slices have as many units as primitives_[0] or one more.
  const Primitive* primitive(int64_t i) const { return primitives_[units(i) > units_ / count_ ? 1 : 0]; }
  size_t weights_at(int64_t i) const;

  int64_t units_, unit_, count_;
  Primitive* primitives_[2] = {nullptr, nullptr};
  size_t weights_[2] = {0, 0}, scratch_ = 0;
};

/// The primitives of a blocked convolution (p.format need not be set yet), null when the module is not there or has no kernel of the
/// instruction set in use for it, or for channels that leave a part of a block. Weights with groups are cut at whole groups.
std::shared_ptr<const Slices> convolution(const ConvParams& p);

}  // namespace tenon::kernels::onednn
