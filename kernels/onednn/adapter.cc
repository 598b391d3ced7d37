// The module libtenon_onednn.so: the only file that knows oneDNN, 2.6 or 3.x. oneDNN's OpenMP is held to the calling thread: parts come
// from the engine, and a primitive that ran with another number of threads than it was made for would be wrong.
#include <omp.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "kernels/onednn/abi.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace tenon::kernels::onednn {

namespace {

using dnnl::memory;
using Dims = memory::dims;
using Tag = memory::format_tag;

/// Regions that oneDNN opens in this scope have one thread; afterwards the host's own setting holds again.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

/// Argument slots in the order of Buffers.
constexpr int kArguments[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD};
constexpr size_t kSlots = std::size(kArguments);
using Descs = std::array<memory::desc, kSlots>;  ///< of size 0 where there is no such argument

/// Memory objects for one execution at a time. They hold no memory of their own.
struct Frame {
  explicit Frame(const Descs& descs) : stream(cpu()) {
    for (size_t i = 0; i < kSlots; ++i) {
      if (descs[i].get_size() == 0) continue;
      memories[i] = memory(descs[i], cpu(), DNNL_MEMORY_NONE);
      slots[count] = i;
      arguments[count++] = {kArguments[i], memories[i].get()};
    }
  }
  dnnl::stream stream;
  std::array<memory, kSlots> memories;
  std::array<size_t, kSlots> slots;
  std::array<dnnl_exec_arg_t, kSlots> arguments;
  int count = 0;
};

}  // namespace

struct Primitive {
  dnnl::primitive primitive;
  Descs descs;
  memory::desc plain_weights;
  std::string implementation;
  /// Idle frames: each execution takes one and puts it back, without a lock.
  mutable std::array<std::atomic<Frame*>, 16> frames{};

  ~Primitive() {
    for (auto& f : frames) delete f.load();
  }
  std::unique_ptr<Frame> take() const {
    for (auto& f : frames) {
      if (f.load(std::memory_order_relaxed) == nullptr) continue;
      if (Frame* found = f.exchange(nullptr, std::memory_order_acquire)) return std::unique_ptr<Frame>(found);
    }
    return std::make_unique<Frame>(descs);
  }
  void give(std::unique_ptr<Frame> frame) const {
    for (auto& f : frames) {
      Frame* empty = nullptr;
      if (f.compare_exchange_strong(empty, frame.get(), std::memory_order_release, std::memory_order_relaxed)) {
        (void)frame.release();  // the slot owns it now
        return;
      }
    }
  }
};

