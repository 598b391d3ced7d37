// What this build is and supports.
#include <algorithm>
#include <mutex>

#include "base/parallel.h"
#include "capi/guard.h"
#include "importers/onnx/convert.h"
#include "importers/onnx/load.h"
#include "kernels/dispatch.h"
#include "kernels/onednn/onednn.h"

using namespace tenon;
using namespace tenon::capi;

#define TENON_TEXT_(x) #x
#define TENON_TEXT(x) TENON_TEXT_(x)

namespace {

constexpr const char* kVersion = TENON_TEXT(TENON_VERSION_MAJOR) "." TENON_TEXT(TENON_VERSION_MINOR) "." TENON_TEXT(TENON_VERSION_PATCH);
constexpr int32_t kOldestIr = 3;
constexpr int32_t kOldestOpset = 7;

constexpr const char* kCompiler =
#if defined(__clang__)
    "clang " TENON_TEXT(__clang_major__) "." TENON_TEXT(__clang_minor__) "." TENON_TEXT(__clang_patchlevel__)
#elif defined(__GNUC__)
    "gcc " TENON_TEXT(__GNUC__) "." TENON_TEXT(__GNUC_MINOR__) "." TENON_TEXT(__GNUC_PATCHLEVEL__)
#else
    "unknown compiler"
#endif
#if defined(NDEBUG)
        ", release";
#else
        ", debug";
#endif

const std::string& cpu_targets() {
  static const std::string text = [] {
    int64_t targets[8];
    std::string all;
    for (int i = 0, n = kernels::supported_targets(targets); i < n; ++i) all += (i ? " " : "") + std::string(hwy::TargetName(targets[i]));
    return all;
  }();
  return text;
}

/// All operators by domain and name.
const std::vector<const onnx::Operator*>& operators() {
  static const std::vector<const onnx::Operator*> sorted = [] {
    auto all = onnx::all_operators();
    std::sort(all.begin(), all.end(), [](const onnx::Operator* a, const onnx::Operator* b) {
      const int domain = std::string_view(a->domain).compare(b->domain);
      return domain != 0 ? domain < 0 : std::string_view(a->name) < b->name;
    });
    return all;
  }();
  return sorted;
}

}  // namespace

uint32_t tenon_version(void) { return TENON_VERSION_MAJOR << 16 | TENON_VERSION_MINOR << 8 | TENON_VERSION_PATCH; }
tenon_string tenon_version_string(void) { return tenon_str(kVersion); }

tenon_status tenon_get_build_info(tenon_build_info* info, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(info);
    return fill(info,
                tenon_build_info{0, tenon_str(kVersion), tenon_str(kCompiler), c_string(cpu_targets()), available_cpus(), kOldestIr,
                                 static_cast<int32_t>(onnx::kNewestIrVersion), kOldestOpset, static_cast<int32_t>(onnx::kNewestOpset),
                                 openmp_threads() != nullptr, c_string(kernels::onednn::description())},
                "tenon_get_build_info");
  });
}

size_t tenon_operator_count(void) {
  size_t count = 0;
  guard(nullptr, [&]() -> Status {
    count = operators().size();
    return {};
  });
  return count;
}

tenon_status tenon_get_operator(size_t index, tenon_operator_info* info, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(info);
    const auto& all = operators();
    if (index >= all.size()) return tenon::error(Code::kArgument, "tenon_get_operator: index ", index, " of ", all.size());
    const onnx::Operator& o = *all[index];
    // Other domains than ONNX's own have had one version so far.
    const int64_t newest = *o.domain ? std::max<int64_t>(1, o.since) : onnx::kNewestOpset;
    return fill(info,
                tenon_operator_info{0, tenon_str(o.domain), tenon_str(o.name), o.since, newest, o.min_inputs, o.max_inputs, o.max_outputs},
                "tenon_get_operator");
  });
}
