// Error objects, and the last line of defence.
#include <cstdlib>

#include "capi/guard.h"

namespace tenon::capi {

namespace {
/// Stands in when there is no memory for an error object.
tenon_error& no_memory() {
  static tenon_error shared{{Code::kNoMem, "out of memory", {}, {}, {}, 0, {}, {}}, "out of memory"};
  return shared;
}
// Made while there is memory.
[[maybe_unused]] const tenon_error& made_early = no_memory();
}  // namespace

tenon_status out_of_memory(tenon_error** error) noexcept {
  if (error) *error = &no_memory();
  return TENON_NOMEM;
}

tenon_status finish(const Status& status, tenon_error** error) noexcept {
  if (!error) return static_cast<tenon_status>(status.code());
  *error = nullptr;
  if (status.ok()) return TENON_OK;
  try {
    *error = new tenon_error{*status.info(), status.message()};
    return static_cast<tenon_status>(status.code());
  } catch (...) {
    return out_of_memory(error);
  }
}

tenon_status from_exception(tenon_error** error) noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return out_of_memory(error);
  } catch (const std::exception& e) {
    try {
      return finish(tenon::error(Code::kInternal, "unexpected exception: ", e.what()), error);
    } catch (...) {
      return out_of_memory(error);
    }
  } catch (...) {
    try {
      return finish(tenon::error(Code::kInternal, "unexpected exception"), error);
    } catch (...) {
      return out_of_memory(error);
    }
  }
}

Status give_text(std::string_view text, tenon_string* out) {
  char* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (!copy) return error(Code::kNoMem, "no memory for a text of ", text.size(), " bytes");
  if (!text.empty()) std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  *out = {copy, text.size()};
  return {};
}

}  // namespace tenon::capi

using namespace tenon::capi;

tenon_status tenon_error_code(const tenon_error* error) { return error ? static_cast<tenon_status>(error->info.code) : TENON_OK; }

tenon_string tenon_error_message(const tenon_error* error) { return error ? c_string(error->message) : tenon_string{}; }

tenon_status tenon_error_get_info(const tenon_error* error, tenon_error_info* info) {
  if (!error || !info) return TENON_ARGUMENT;
  const tenon::ErrorInfo& e = error->info;
  return guard(nullptr, [&] {
    return fill(info,
                tenon_error_info{0, static_cast<tenon_status>(e.code), c_string(error->message), c_string(e.text), c_string(e.node),
                                 c_string(e.op), c_string(e.domain), c_string(e.tensor), c_string(e.source), e.opset},
                "tenon_error_get_info");
  });
}

void tenon_error_free(tenon_error* error) {
  if (error != &no_memory()) delete error;
}

void tenon_string_free(tenon_string* text) {
  if (!text) return;
  std::free(const_cast<char*>(text->data));
  *text = {};
}

tenon_string tenon_status_name(tenon_status status) {
  static constexpr const char* kNames[] = {"ok", "argument", "load", "shape", "run", "limit", "cancelled", "nomem", "io", "internal"};
  const auto i = static_cast<unsigned>(status);
  return tenon_str(i < std::size(kNames) ? kNames[i] : "unknown");
}
