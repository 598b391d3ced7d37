// Finding and opening the module, and cutting operators into primitives.
#include "kernels/onednn/onednn.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "kernels/dispatch.h"

namespace tenon::kernels::onednn {

namespace {

struct Module {
  const Api* api = nullptr;
  std::string text;
};

constexpr const char* kFile = "libtenon_onednn.so";

/// The folder of the library or program that holds this function, with a slash at its end; "" when it is not known.
std::string own_folder() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr) return {};
  const std::string file = info.dli_fname;
  const size_t slash = file.rfind('/');
  return slash == std::string::npos ? std::string() : file.substr(0, slash + 1);
}

Module open_module() {
  // Never closed: threads may be inside, and oneDNN does not like to be unloaded.
  constexpr int kMode = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
  void* handle = nullptr;
  if (const char* named = secure_getenv("TENON_ONEDNN")) {
    handle = dlopen(named, kMode);
  } else {
    if (const std::string folder = own_folder(); !folder.empty()) handle = dlopen((folder + kFile).c_str(), kMode);
    if (handle == nullptr) handle = dlopen(kFile, kMode);
  }
  if (handle == nullptr) {
    const char* why = dlerror();
    return {nullptr, why != nullptr ? why : "not found"};
  }
  using Entry = const Api* (*)(uint32_t);
  const auto entry = reinterpret_cast<Entry>(dlsym(handle, kEntry));
  const Api* api = entry != nullptr ? entry(kAbiVersion) : nullptr;
  if (api == nullptr) return {nullptr, "the module was built for another version of the engine"};
  return {api, api->library};
}

const Module& opened() {
  static const Module module = open_module();
  return module;
}

/// The part of oneDNN's names that tells the kernels of the instruction set in use; null where none has been measured. What bears another
/// name (references, plain matrix products, another instruction set than the one asked for) is not taken.
const char* instruction_set_name() {
  switch (float_lanes()) {
    case 16: return "avx512_core";
    case 8: return "avx2";
    default: return nullptr;
  }
}

int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

}  // namespace

const Api* module() { return opened().api; }
const std::string& description() { return opened().text; }

Slices::~Slices() {
  for (Primitive* p : primitives_) {
    if (p != nullptr) module()->release(p);
  }
}

size_t Slices::weights_at(int64_t i) const {
  const int64_t large = i * units_ / count_ - i * (units_ / count_);
  return static_cast<size_t>(large) * weights_[1] + static_cast<size_t>(i - large) * weights_[0];
}

bool Slices::pack(const void* plain, int64_t step, void* packed, Range range) const {
  for (int64_t i = range.begin; i < range.end; ++i) {
    const auto* from = static_cast<const std::byte*>(plain) + begin(i) * step;
    if (!module()->pack(primitive(i), from, static_cast<std::byte*>(packed) + weights_at(i))) return false;
  }
  return true;
}

bool Slices::execute(int64_t i, Buffers buffers) const {
  buffers.weights = static_cast<const std::byte*>(buffers.weights) + weights_at(i);
  return module()->execute(primitive(i), buffers);
}

/// `channels` in units of `unit` as `count` slices; create(channels) gives the primitive of one.
template <class Create>
std::shared_ptr<const Slices> cut(int64_t channels, int64_t unit, int64_t count, const char* set, Create&& create) {
  const Api* api = module();
  if (api == nullptr || set == nullptr || channels <= 0 || channels % unit != 0) return nullptr;
  const int64_t units = channels / unit;
  count = std::clamp<int64_t>(count, 1, units);
  std::shared_ptr<Slices> s(new Slices(units, unit, count));
  for (int64_t i = 0; i < (units % count == 0 ? 1 : 2); ++i) {
    s->primitives_[i] = create((units / count + i) * unit);
    if (s->primitives_[i] == nullptr || std::string_view(api->implementation(s->primitives_[i])).find(set) == std::string_view::npos)
      return nullptr;
    s->weights_[i] = static_cast<size_t>(round_up(static_cast<int64_t>(api->weights_bytes(s->primitives_[i])), 64));
    s->scratch_ = std::max(s->scratch_, static_cast<size_t>(round_up(static_cast<int64_t>(api->scratch_bytes(s->primitives_[i])), 64)));
  }
  return s;
}

std::shared_ptr<const Slices> convolution(const ConvParams& p) {
  const int64_t block = channel_block();
  const bool depthwise = p.channels == p.groups && p.filters == p.groups && p.groups > 1;
  const bool plain = p.format == ConvFormat::kOneDnnPlainInput;
  if (!depthwise && (p.filters / p.groups % block != 0 || (!plain && p.channels / p.groups % block != 0))) return nullptr;
  if (plain && p.groups != 1) return nullptr;
  if (p.out_rows() * p.out[2] == 0 || p.in[0] * p.in[1] * p.in[2] == 0) return nullptr;
  ConvSizes s{};
  s.block = block, s.bias = p.epilogue.bias, s.plain_input = plain;
  for (int i = 0; i < 3; ++i) {
    s.in[i] = p.in[i], s.out[i] = p.out[i], s.kernel[i] = p.kernel[i], s.stride[i] = p.stride[i], s.dilation[i] = p.dilation[i],
    s.pad[i] = p.pad[i];
  }
  // A slice has some tens of microseconds of work, and of filters as many as oneDNN holds in registers at once.
  const int64_t group_filters = p.filters / p.groups, group_channels = p.channels / p.groups;
  int64_t unit = depthwise ? block : p.groups > 1 ? group_filters : group_filters % (4 * block) == 0 ? 4 * block : block;
  const double pixels = static_cast<double>(p.out[0]) * static_cast<double>(p.out[1]) * static_cast<double>(p.out[2]);
  const double work = pixels * static_cast<double>(p.filters) * static_cast<double>(group_channels) * static_cast<double>(p.taps());
  const double count = std::clamp(work / (depthwise ? 0.5e6 : 4e6), 1.0, 64.0);
  return cut(p.filters, unit, static_cast<int64_t>(count), instruction_set_name(), [&](int64_t filters) {
    s.filters = filters;
    s.groups = p.groups > 1 ? filters / group_filters : 1;
    s.channels = s.groups * group_channels;
    return module()->convolution(s);
  });
}

}  // namespace tenon::kernels::onednn
