// Late bytes: read when they are needed and not before, and zeros with a report when they cannot be.
#include "base/contents.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/late.h"

namespace tenon {
namespace {

using test::late;
using test::MemoryContents;

Tensor counted(int64_t n) {
  Tensor t = *Tensor::allocate(DType::kInt32, {n});
  for (int64_t i = 0; i < n; ++i) t.as<int32_t>()[i] = static_cast<int32_t>(i);
  return t;
}

TEST(LateBuffer, IsReadAtFirstUseAndOnce) {
  const Tensor t = counted(1000);
  const auto contents = std::make_shared<MemoryContents>(t);
  const Tensor x = late(t, contents), same = x.reshaped({10, 100});
  EXPECT_TRUE(x.buffer()->late());
  EXPECT_EQ(contents->read_bytes, 0u);
  EXPECT_EQ(same.as<int32_t>()[999], 999);
  EXPECT_FALSE(x.buffer()->late());
  EXPECT_EQ(x.values<int32_t>()[1], 1);
  EXPECT_EQ(contents->read_bytes, 4000u);
}

TEST(LateBuffer, ManyThreadsSeeItWhole) {
  const Tensor t = counted(3 << 20);
  for (int round = 0; round < 5; ++round) {
    const Tensor x = late(t);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { wrong += std::memcmp(x.data(), t.data(), t.bytes()) != 0; });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
  }
}

TEST(LateBuffer, PeekReadsAPieceOnly) {
  const Tensor t = counted(1000);
  const auto contents = std::make_shared<MemoryContents>(t);
  const Tensor x = late(t, contents);
  int32_t room[10];
  const auto piece = x.peek(400, 40, reinterpret_cast<std::byte*>(room));
  ASSERT_TRUE(piece.ok());
  EXPECT_EQ(reinterpret_cast<const int32_t*>(*piece), room);
  EXPECT_EQ(room[9], 109);
  EXPECT_EQ(contents->read_bytes, 40u);
  EXPECT_FALSE(x.in_place());
  EXPECT_TRUE(t.in_place());
  EXPECT_EQ(*t.peek(400, 40, nullptr), t.as<std::byte>() + 400);
}

TEST(LateBuffer, CloneReadsIntoTheCopy) {
  const Tensor t = counted(1000), x = late(t);
  const auto copy = x.clone();
  ASSERT_TRUE(copy.ok());
  EXPECT_TRUE(x.buffer()->late());
  EXPECT_EQ(std::memcmp(copy->data(), t.data(), t.bytes()), 0);
}

TEST(LateBuffer, FailedReadGivesZerosAndAReport) {
  const Tensor t = counted(1000);
  const auto faults = std::make_shared<ReadFaults>();
  const auto contents = std::make_shared<MemoryContents>(t, faults);
  contents->readable = 100;
  const Tensor x = late(t, contents);
  EXPECT_TRUE(faults->first().ok());
  for (const int32_t v : x.values<int32_t>()) ASSERT_EQ(v, 0);
  EXPECT_EQ(faults->first().code(), Code::kIo);
}

TEST(LateBuffer, MappedMemoryIsPeekedThroughItsContents) {
  const Tensor t = counted(1000);
  const auto contents = std::make_shared<MemoryContents>(t);
  bool released = false;
  {
    auto buffer = Buffer::mapped(t.data(), t.bytes(), contents, [&] { released = true; });
    int32_t room[1];
    EXPECT_EQ(*buffer->peek(8, 4, reinterpret_cast<std::byte*>(room)), reinterpret_cast<std::byte*>(room));
    EXPECT_EQ(room[0], 2);
    EXPECT_EQ(buffer->data(), t.data());
    ASSERT_TRUE(settle({&buffer, 1}).ok());
    EXPECT_EQ(*buffer->peek(8, 4, nullptr), t.as<std::byte>() + 8);
    EXPECT_FALSE(released);
  }
  EXPECT_TRUE(released);
}

TEST(Settle, ReadsAllAndForgetsTheContents) {
  const Tensor large = counted(5 << 20), small = counted(10);
  std::vector<std::shared_ptr<Buffer>> buffers;
  std::weak_ptr<MemoryContents> contents;
  {
    const auto of_large = std::make_shared<MemoryContents>(large);
    contents = of_large;
    buffers = {late(large, of_large).buffer(), late(small).buffer(), large.buffer()};
    buffers.push_back(buffers[0]);
  }
  std::vector<double> seen;
  ASSERT_TRUE(settle(buffers, [&](double f) { seen.push_back(f); }).ok());
  EXPECT_TRUE(contents.expired());
  EXPECT_FALSE(buffers[0]->late());
  EXPECT_EQ(std::memcmp(buffers[0]->data(), large.data(), large.bytes()), 0);
  EXPECT_EQ(std::memcmp(buffers[1]->data(), small.data(), small.bytes()), 0);
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back(), 1);
}

TEST(Settle, FailsWithTheReadThatFailed) {
  const Tensor t = counted(5 << 20);
  const auto contents = std::make_shared<MemoryContents>(t);
  contents->readable = 15 << 20;
  const Tensor x = late(t, contents);
  EXPECT_EQ(settle({&x.buffer(), 1}).code(), Code::kIo);
}

}  // namespace
}  // namespace tenon
