// What every function of tenon.h goes through: statuses become error objects, exceptions become statuses, structs are filled up to the
// size the caller knows.
#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "base/status.h"
#include "tenon/tenon.h"

struct tenon_error {
  tenon::ErrorInfo info;
  std::string message;
};

namespace tenon::capi {

inline tenon_string c_string(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view view(tenon_string s) { return s.data ? std::string_view(s.data, s.size) : std::string_view(); }

inline Status argument_error(const char* function, std::string_view what) { return error(Code::kArgument, function, ": ", what); }

/// Writes the outcome of a call: *error becomes NULL or an error object. When there is no memory for one, a shared object that
/// tenon_error_free() leaves alone.
tenon_status finish(const Status& status, tenon_error** error) noexcept;
tenon_status out_of_memory(tenon_error** error) noexcept;
tenon_status from_exception(tenon_error** error) noexcept;  ///< to be called in a catch block

/// Runs `body` (returning Status) and lets no exception out.
template <class Body>
tenon_status guard(tenon_error** error, Body&& body) noexcept {
  try {
    const Status status = body();
    if (status.ok()) [[likely]] {
      if (error) *error = nullptr;
      return TENON_OK;
    }
    return finish(status, error);
  } catch (...) {
    return from_exception(error);
  }
}

/// Copies as much of `full` as the caller's struct has room for. `size` of *out stays as it was.
template <class T>
Status fill(T* out, T full, const char* function) {
  if (out->size < sizeof(size_t) || out->size > 4096) return argument_error(function, "the struct's size field is not set");
  full.size = out->size;
  std::memcpy(out, &full, std::min(sizeof(T), out->size));
  return {};
}

/// The caller's options with everything it does not know zero; all zero for NULL.
template <class T>
Result<T> read_options(const T* options, const char* function) {
  T full{};
  if (options) {
    if (options->size < sizeof(size_t) || options->size > 4096) return argument_error(function, "options->size is not set");
    std::memcpy(&full, options, std::min(sizeof(T), options->size));
  }
  full.size = sizeof(T);
  return full;
}

/// Allocates text for the caller: freed by tenon_string_free().
Status give_text(std::string_view text, tenon_string* out);

}  // namespace tenon::capi

/// Returns an argument error unless the pointer is set.
#define TENON_REQUIRE(pointer)                                                                          \
  do {                                                                                                  \
    if (!(pointer)) return ::tenon::error(::tenon::Code::kArgument, "argument '" #pointer "' is NULL"); \
  } while (false)
