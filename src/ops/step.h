// What binding an operator yields: the work a plan does for one node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/inline_vector.h"
#include "base/status.h"
#include "base/tensor.h"
#include "kernels/kernel.h"
#include "kernels/table.h"
#include "ops/type.h"

namespace tenon {

/// One parallel loop: `parts` independent parts of a kernel call.
struct Phase {
  void (*run)(const void* params, const kernels::Call& call, kernels::Range range) = nullptr;
  std::shared_ptr<const void> params;
  int64_t parts = 1;
  double nanoseconds = 0;  ///< rough cost of all parts on one core; phases under the plan's threshold stay on the calling thread

  /// Makes `owner`, which the parameters point into, live as long as they do.
  void keep(std::shared_ptr<const void> owner) {
    const void* const raw = params.get();
    params = std::shared_ptr<const void>(
        std::make_shared<std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>>(params, std::move(owner)), raw);
  }
};

class ExecContext;

/// A node ready to run for one set of input types.
struct Step {
  /// Output `out` is input `in` under another type, starting `offset` bytes in: no work at all.
  struct View {
    int out = 0;
    int in = 0;
    int64_t offset = 0;
  };
  /// Input `in` only has to lie `offset` bytes into output 0.
  struct Join {
    int in = 0;
    int64_t offset = 0;
  };
  /// The kernel may be given the same memory for output `out` and input `in` (equal byte sizes).
  struct InPlace {
    int out = 0;
    int in = 0;
  };

  Step();
  Step(const Step&);
  Step(Step&&) noexcept;
  Step& operator=(const Step&);
  Step& operator=(Step&&) noexcept;
  ~Step();

  InlineVector<Phase, 1> phases;  ///< done in order, each after all parts of the one before
  InlineVector<View, 1> views;
  InlineVector<InPlace, 1> in_place;
  std::vector<Join> joins;   ///< when not empty: with these inputs in their places the phases have nothing to do
  size_t scratch_bytes = 0;  ///< a thread
  size_t shared_bytes = 0;
  const char* kernel = "";  ///< name of the chosen row
  /// "row: reason" of each better row that refused, when asked for.
  std::vector<std::string> refusals;

  /// Set instead of phases by operators whose output shapes depend on values (NonZero, NonMaxSuppression) or that run regions:
  /// computes and allocates the outputs itself.
  std::function<Status(ExecContext&)> dynamic;

  /// Type-safe construction of a phase from a kernel and its parameters.
  template <class Params>
  static Phase phase(kernels::Kernel<Params> kernel, const Params& params, int64_t parts, double nanoseconds) {
    static_assert(std::is_trivially_copyable_v<Params>);
    struct Bound {
      kernels::Kernel<Params> kernel;
      Params params;
    };
    Phase p;
    p.params = std::make_shared<const Bound>(Bound{kernel, params});
    p.run = [](const void* bound, const kernels::Call& call, kernels::Range range) {
      const auto* b = static_cast<const Bound*>(bound);
      b->kernel(b->params, call, range);
    };
    p.parts = parts;
    p.nanoseconds = nanoseconds;
    return p;
  }
};

/// What a dynamic step sees while a plan runs: real values in, values out.
class ExecContext {
 public:
  virtual ~ExecContext() = default;
  virtual int inputs() const = 0;
  virtual int outputs() const = 0;
  /// Null when the node leaves the input out. Its memory may be used anew once the step is done.
  virtual const Tensor* input(int i) const = 0;
  /// Input i, which is not left out, for as long as one likes: what goes into a region, becomes an item of a sequence, or is passed on.
  /// Shared when it was made while running, otherwise a copy.
  virtual Result<Tensor> keep(int i) = 0;
  virtual bool output_wanted(int i) const = 0;
  /// A tensor from the run's memory (limit and accounting apply).
  virtual Result<Tensor> allocate(DType dtype, Dims dims) = 0;
  /// The tensor, or every item of the sequence, has memory of its own: allocate(), keep(), or a share of what these gave.
  virtual void set_output(int i, Tensor value) = 0;
  /// Runs body `region` of the node on `inputs` (its own inputs; captured outer values are found by the plan). Outputs that nobody needs,
  /// by output_wanted(), are empty.
  virtual Result<std::vector<Tensor>> run_region(int region, std::vector<Tensor> inputs) = 0;
  /// The types that body `region` gives for inputs of these types, without running it; not static where data decides.
  virtual Result<Types> plan_region(int region, const Types& inputs) = 0;
  /// kCancelled or kLimit (deadline) when the run should stop; dynamic steps that loop call it every turn.
  virtual Status check() const = 0;
  /// Bytes for a string that lives until the run ends.
  virtual char* string_bytes(size_t size) = 0;
};

/// What bind sees: fully known input and output types. Those of sequences and optionals say no dims.
class BindContext {
 public:
  virtual ~BindContext() = default;
  virtual int inputs() const = 0;
  virtual int outputs() const = 0;
  virtual bool has_input(int i) const = 0;  ///< false when left out or beyond the last
  virtual bool wants_output(int i) const = 0;
  virtual DType dtype(int i) const = 0;       ///< of input i
  virtual const Dims& dims(int i) const = 0;  ///< of input i
  virtual const struct Layout& layout(int i) const = 0;
  virtual const struct Structure& structure(int i) const = 0;  ///< of input i
  virtual DType out_dtype(int i) const = 0;
  virtual const Dims& out_dims(int i) const = 0;
  virtual const struct Layout& out_layout(int i) const = 0;
  /// The tensor of input i when its value is known at this point, else null. Valid as long as the plan.
  virtual const Tensor* constant(int i) const = 0;
  virtual bool want_refusals() const { return false; }

  /// The first row of `table` that takes `params`, as a step of one phase. kInternal when all rows refuse.
  template <class Params>
  Result<Step> choose(const kernels::Table<Params>& table, const Params& params, int64_t parts, double nanoseconds) const {
    Step step;
    for (const auto& row : table) {
      if (const char* why = row.refuse(params)) {
        if (want_refusals()) step.refusals.push_back(std::string(row.name) + ": " + why);
        continue;
      }
      step.kernel = row.name;
      step.phases.push_back(Step::phase<Params>(row.pointer(), params, parts, nanoseconds));
      return step;
    }
    return error(Code::kInternal, "no kernel of family ", table.family, " takes these parameters");
  }
};

}  // namespace tenon
