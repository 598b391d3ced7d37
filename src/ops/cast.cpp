#include "ops/cast.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/elementwise/cast.h"
#include "ops/elements.h"

namespace tenon::ops {

namespace {

bool castable(DType dtype) { return dtype != DType::kUndefined && !is_complex(dtype); }

bool equal_ignoring_case(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != lower[i]) return false;
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == '\n' || text.front() == '\r'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

bool parse(std::string_view text, double& value) {
  text = trimmed(text);
  double sign = 1;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    if (text[0] == '-') sign = -1;
    text.remove_prefix(1);
  }
  if (equal_ignoring_case(text, "inf") || equal_ignoring_case(text, "infinity")) {
    value = sign * std::numeric_limits<double>::infinity();
    return true;
  }
  if (equal_ignoring_case(text, "nan")) {
    value = std::numeric_limits<double>::quiet_NaN();
    return true;
  }
  if (text.empty() || text[0] == '-' || text[0] == '+') return false;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return false;
  if (code == std::errc::result_out_of_range) {
    // Too large or too small to represent: from_chars leaves the value alone. The exponent's sign tells which.
    const size_t e = text.find_first_of("eE");
    value = e != std::string_view::npos && e + 1 < text.size() && text[e + 1] == '-' ? 0 : std::numeric_limits<double>::infinity();
  } else if (code != std::errc()) {
    return false;
  }
  value *= sign;
  return true;
}

template <class T>
bool parse_integer(std::string_view text, T& value) {
  text = trimmed(text);
  if (text.size() > 1 && text[0] == '+') text.remove_prefix(1);
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size();
}

/// Strings to numbers: integers exactly where the text is one, everything else through float64.
Status from_strings(const Cast& op, const Tensor& x, Tensor& y) {
  kernels::CastParams p{DType::kFloat64, op.to, op.saturate, op.round, 1, 1};
  const size_t width = size_of(op.to);
  for (int64_t i = 0; i < x.count(); ++i) {
    const std::string_view text = x.as<StringRef>()[i].view();
    void* dst = y.as<std::byte>() + static_cast<size_t>(i) * width;
    int64_t whole = 0;
    uint64_t natural = 0;
    double real = 0;
    if (!is_any_float(op.to) && parse_integer(text, whole)) {
      p.from = DType::kInt64;
      kernels::cast_elements(p, &whole, dst, 1);
    } else if (!is_any_float(op.to) && parse_integer(text, natural)) {
      p.from = DType::kUint64;
      kernels::cast_elements(p, &natural, dst, 1);
    } else if (parse(text, real)) {
      p.from = DType::kFloat64;
      kernels::cast_elements(p, &real, dst, 1);
    } else {
      return run_error("input 0: element ", i, " is the string '", text.substr(0, 64), "', expected a number to cast to ", name_of(op.to));
    }
  }
  return {};
}

size_t print(DType dtype, const Tensor& x, int64_t i, char* out, size_t size) {
  kernels::CastParams p{dtype, DType::kInt64, true, Float8E8M0::Round::kUp, 1, 1};
  const void* src = x.as<std::byte>() + static_cast<size_t>(i) * size_of(dtype);
  if (is_any_float(dtype)) {
    double value = 0;
    p.to = DType::kFloat64;
    kernels::cast_elements(p, src, &value, 1);
    const std::string_view word = std::isnan(value) ? "NaN" : std::isinf(value) ? (value > 0 ? "INF" : "-INF") : "";
    if (!word.empty()) return word.copy(out, size);
    // The shortest text that reads back as the same float of the type (of float32 for the narrower ones).
    if (dtype == DType::kFloat64) return static_cast<size_t>(std::to_chars(out, out + size, value).ptr - out);
    return static_cast<size_t>(std::to_chars(out, out + size, static_cast<float>(value)).ptr - out);
  }
  if (dtype == DType::kBool) return std::string_view(*static_cast<const bool*>(src) ? "True" : "False").copy(out, size);
  if (dtype == DType::kUint64) return static_cast<size_t>(std::to_chars(out, out + size, *static_cast<const uint64_t*>(src)).ptr - out);
  int64_t value = 0;
  kernels::cast_elements(p, src, &value, 1);
  return static_cast<size_t>(std::to_chars(out, out + size, value).ptr - out);
}

Status to_strings(ExecContext& ctx, const Tensor& x, Tensor& y) {
  char text[64];
  for (int64_t i = 0; i < x.count(); ++i) {
    const size_t size = print(x.dtype(), x, i, text, sizeof(text));
    char* bytes = ctx.string_bytes(size);
    if (!bytes) return error(Code::kNoMem, "out of memory for the strings of a Cast");
    std::memcpy(bytes, text, size);
    y.as<StringRef>()[i] = {bytes, size};
  }
  return {};
}

}  // namespace

Result<Types> infer(const Cast& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  if (!castable(in[0].dtype)) return input_error(0, "has dtype ", name_of(in[0].dtype), ", which Cast does not take");
  if (!castable(op.to)) return shape_error("attribute 'to' is ", name_of(op.to), ", which Cast does not give");
  Type out = Type::of(op.to, in[0].shape);
  out.layout = in[0].layout;
  return Types{std::move(out)};
}

Result<Step> bind(const Cast& op, const BindContext& ctx) {
  const DType from = ctx.dtype(0);
  if (from == op.to) {
    Step view;
    view.kernel = "View";
    view.views.push_back({0, 0, 0});
    return view;
  }
  if (from == DType::kString || op.to == DType::kString) {
    Step step;
    step.kernel = "CastStrings";
    step.dynamic = [op](ExecContext& run) -> Status {
      const Tensor& x = *run.input(0);
      TENON_ASSIGN(Tensor y, run.allocate(op.to, x.dims()));
      TENON_TRY(op.to == DType::kString ? to_strings(run, x, y) : from_strings(op, x, y));
      run.set_output(0, std::move(y));
      return {};
    };
    return step;
  }
  kernels::CastParams p{from, op.to, op.saturate, op.round, 0, 0};
  p.count = physical_count(ctx.dims(0), ctx.layout(0));
  const Cut c = cut(p.count, 0.5, 64);
  p.chunk = c.chunk;
  return ctx.choose(kernels::cast, p, c.parts, c.nanoseconds);
}

}  // namespace tenon::ops
