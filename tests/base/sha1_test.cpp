#include "base/sha1.h"

#include <gtest/gtest.h>

#include <span>

namespace tenon {
namespace {

std::string sha1(const std::string& text, size_t step) {
  Sha1 s;
  const auto bytes = std::as_bytes(std::span(text));
  for (size_t i = 0; i < bytes.size(); i += step) s.update(bytes.data() + i, std::min(step, bytes.size() - i));
  return s.hex();
}

// The examples of FIPS 180-4 and RFC 3174, and lengths around a block of 64 bytes as sha1sum(1) has them.
TEST(Sha1, AgreesWithTheStandard) {
  for (const size_t step : {1, 3, 64, 1000000}) {
    EXPECT_EQ(sha1("", step), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    EXPECT_EQ(sha1("abc", step), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", step), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    EXPECT_EQ(sha1(std::string(1000000, 'a'), step), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    EXPECT_EQ(sha1(std::string(55, 'a'), step), "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    EXPECT_EQ(sha1(std::string(56, 'a'), step), "c2db330f6083854c99d4b5bfb6e8f29f201be699");
    EXPECT_EQ(sha1(std::string(63, 'a'), step), "03f09f5b158a7a8cdad920bddc29b81c18a551f5");
    EXPECT_EQ(sha1(std::string(64, 'a'), step), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    EXPECT_EQ(sha1(std::string(65, 'a'), step), "11655326c708d70319be2610e8a57d9a5b959d3b");
    EXPECT_EQ(sha1(std::string(119, 'a'), step), "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56");
    EXPECT_EQ(sha1(std::string(120, 'a'), step), "f34c1488385346a55709ba056ddd08280dd4c6d6");
    EXPECT_EQ(sha1(std::string(128, 'a'), step), "ad5b3fdbcb526778c2839d2f151ea753995e26a0");
  }
}

}  // namespace
}  // namespace tenon
