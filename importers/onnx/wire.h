// Protobuf's wire format, read by position from a source in a small window.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/status.h"
#include "importers/onnx/source.h"

namespace tenon::onnx {

enum class Wire : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kStartGroup = 3, kEndGroup = 4, kFixed32 = 5 };

/// A reader over [begin, end) of a source. The first failure sticks: every later call fails too, and status() says why.
class WireReader {
 public:
  WireReader(Source& source, uint64_t begin, uint64_t end);

  uint64_t position() const { return window_start_ + static_cast<uint64_t>(at_ - window_); }
  uint64_t end() const { return end_; }
  /// True when nothing is left. For a stream whose size is unknown this looks for the next byte.
  bool at_end();

  bool varint(uint64_t& value);
  bool fixed32(uint32_t& value) { return bytes(&value, sizeof value); }
  bool fixed64(uint64_t& value) { return bytes(&value, sizeof value); }
  bool bytes(void* dst, size_t n);
  bool append(std::string& dst, size_t n);
  bool skip(uint64_t n);
  bool fail(Status status);
  const Status& status() const { return status_; }

 private:
  bool refill();
  bool truncated(uint64_t wanted);

  static constexpr size_t kWindow = 16 << 10;
  Source& source_;
  uint64_t end_;
  uint64_t window_start_;
  const std::byte* window_ = nullptr;  ///< bytes [window_start_, ...) of the source
  const std::byte* at_ = nullptr;
  const std::byte* stop_ = nullptr;
  std::unique_ptr<std::byte[]> storage_;
  Status status_;
};

}  // namespace tenon::onnx
