// A C++ application with libtenon.a inside: it has names of its own that the library uses too, and (where installed) another protobuf.
//   cpp_host DIRECTORY      the models of tests/data
#include <cstdio>
#include <string>
#ifdef HOST_HAS_PROTOBUF
#include <google/protobuf/struct.pb.h>
#endif

#include "tenon/tenon.hpp"

// The library's inside has tenon::Tensor, tenon::Status, tenon::kernels::... as well: hidden, so these do not meet them.
namespace tenon {
struct Status {
  Status() { ++made; }
  static int made;
};
int Status::made = 0;
namespace onnx {
int load(const std::string&) { return 7; }
}  // namespace onnx
}  // namespace tenon

int main(int, char** argv) {
  const tenon::Status status;
  if (tenon::Status::made != 1 || tenon::onnx::load("") != 7) return 1;
#ifdef HOST_HAS_PROTOBUF
  google::protobuf::Value value;
  value.set_string_value("a message of the host");
  google::protobuf::Value again;
  if (!again.ParseFromString(value.SerializeAsString()) || again.string_value() != value.string_value()) return 2;
#endif
  const auto model = tenon::Model::try_load(std::string(argv[1]) + "/add.onnx");
  if (!model) {
    std::fprintf(stderr, "%s\n", model.error().what());
    return 3;
  }
  const auto x = tenon::Tensor::of<float>({1, 2, 3}, {1, 3});
  const auto out = model->run({{"a", x}, {"b", x}});
  if (out["twice"].as<const float>()[2] != 12) return 4;
  // Errors cross the boundary as values, exceptions of the host stay its own.
  try {
    model->run({{"a", x}});
  } catch (const tenon::Error& e) {
    std::printf("%s\n", e.what());
    return tenon::Status::made == 1 ? 0 : 5;
  }
  return 6;
}
