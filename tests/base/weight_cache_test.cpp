// What one load keeps, the next one maps; what is not whole, or not ours, counts as empty.
#include "base/weight_cache.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/file.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

namespace tenon {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<Buffer> bytes_of(const std::string& text) {
  auto buffer = *Buffer::allocate(text.size());
  std::memcpy(buffer->data(), text.data(), text.size());
  return buffer;
}

Status go_on() { return {}; }

class Cache : public testing::Test {
 protected:
  Cache() {
    std::string pattern = (fs::temp_directory_path() / "tenon-cache-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~Cache() override { fs::remove_all(directory_); }

  WeightCache open(const std::string& tag = "tag") { return {directory_, "model.weights", tag}; }
  /// Writes {"a": small, "b": many pages}.
  void fill() {
    WeightCache cache = open();
    cache.keep("a", bytes_of("alpha"));
    cache.keep("b", bytes_of(big_));
    ASSERT_TRUE(cache.write(go_on).ok());
  }
  std::string found(WeightCache& cache, const std::string& key, size_t bytes) {
    const auto buffer = cache.find(key, bytes, true);
    return buffer ? std::string(reinterpret_cast<const char*>(buffer->data()), buffer->size()) : "none";
  }
  size_t files() const { return static_cast<size_t>(std::distance(fs::directory_iterator(directory_), {})); }

  std::string directory_, big_ = std::string(50000, 'b') + "end";
  std::string path_ = "/model.weights";
};

TEST_F(Cache, GivesBackWhatWasKept) {
  fill();
  WeightCache cache = open();
  EXPECT_EQ(found(cache, "a", 5), "alpha");
  EXPECT_EQ(found(cache, "b", big_.size()), big_);
  EXPECT_EQ(found(cache, "b", big_.size() - 1), "none") << "another size";
  EXPECT_EQ(found(cache, "c", 5), "none");
  EXPECT_EQ(cache.found_bytes(), 5 + big_.size());
  EXPECT_EQ(files(), 1u);
}

TEST_F(Cache, IsEmptyUnderAnotherTag) {
  fill();
  for (const char* tag : {"ta", "tag2", "gat", ""}) {
    WeightCache cache = open(tag);
    EXPECT_EQ(found(cache, "a", 5), "none") << tag;
  }
}

TEST_F(Cache, KeepsWhatWasFoundBesideWhatIsNewAndDropsTheRest) {
  fill();
  {
    WeightCache cache = open();
    EXPECT_EQ(found(cache, "a", 5), "alpha");
    cache.keep("c", bytes_of("gamma"));
    ASSERT_TRUE(cache.write(go_on).ok());
  }
  WeightCache cache = open();
  EXPECT_EQ(found(cache, "a", 5), "alpha");
  EXPECT_EQ(found(cache, "c", 5), "gamma");
  EXPECT_EQ(found(cache, "b", big_.size()), "none");
}

TEST_F(Cache, WritesNothingWhenNothingIsNew) {
  fill();
  const auto before = fs::last_write_time(directory_ + path_);
  WeightCache cache = open();
  found(cache, "a", 5);
  bool asked = false;
  EXPECT_TRUE(cache.write([&]() -> Status { return asked = true, Status(); }).ok());
  EXPECT_FALSE(asked);
  EXPECT_EQ(fs::last_write_time(directory_ + path_), before);
}

TEST_F(Cache, BuffersOutliveTheCacheAndItsFile) {
  fill();
  std::shared_ptr<Buffer> buffer;
  {
    WeightCache cache = open();
    buffer = cache.find("b", big_.size(), false);
  }
  fs::remove_all(directory_);
  ASSERT_TRUE(buffer);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(buffer->data()), buffer->size()), big_);
}

TEST_F(Cache, EveryDamagedHeaderOrIndexCountsAsEmptyOrIsWhole) {
  fill();
  std::ifstream in(directory_ + path_, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  const auto index = whole.rfind("tag");
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    std::string damaged = whole;
    const int kind = round % 3;
    // Cut short; a byte of the header changed; a byte of the index changed.
    const size_t at = kind == 0 ? random() % whole.size() : kind == 1 ? random() % 72 : index + random() % (whole.size() - index);
    if (kind == 0) {
      damaged.resize(at);
    } else {
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
    }
    std::ofstream(directory_ + path_, std::ios::binary | std::ios::trunc) << damaged;
    WeightCache cache = open();
    EXPECT_EQ(found(cache, "a", 5), "none") << "round " << round << " at " << at;
    EXPECT_EQ(found(cache, "b", big_.size()), "none") << "round " << round << " at " << at;
  }
}

TEST_F(Cache, TrustsNoFileThatOthersMayWriteAndFollowsNoLink) {
  fill();
  fs::permissions(directory_ + path_, fs::perms::group_write, fs::perm_options::add);
  {
    WeightCache cache = open();
    EXPECT_EQ(found(cache, "a", 5), "none");
  }
  fs::permissions(directory_ + path_, fs::perms::group_write, fs::perm_options::remove);
  fs::rename(directory_ + path_, directory_ + "/elsewhere");
  fs::create_symlink("elsewhere", directory_ + path_);
  WeightCache cache = open();
  EXPECT_EQ(found(cache, "a", 5), "none");
}

TEST_F(Cache, BeingStoppedLeavesTheOldFileAndNoPart) {
  fill();
  for (int stop = 0; stop < 4; ++stop) {
    WeightCache cache = open();
    cache.keep("c", bytes_of(std::string(1000, 'c')));
    cache.keep("d", bytes_of(std::string(1000, 'd')));
    int asked = 0;
    const Status status = cache.write([&]() -> Status { return asked++ == stop ? error(Code::kCancelled, "stop") : Status(); });
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.code(), Code::kCancelled);
    EXPECT_EQ(files(), 1u);
  }
  WeightCache cache = open();
  EXPECT_EQ(found(cache, "a", 5), "alpha");
}

TEST_F(Cache, WhatACrashLeftIsWrittenOver) {
  std::ofstream(directory_ + path_ + ".part") << std::string(100000, 'x');
  fs::permissions(directory_ + path_ + ".part", fs::perms::owner_read | fs::perms::owner_write);
  fill();
  EXPECT_EQ(files(), 1u);
  WeightCache cache = open();
  EXPECT_EQ(found(cache, "b", big_.size()), big_);
}

TEST_F(Cache, LeavesAFileAloneThatAnotherIsWriting) {
  const std::string part = directory_ + path_ + ".part";
  std::FILE* other = std::fopen(part.c_str(), "w");
  ASSERT_TRUE(other);
  ASSERT_EQ(flock(fileno(other), LOCK_EX), 0);
  std::fputs("half", other);
  std::fflush(other);
  fill();
  EXPECT_EQ(fs::file_size(part), 4u);
  EXPECT_FALSE(fs::exists(directory_ + path_));
  std::fclose(other);
}

TEST_F(Cache, SaysWhyItCannotWrite) {
  std::ofstream(directory_ + "/file") << "not a directory";
  WeightCache cache(directory_ + "/file", "model.weights", "tag");
  cache.keep("a", bytes_of("alpha"));
  const Status status = cache.write(go_on);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.code(), Code::kIo);
  EXPECT_NE(status.message().find(directory_ + "/file"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace tenon
