#include "ops/custom.h"

namespace tenon::ops {

Result<Types> infer(const Custom& op, const Types& in) {
  TENON_ASSIGN(Types out, op.op->infer(op.attributes, in, op.outputs));
  if (static_cast<int>(out.size()) != op.outputs) {
    return error(Code::kShape, "the custom operator told the types of ", out.size(), " outputs, expected ", op.outputs);
  }
  for (const Type& t : out) {
    if (!t.present()) return error(Code::kShape, "the custom operator left the type of an output open");
  }
  return out;
}

Result<Step> bind(const Custom& op, const BindContext&) {
  Step step;
  step.kernel = op.op->name.c_str();  // kept alive by the function below
  step.dynamic = [op](ExecContext& run) { return op.op->compute(op.attributes, run); };
  return step;
}

}  // namespace tenon::ops
