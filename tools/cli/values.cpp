#include "values.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tenon::cli {
namespace {

float from_half(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int mantissa = bits & 1023;
  const float sign = bits & 0x8000 ? -1.0F : 1.0F;
  if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
  return sign * (exponent ? std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25) : std::ldexp(static_cast<float>(mantissa), -24));
}

/// Rounds half to even.
uint16_t to_half(double value) {
  const int sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(value);
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7E00);
  if (size >= 65520) return static_cast<uint16_t>(sign | 0x7C00);
  const int exponent = std::max(std::ilogb(size), -14);
  // In units of the last place; 2048 of them carry into the exponent.
  const auto units = static_cast<int>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  return static_cast<uint16_t>(sign | ((exponent + 14) * 1024 + units));
}

float from_bfloat(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

template <class T>
T at(const Tensor& t, size_t i) {
  T value;
  std::memcpy(&value, static_cast<const char*>(t.data()) + i * sizeof(T), sizeof(T));
  return value;
}

template <class T>
void put(const Tensor& t, size_t i, T value) {
  std::memcpy(static_cast<char*>(t.data()) + i * sizeof(T), &value, sizeof(T));
}

}  // namespace

void set_element(const Tensor& t, size_t i, double d, int64_t n) {
  switch (t.dtype()) {
    case DType::kFloat32: return put(t, i, static_cast<float>(d));
    case DType::kFloat64: return put(t, i, d);
    case DType::kFloat16: return put(t, i, to_half(d));
    case DType::kBFloat16: {
      const auto value = static_cast<float>(d);
      uint32_t wide;
      std::memcpy(&wide, &value, 4);
      return put(t, i, static_cast<uint16_t>((wide + 0x7FFF + (wide >> 16 & 1)) >> 16));
    }
    case DType::kInt16: return put(t, i, static_cast<int16_t>(n));
    case DType::kUint16: return put(t, i, static_cast<uint16_t>(n));
    case DType::kInt32: return put(t, i, static_cast<int32_t>(n));
    case DType::kUint32: return put(t, i, static_cast<uint32_t>(n));
    case DType::kInt64:
    case DType::kUint64: return put(t, i, n);
    case DType::kBool: return put(t, i, static_cast<uint8_t>(n != 0));
    case DType::kComplex64: put(t, 2 * i, static_cast<float>(d)); return put(t, 2 * i + 1, 0.0F);
    case DType::kComplex128: put(t, 2 * i, d); return put(t, 2 * i + 1, 0.0);
    default: return put(t, i, static_cast<uint8_t>(n));
  }
}

double element(const Tensor& t, size_t i) {
  switch (t.dtype()) {
    case DType::kFloat32: return static_cast<double>(at<float>(t, i));
    case DType::kFloat64: return at<double>(t, i);
    case DType::kFloat16: return static_cast<double>(from_half(at<uint16_t>(t, i)));
    case DType::kBFloat16: return static_cast<double>(from_bfloat(at<uint16_t>(t, i)));
    case DType::kInt8:
    case DType::kInt4:
    case DType::kInt2: return at<int8_t>(t, i);
    case DType::kInt16: return at<int16_t>(t, i);
    case DType::kUint16: return at<uint16_t>(t, i);
    case DType::kInt32: return at<int32_t>(t, i);
    case DType::kUint32: return at<uint32_t>(t, i);
    case DType::kInt64: return static_cast<double>(at<int64_t>(t, i));
    case DType::kUint64: return static_cast<double>(at<uint64_t>(t, i));
    case DType::kComplex64: return static_cast<double>(at<float>(t, 2 * i));
    case DType::kComplex128: return at<double>(t, 2 * i);
    case DType::kString: return NAN;
    default: return at<uint8_t>(t, i);
  }
}

