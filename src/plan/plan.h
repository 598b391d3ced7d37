// A plan: the steps of one region of the graph for one set of input types, with memory laid out. Immutable once made; shared by all
// callers.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "ops/step.h"
#include "plan/demand.h"
#include "plan/fork.h"

namespace tenon {

/// Where a value lives while a plan runs.
struct Slot {
  enum class Kind : uint8_t {
    kConstant,  ///< memory of the model (or of the plan)
    /// The caller's memory: region input or captured value number `index`. Sequences and optionals lie beside it, as dynamic ones do.
    kInput,
    kArena,    ///< at `offset` of the session's arena
    kOutput,   ///< the tensor of region output number `index`
    kDynamic,  ///< a tensor, sequence or optional made while running
  };
  Kind kind = Kind::kArena;
  int index = 0;
  size_t offset = 0;
  size_t bytes = 0;
  const Type* type = nullptr;  ///< static unless the value is dynamic and its shape depends on data, or it is no tensor
  const void* data = nullptr;  ///< kConstant
};

/// A reference from a step to memory: `offset` bytes into a slot, where it sees a value of `type`.
struct Operand {
  int32_t slot = -1;  ///< -1: left out
  int64_t offset = 0;
  const Type* type = nullptr;  ///< as compiled, of the plan or of the graph's constant; not static where data decides. Null when left out
};

/// A body of a control-flow node, as far as the node needs it.
struct PlanBody {
  RegionId region = 0;
  Wanted wanted;                  ///< outputs of the body
  std::vector<ValueId> captures;  ///< what its plan reads of enclosing regions
};

struct PlanStep {
  NodeId node = kNone;
  Step step;              ///< empty when `deferred`
  bool deferred = false;  ///< bound while running, when shapes that depend on data are known
  InlineVector<Operand, 4> inputs;
  InlineVector<Operand, 1> outputs;
  std::vector<int32_t> release;  ///< dynamic slots that nobody reads afterwards; those of strings stay until the end
  std::vector<PlanBody> bodies;
};

struct Plan {
  std::shared_ptr<const Demand> demand;  ///< region and outputs it computes; plans for other shapes share it
  std::vector<Type> types;               ///< of the values, where slots and operands point
  std::vector<Slot> slots;
  std::vector<PlanStep> steps;
  std::vector<Fork> forks;        ///< of steps, in their order
  std::vector<Type> input_types;  ///< the signature: types of region inputs, then captures
  std::vector<Operand> outputs;   ///< region outputs in order; without a type when not wanted
  /// Where each value of the region is, sorted by id: how inner regions find what they capture.
  struct Place {
    ValueId value = kNone;
    Operand operand;
  };
  std::vector<Place> places;
  size_t arena_bytes = 0;
  size_t scratch_bytes = 0;  ///< a thread
  size_t shared_bytes = 0;
  bool worth_threads = false;    ///< some phase is long enough to be shared out, or some fork
  std::deque<Tensor> constants;  ///< computed while planning

  const Place* find(ValueId v) const;
  /// It was made for these outputs and for inputs of these types. Sequences and optionals are not looked at: there is one type for all of a
  /// value's.
  bool takes(const Wanted& outputs, std::span<const Tensor> inputs) const;
};

/// The types that a plan for these values (the region's inputs, then captures) is made for: those of the tensors as they are; of sequences
/// and optionals what the graph knows.
std::vector<Type> signature(const Graph& graph, const Demand& demand, std::span<const Tensor> inputs);

/// A plan without a phase of so many nanoseconds runs on the calling thread alone.
inline constexpr double kWakeNanoseconds = 12000;
/// Of a plan with others a phase of so many is shared out: little work, but its operands lie in the caches of the threads that made them.
inline constexpr double kShareNanoseconds = 3000;

/// How a node will be done.
struct Choice {
  NodeId node = kNone;
  const char* kernel = "";            ///< as long as the graph; "" when no kernel does it, or none is known
  std::vector<std::string> refusals;  ///< "kernel: reason" of each better one
  std::string note;                   ///< where there is no kernel: why
};

struct CompileOptions {
  size_t max_bytes = 0;  ///< limit of the run's memory, 0 for none: plans that need more are refused
  /// When set, receives a choice a node, those of bodies (planned for their first turn) after the node that runs them. Then input types
  /// need not be static, and the plan is not for running.
  std::vector<Choice>* choices = nullptr;
};

/// Makes the plan that meets `demand` for these input types (static; then those of the captured values). Errors name the node.
Result<std::shared_ptr<const Plan>> compile(const Graph& graph, std::shared_ptr<const Demand> demand, std::vector<Type> inputs,
                                            const CompileOptions& options);

/// Bytes a value of this static type takes in memory. kLimit on overflow.
Result<size_t> bytes_of(const Type& type);

/// Adds the node's name, operator and inputs to an error.
Status at(const Graph& graph, NodeId node, Status status, const std::vector<Type>& inputs);

}  // namespace tenon
