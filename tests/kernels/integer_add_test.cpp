// Sums of quantised tensors on every instruction set, against sums in double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/integer/add.h"
#include "support/targets.h"

namespace tenon::kernels {
namespace {

int value(DType dtype, uint8_t byte) { return dtype == DType::kInt8 ? static_cast<int8_t>(byte) : byte; }

void check(DType a, DType b, DType y, bool zeros, bool quads, int64_t count) {
  QuantizedAddParams p{
      .a = a, .b = b, .y = y, .a_zero = zeros, .b_zero = zeros, .y_zero = zeros, .quads = quads, .count = count, .chunk = 64};
  std::mt19937 gen(static_cast<uint32_t>(count));
  std::vector<uint8_t> x(static_cast<size_t>(count)), w(x.size()), out(x.size() + 8, 0x77);
  for (uint8_t& v : x) v = static_cast<uint8_t>(gen());
  for (uint8_t& v : w) v = static_cast<uint8_t>(gen());
  const float xs = 0.25f, ws = 0.07f, ys = 0.19f;
  const uint8_t xz = 131, wz = 7, yz = 120;
  const void* src[] = {x.data(), &xs, &xz, w.data(), &ws, &wz, &ys, &yz};
  void* dst[] = {out.data()};
  for (const auto& row : quantized_add) {
    if (row.refuse(p) != nullptr) continue;
    Fault fault;
    for (int64_t i = 0; i < p.parts(); ++i) row.pointer()(p, {.src = src, .dst = dst, .fault = &fault}, {i, i + 1});
    for (size_t i = 0; i < 8; ++i) ASSERT_EQ(out[x.size() + i], 0x77);
    for (size_t i = 0; i < x.size(); ++i) {
      const auto number = [&](DType dtype, uint8_t byte, uint8_t zero) {
        const auto held = static_cast<uint8_t>(byte ^ (quads && dtype == DType::kInt8 ? 0x80 : 0));
        return static_cast<double>(value(dtype, held) - (zeros ? value(dtype, zero) : 0));
      };
      const double sum =
          (number(a, x[i], xz) * static_cast<double>(xs) + number(b, w[i], wz) * static_cast<double>(ws)) / static_cast<double>(ys);
      const double exact = sum + (zeros ? value(y, yz) : 0), low = y == DType::kInt8 ? -128 : 0;
      const auto held = static_cast<uint8_t>(out[i] ^ (quads && y == DType::kInt8 ? 0x80 : 0));
      ASSERT_NEAR(value(y, held), std::min(std::max(exact, low), low + 255), 0.5001) << i;
    }
  }
}

TEST(QuantizedAdd, SignsZeroPointsAndLengths) {
  test::for_each_target([] {
    for (const DType a : {DType::kInt8, DType::kUint8}) {
      for (const DType b : {DType::kInt8, DType::kUint8}) {
        for (const DType y : {DType::kInt8, DType::kUint8}) {
          for (const bool zeros : {false, true}) {
            for (const bool quads : {false, true}) check(a, b, y, zeros, quads, 300);
          }
        }
      }
    }
    for (const int64_t count : {1, 15, 64, 65, 127, 1000}) check(DType::kUint8, DType::kInt8, DType::kUint8, true, false, count);
  });
}

/// Bytes of b are 0, so that the sum is (x - zero) * scale: its ties, and sums beyond what a float has room to round.
std::vector<uint8_t> scaled(const std::vector<uint8_t>& x, float scale, uint8_t y_zero) {
  const auto count = static_cast<int64_t>(x.size());
  QuantizedAddParams p{.a_zero = true, .b_zero = true, .y_zero = true, .count = count, .chunk = count};
  const std::vector<uint8_t> w(x.size());
  std::vector<uint8_t> out(x.size());
  const float one = 1;
  const uint8_t middle = 128, none = 0;
  const void* src[] = {x.data(), &scale, &middle, w.data(), &one, &none, &one, &y_zero};
  void* dst[] = {out.data()};
  Fault fault;
  quantized_add.begin()->pointer()(p, {.src = src, .dst = dst, .fault = &fault}, {0, 1});
  return out;
}

TEST(QuantizedAdd, TiesGoToEvenAndEverythingSaturates) {
  std::vector<uint8_t> x(300);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint8_t>(i);
  test::for_each_target([&] {
    for (const float scale : {0.5f, 1.5f, -0.5f, 3.0f, 1e3f, 1e5f, -1e5f, 1e9f, 1e30f, -1e30f}) {
      const auto y = scaled(x, scale, 7);
      for (size_t i = 0; i < x.size(); ++i) {
        const double want = std::min(std::max(std::nearbyint((x[i] - 128.0) * static_cast<double>(scale)) + 7, 0.0), 255.0);
        ASSERT_EQ(y[i], want) << scale << " " << i;
      }
    }
    for (const uint8_t v : scaled(x, std::nanf(""), 7)) ASSERT_EQ(v, 0);
  });
}

}  // namespace
}  // namespace tenon::kernels