namespace {

bool is_integral(DType d) {
  switch (d) {
    case DType::kFloat32:
    case DType::kFloat64:
    case DType::kFloat16:
    case DType::kBFloat16:
    case DType::kComplex64:
    case DType::kComplex128: return false;
    default: return true;
  }
}

Json element_json(const Tensor& t, size_t i) {
  if (t.dtype() == DType::kString) return std::string(t.string(i));
  if (t.dtype() == DType::kBool) return at<uint8_t>(t, i) != 0;
  if (t.dtype() == DType::kInt64) return at<int64_t>(t, i);
  if (t.dtype() == DType::kUint64) return at<uint64_t>(t, i);
  const double d = element(t, i);
  if (is_integral(t.dtype())) return static_cast<int64_t>(d);
  if (t.dtype() == DType::kFloat32 && std::isfinite(d)) {
    // The shortest decimal of the float, not of the double it widens to.
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", d);
    for (int digits = 6; digits < 9; ++digits) {
      char shorter[32];
      std::snprintf(shorter, sizeof shorter, "%.*g", digits, d);
      if (std::strtof(shorter, nullptr) == static_cast<float>(d)) {
        std::memcpy(text, shorter, sizeof text);
        break;
      }
    }
    return std::strtod(text, nullptr);
  }
  return std::isfinite(d) ? Json(d) : Json(nullptr);
}

Json nested(const Tensor& t, size_t depth, size_t& next) {
  if (depth == t.rank()) return element_json(t, next++);
  Json list = Json::array();
  for (int64_t i = 0; i < t.dims()[depth]; ++i) list.push_back(nested(t, depth + 1, next));
  return list;
}

}  // namespace

Json to_json(const Tensor& t) {
  if (t.kind() == Kind::kNone) return nullptr;
  if (t.kind() == Kind::kSequence) {
    Json list = Json::array();
    for (const Tensor& item : t.items()) list.push_back(to_json(item));
    return list;
  }
  size_t next = 0;
  if (t.count() == 0) return Json::array();
  return nested(t, 0, next);
}

std::string preview(const Tensor& t, size_t most) {
  std::string line;
  for (size_t i = 0; i < std::min(t.count(), most); ++i) {
    char text[32];
    if (i) line += ", ";
    if (t.dtype() == DType::kString || t.dtype() == DType::kBool || is_integral(t.dtype())) {
      line += element_json(t, i).dump(-1, ' ', false, Json::error_handler_t::replace);
    } else {
      std::snprintf(text, sizeof text, "%.5g", element(t, i));
      line += text;
    }
  }
  return line + (t.count() > most ? ", ..." : "");
}

Difference compare(const Tensor& got, const Tensor& expected, double rtol, double atol) {
  Difference d;
  const auto differ = [&](std::string text) {
    d.equal = false;
    d.text = std::move(text);
    return d;
  };
  const std::vector<Tensor> items = got.items(), wanted = expected.items();
  const auto shape = got.dims(), wanted_shape = expected.dims();
  if (got.kind() != expected.kind() || items.size() != wanted.size() || (got.kind() != Kind::kNone && got.dtype() != expected.dtype()) ||
      !std::equal(shape.begin(), shape.end(), wanted_shape.begin(), wanted_shape.end())) {
    return differ("expected " + type_text(expected) + ", got " + type_text(got));
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const Difference one = compare(items[i], wanted[i], rtol, atol);
    if (!one.equal) return differ("item " + std::to_string(i) + ": " + one.text);
    d.worst = std::max(d.worst, one.worst);
  }
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < got.count(); ++i) {
    bool same = true;
    if (got.dtype() == DType::kString) {
      same = got.string(i) == expected.string(i);
    } else {
      const double a = element(got, i), b = element(expected, i);
      const double gap = std::fabs(a - b);
      same = a == b || (std::isnan(a) && std::isnan(b)) || gap <= atol + rtol * std::fabs(b);
      if (std::isfinite(gap)) d.worst = std::max(d.worst, gap);
    }
    if (!same && wrong++ == 0) first = i;
  }
  if (!wrong) return d;
  const auto shown = [&](const Tensor& t) { return element_json(t, first).dump(-1, ' ', false, Json::error_handler_t::replace); };
  return differ(std::to_string(wrong) + " of " + std::to_string(got.count()) + " elements differ; the first, " + std::to_string(first) +
                ": expected " + shown(expected) + ", got " + shown(got));
}

}  // namespace tenon::cli
