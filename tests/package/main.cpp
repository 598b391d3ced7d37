#include <tenon/custom_op.hpp>

#include <cstdio>

int main() {
  std::printf("%.*s\n", static_cast<int>(tenon::version().size()), tenon::version().data());
  return tenon::Model::try_load("nowhere.onnx").error().code() == tenon::Code::kIo ? 0 : 1;
}
