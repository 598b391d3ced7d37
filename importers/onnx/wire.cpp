#include "importers/onnx/wire.h"

#include <algorithm>
#include <cstring>

namespace tenon::onnx {

WireReader::WireReader(Source& source, uint64_t begin, uint64_t end)
    : source_(source), end_(std::min(end, source.size())), window_start_(begin) {
  if (const std::byte* memory = source.memory(); memory && begin <= end_) {
    window_ = at_ = memory + begin;
    stop_ = memory + end_;
  }
}

bool WireReader::fail(Status status) {
  if (status_.ok()) status_ = std::move(status);
  at_ = stop_;
  return false;
}

bool WireReader::truncated(uint64_t wanted) {
  return fail(load_error("truncated: ", wanted, " bytes expected at position ", position(), ", '", source_.name(), "' has ",
                         end_ == UINT64_MAX ? 0 : end_ - std::min(end_, position()), " left"));
}

bool WireReader::refill() {
  if (!status_.ok()) return false;
  const uint64_t from = position();
  if (from >= end_ || source_.memory()) return false;
  if (!storage_) storage_ = std::make_unique<std::byte[]>(kWindow);
  auto got = source_.read_some(from, std::min<uint64_t>(kWindow, end_ - from), storage_.get());
  if (!got.ok()) return fail(std::move(got).status());
  window_start_ = from;
  window_ = at_ = storage_.get();
  stop_ = window_ + *got;
  if (*got == 0) end_ = std::min(end_, from);
  return *got != 0;
}

bool WireReader::at_end() {
  if (!status_.ok()) return true;
  return at_ == stop_ && !refill();
}

bool WireReader::varint(uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (at_ == stop_ && !refill()) return truncated(1);
    const auto byte = static_cast<uint8_t>(*at_++);
    value |= static_cast<uint64_t>(byte & 0x7f) << (shift < 64 ? shift : 63);
    if (byte < 0x80) return true;
  }
  return fail(load_error("malformed: a number of more than ten bytes ends at position ", position()));
}

bool WireReader::bytes(void* dst, size_t n) {
  auto* to = static_cast<std::byte*>(dst);
  while (n > 0) {
    if (at_ == stop_ && !refill()) return truncated(n);
    const size_t part = std::min<size_t>(n, static_cast<size_t>(stop_ - at_));
    std::memcpy(to, at_, part);
    at_ += part;
    to += part;
    n -= part;
  }
  return true;
}

bool WireReader::append(std::string& dst, size_t n) {
  while (n > 0) {
    if (at_ == stop_ && !refill()) return truncated(n);
    const size_t part = std::min<size_t>(n, static_cast<size_t>(stop_ - at_));
    dst.append(reinterpret_cast<const char*>(at_), part);
    at_ += part;
    n -= part;
  }
  return true;
}

bool WireReader::skip(uint64_t n) {
  if (!status_.ok()) return false;
  const auto here = static_cast<uint64_t>(stop_ - at_);
  if (n <= here) {
    at_ += n;
    return true;
  }
  if (n > end_ - std::min(end_, position())) return truncated(n);
  if (source_.memory()) return truncated(n);
  if (source_.size() == UINT64_MAX) {  // a stream tells where it ends only when read that far
    std::byte last;
    auto got = source_.read_some(position() + n - 1, 1, &last);
    if (!got.ok()) return fail(std::move(got).status());
    if (*got == 0) return truncated(n);
  }
  window_start_ = position() + n;
  window_ = at_ = stop_ = nullptr;
  return true;
}

}  // namespace tenon::onnx
