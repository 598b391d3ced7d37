// Recognises the test images of the digits example, in C++.
//   digits DIRECTORY        where digits.onnx, images.npy and labels.npy are
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <vector>

#include "tenon/tenon.hpp"

namespace {

/// The elements of a .npy file: what follows its header.
template <class T>
std::vector<T> read_npy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  if (bytes.size() < 10) throw std::runtime_error("cannot read " + path);
  const size_t begin = 10 + static_cast<unsigned char>(bytes[8]) + 256 * static_cast<unsigned char>(bytes[9]);
  std::vector<T> values((bytes.size() - begin) / sizeof(T));
  std::copy_n(bytes.data() + begin, values.size() * sizeof(T), reinterpret_cast<char*>(values.data()));
  return values;
}

int recognise(const std::string& directory) {
  const auto model = tenon::Model::load(directory + "/digits.onnx");
  auto images = read_npy<float>(directory + "/images.npy");
  const auto labels = read_npy<int64_t>(directory + "/labels.npy");
  const auto count = static_cast<int64_t>(labels.size());

  const auto input = tenon::Tensor::borrow(images.data(), images.size(), {count, 1, 8, 8});
  const auto out = model.run({{"image", input}});
  const auto probabilities = out["probabilities"].as<const float>();

  int right = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const float* row = probabilities.data() + i * 10;
    const auto best = std::max_element(row, row + 10) - row;
    right += best == labels[i];
    if (i < 5) std::printf("image %zu: %d (%.0f %%), is %d\n", i, static_cast<int>(best), row[best] * 100.0, static_cast<int>(labels[i]));
  }
  std::printf("%d of %zu right\n", right, labels.size());
  return right * 10 > count * 9 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return recognise(argc > 1 ? argv[1] : "examples/digits");
  } catch (const std::exception& e) {  // tenon::Error among them
    std::cerr << e.what() << '\n';
    return 1;
  }
}
