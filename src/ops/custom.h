// An operator of the host application: types and values are computed by code from outside.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "ops/step.h"
#include "ops/type.h"

namespace tenon {

using CustomAttribute = std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>, std::vector<std::string>>;
using CustomAttributes = std::map<std::string, CustomAttribute, std::less<>>;

/// What an application gives for an operator of its own. Both functions may be called by several threads at once, and throw nothing.
class CustomOp {
 public:
  virtual ~CustomOp() = default;
  /// Types of the `outputs` outputs that the node has.
  virtual Result<Types> infer(const CustomAttributes& attributes, const Types& in, int outputs) const = 0;
  virtual Status compute(const CustomAttributes& attributes, ExecContext& run) const = 0;

  std::string domain, name;
  int min_inputs = 0;
  int max_inputs = 0;
  int max_outputs = 1;
};

namespace ops {

struct Custom {
  std::shared_ptr<const CustomOp> op;
  CustomAttributes attributes;
  int outputs = 1;  ///< of the node
  bool operator==(const Custom&) const = default;
};
Result<Types> infer(const Custom&, const Types& in);
Result<Step> bind(const Custom&, const BindContext&);

}  // namespace ops
}  // namespace tenon
