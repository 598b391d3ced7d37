// SHA-1 (FIPS 180-4): ONNX takes it for the checksum of external data, caches for names. It finds damage, not malice.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tenon {

class Sha1 {
 public:
  void update(const std::byte* data, size_t n);
  /// 40 lower-case hexadecimal digits. Ends the message: no update() after it.
  std::string hex();

 private:
  void block(const uint8_t* data);

  std::array<uint32_t, 5> state_{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  std::array<uint8_t, 64> rest_{};
  uint64_t bytes_ = 0;
};

/// Sha1::hex() of one message.
template <class T>
std::string sha1_hex(std::span<T> message) {
  const auto bytes = std::as_bytes(message);
  Sha1 sha1;
  sha1.update(bytes.data(), bytes.size());
  return sha1.hex();
}

}  // namespace tenon