namespace {

/// Dims [first, second, those spatial dims that are not all of size 1].
Dims join(std::initializer_list<int64_t> front, const int64_t* spatial, int first) {
  Dims d(front);
  d.insert(d.end(), spatial + first, spatial + 3);
  return d;
}

template <class Desc>
Primitive* finish(const Desc& desc, memory::desc plain_weights, bool bias) {
  auto p = std::make_unique<Primitive>();
  p->primitive = dnnl::primitive(static_cast<const_dnnl_primitive_desc_t>(desc.get()));
  p->descs = {desc.src_desc(), desc.weights_desc(), bias ? desc.query_md(dnnl::query::exec_arg_md, DNNL_ARG_BIAS) : memory::desc(),
              desc.dst_desc(), desc.scratchpad_desc()};
  p->plain_weights = plain_weights;
  p->implementation = desc.impl_info_str();
  p->give(std::make_unique<Frame>(p->descs));
  return p.release();
}

/// Fewest spatial dims that the sizes need: oneDNN has more kernels for two than for three.
int first_spatial(const ConvSizes& s) { return s.in[0] == 1 && s.out[0] == 1 && s.kernel[0] == 1 && s.pad[0] == 0 ? 1 : 0; }

template <class Convolution>
Primitive* convolution_of(const ConvSizes& s, dnnl::algorithm algorithm) {
  const int first = first_spatial(s);
  const bool flat = first == 1;
  const auto f32 = memory::data_type::f32;
  const Tag blocked = s.block == 16 ? (flat ? Tag::nChw16c : Tag::nCdhw16c) : (flat ? Tag::nChw8c : Tag::nCdhw8c);
  const memory::desc src(join({1, s.channels}, s.in, first), f32, s.plain_input ? (flat ? Tag::nchw : Tag::ncdhw) : blocked);
  const memory::desc dst(join({1, s.filters}, s.out, first), f32, blocked);
  const memory::desc bias = s.bias ? memory::desc({s.filters}, f32, Tag::a) : memory::desc();
  const int64_t g = s.groups, rows = s.filters / g, columns = s.channels / g;
  const Dims shape = g > 1 ? join({g, rows, columns}, s.kernel, first) : join({rows, columns}, s.kernel, first);
  // The plain weights of a transposed convolution have channels ahead of filters: the same dims, in another order.
  const Tag plain = s.transposed ? (g > 1 ? (flat ? Tag::giohw : Tag::giodhw) : (flat ? Tag::iohw : Tag::iodhw))
                                 : (g > 1 ? (flat ? Tag::goihw : Tag::goidhw) : (flat ? Tag::oihw : Tag::oidhw));
  const memory::desc weights(shape, f32, Tag::any);
  Dims strides, dilations, before, after;
  for (int i = first; i < 3; ++i) {
    const int64_t window = (s.kernel[i] - 1) * s.dilation[i] + 1;
    const int64_t large = s.transposed ? s.out[i] : s.in[i], small = s.transposed ? s.in[i] : s.out[i];
    strides.push_back(s.stride[i]);
    dilations.push_back(s.dilation[i] - 1);
    before.push_back(s.pad[i]);
    after.push_back((small - 1) * s.stride[i] + window - large - s.pad[i]);
  }
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto kind = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
  const typename Convolution::primitive_desc desc(cpu(), kind, algorithm, src, weights, bias, dst, strides, dilations, before, after,
                                                  attributes);
#else
  const typename Convolution::primitive_desc desc(
      s.bias ? typename Convolution::desc(kind, algorithm, src, weights, bias, dst, strides, dilations, before, after)
             : typename Convolution::desc(kind, algorithm, src, weights, dst, strides, dilations, before, after),
      attributes, cpu());
#endif
  return finish(desc, memory::desc(shape, f32, plain), s.bias);
}

Primitive* matmul_of(const MatMulSizes& s) {
  const auto type = s.bfloat16 ? memory::data_type::bf16 : memory::data_type::f32;
  const memory::desc src({s.m, s.k}, type, Dims{s.src_step, 1}), weights({s.k, s.n}, type, Tag::any);
  const memory::desc dst({s.m, s.n}, type, Dims{s.dst_step, 1});
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc desc(cpu(), src, weights, dst, attributes);
#else
  const dnnl::matmul::primitive_desc desc(dnnl::matmul::desc(src, weights, dst), attributes, cpu());
#endif
  return finish(desc, memory::desc({s.k, s.n}, type, Dims{s.weights_k, s.weights_n}), false);
}

/// What oneDNN throws means that it has no such primitive; the engine then takes a kernel of its own.
template <class F>
auto quietly(F&& f) noexcept -> decltype(f()) {
  try {
    const OneThread one;
    return f();
  } catch (...) {
    return {};
  }
}

bool execute(const Primitive& p, const Buffers& b) {
  std::unique_ptr<Frame> frame = p.take();
  const void* const data[kSlots] = {b.src, b.weights, b.bias, b.dst, b.scratch};
  for (int i = 0; i < frame->count; ++i) {
    const size_t slot = frame->slots[static_cast<size_t>(i)];
    // oneDNN takes every pointer as one it may write to; it writes to the last two only.
    frame->memories[slot].set_data_handle(const_cast<void*>(data[slot]));
  }
  const bool done = dnnl_primitive_execute(p.primitive.get(), frame->stream.get(), frame->count, frame->arguments.data()) == dnnl_success;
  p.give(std::move(frame));
  return done;
}

bool pack(const Primitive& p, const void* plain, void* packed) {
  const memory from(p.plain_weights, cpu(), const_cast<void*>(plain)), to(p.descs[1], cpu(), packed);
  dnnl::stream stream(cpu());
  dnnl::reorder(from, to).execute(stream, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  stream.wait();
  return true;
}

}  // namespace

}  // namespace tenon::kernels::onednn

using namespace tenon::kernels::onednn;

extern "C" __attribute__((visibility("default"))) const Api* tenon_onednn_api(uint32_t version) {
  static const std::string library = [] {
    const dnnl_version_t* v = dnnl_version();
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
  }();
  static const Api api = {
      kAbiVersion,
      library.c_str(),
      [](const ConvSizes& s) {
        return quietly([&] {
          return s.transposed ? convolution_of<dnnl::deconvolution_forward>(s, dnnl::algorithm::deconvolution_direct)
                              : convolution_of<dnnl::convolution_forward>(s, dnnl::algorithm::convolution_direct);
        });
      },
      [](const MatMulSizes& s) { return quietly([&] { return matmul_of(s); }); },
      [](Primitive* p) { delete p; },
      [](const Primitive* p) { return p->implementation.c_str(); },
      [](const Primitive* p) { return p->descs[1].get_size(); },
      [](const Primitive* p) { return p->descs[4].get_size(); },
      [](const Primitive* p, const void* plain, void* packed) { return quietly([&] { return pack(*p, plain, packed); }); },
      [](const Primitive* p, const Buffers& b) { return quietly([&] { return execute(*p, b); }); },
  };
  return version == kAbiVersion ? &api : nullptr;
}
