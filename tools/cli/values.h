// Values of the command line: read from files and JSON, made up, printed, compared.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "app.h"

namespace tenon::cli {

/// Reads `--input` arguments: NAME=FILE, NAME=JSON, FILE (an archive or JSON object of named arrays, or the array of the only input left).
Inputs read_inputs(const Model& model, const std::vector<std::string>& arguments);

struct RandomOptions {
  uint64_t seed = 1;
  int64_t int_max = 1;                  ///< integers are drawn from [0, int_max]
  std::map<std::string, int64_t> dims;  ///< sizes of symbols; others are 1
  std::vector<std::string> shapes;      ///< NAME=1,3,224,224
  void add_to(CLI::App& app);
};
/// Values for the inputs of the model that `given` lacks: floats from a normal distribution. `notes` receives what was assumed.
Inputs random_inputs(const Model& model, const Inputs& given, const RandomOptions& options, std::vector<std::string>& notes);

/// Element `i` as a double; complex: its real part. Not for strings.
double element(const Tensor& t, size_t i);
/// Writes a number, `d` or `n`, as the tensor's type. Types that have no arithmetic here (float8, float4) take the number as their bits.
void set_element(const Tensor& t, size_t i, double d, int64_t n);
/// The elements as nested lists; a sequence's items as a list, none as null.
Json to_json(const Tensor& t);
/// The first elements on one line.
std::string preview(const Tensor& t, size_t most = 8);

struct Difference {
  bool equal = true;  ///< within the tolerances, of the same kind, dtype and dims
  double worst = 0;   ///< largest absolute difference
  std::string text;   ///< what differs
};
Difference compare(const Tensor& got, const Tensor& expected, double rtol, double atol);
/// The value in a file, for an input or output of this type. Tensors: .npy, .npz (a single array, or `path:key`), .pb or .json. Sequences:
/// .npz, .pb (SequenceProto) or .json; optionals as well from .pb (OptionalProto).
Tensor read_value(const std::string& path, const ValueInfo& v);

}  // namespace tenon::cli
