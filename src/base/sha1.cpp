#include "base/sha1.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace tenon {

void Sha1::block(const uint8_t* data) {
  std::array<uint32_t, 80> w;
  for (size_t t = 0; t < 16; ++t) {
    w[t] = uint32_t{data[4 * t]} << 24 | uint32_t{data[4 * t + 1]} << 16 | uint32_t{data[4 * t + 2]} << 8 | uint32_t{data[4 * t + 3]};
  }
  for (size_t t = 16; t < 80; ++t) w[t] = std::rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
  uint32_t a = state_[0], b = state_[1], c = state_[2], d = state_[3], e = state_[4];
  const auto round = [&](size_t t, uint32_t f, uint32_t k) {
    const uint32_t next = std::rotl(a, 5) + f + e + k + w[t];
    e = d, d = c, c = std::rotl(b, 30), b = a, a = next;
  };
  for (size_t t = 0; t < 20; ++t) round(t, (b & c) | (~b & d), 0x5A827999);
  for (size_t t = 20; t < 40; ++t) round(t, b ^ c ^ d, 0x6ED9EBA1);
  for (size_t t = 40; t < 60; ++t) round(t, (b & c) | (b & d) | (c & d), 0x8F1BBCDC);
  for (size_t t = 60; t < 80; ++t) round(t, b ^ c ^ d, 0xCA62C1D6);
  state_[0] += a, state_[1] += b, state_[2] += c, state_[3] += d, state_[4] += e;
}

void Sha1::update(const std::byte* data, size_t n) {
  const auto* from = reinterpret_cast<const uint8_t*>(data);
  while (n > 0) {
    const size_t held = bytes_ % 64;
    if (held == 0 && n >= 64) {
      block(from);
      bytes_ += 64, from += 64, n -= 64;
      continue;
    }
    const size_t part = std::min(n, 64 - held);
    std::memcpy(rest_.data() + held, from, part);
    bytes_ += part, from += part, n -= part;
    if (bytes_ % 64 == 0) block(rest_.data());
  }
}

std::string Sha1::hex() {
  const uint64_t bits = bytes_ * 8;
  std::array<std::byte, 72> end{std::byte{0x80}};
  const size_t padding = (119 - bytes_ % 64) % 64 + 1;  // up to 56 of 64 bytes
  for (size_t i = 0; i < 8; ++i) end[padding + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
  update(end.data(), padding + 8);
  std::string text;
  for (const uint32_t word : state_) {
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
  }
  return text;
}

}  // namespace tenon
