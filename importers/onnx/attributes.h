// The attributes of one node, found by name, with the type the file states checked.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "importers/onnx/onnx.pb.h"

namespace tenon::onnx {

/// Numbers of AttributeProto.AttributeType.
// clang-format off
enum class AttributeType : int32_t {
  kUndefined = 0, kFloat = 1, kInt = 2, kString = 3, kTensor = 4, kGraph = 5, kFloats = 6, kInts = 7, kStrings = 8, kTensors = 9,
  kGraphs = 10, kSparseTensor = 11, kSparseTensors = 12, kTypeProto = 13, kTypeProtos = 14,
};
// clang-format on
const char* attribute_type_name(AttributeType type);

struct Scope;

/// An attribute and the scope in which a graph it holds finds outer values: for one passed on to a function, the caller's.
struct BoundAttribute {
  const onnxpb::AttributeProto* proto = nullptr;
  AttributeType type = AttributeType::kUndefined;
  const Scope* scope = nullptr;
};
using BoundAttributes = std::unordered_map<std::string_view, BoundAttribute>;

class Attributes {
 public:
  /// Checks names, types and contents. References to attributes of the enclosing function are replaced by what its caller gave.
  static Result<Attributes> of(const onnxpb::NodeProto& node, const Scope& scope);

  bool has(std::string_view name);
  /// Null when the node does not have it. An error when its type is another.
  Result<const BoundAttribute*> get(std::string_view name, AttributeType type);
  /// Null when the node does not have it.
  const BoundAttribute* get_any(std::string_view name);
  /// An attribute that no getter asked for.
  const std::string* unread() const;

  struct Entry {
    std::string name;
    BoundAttribute attribute;
    bool read = false;
  };
  const std::vector<Entry>& all() const { return entries_; }

 private:
  Entry* find(std::string_view name);
  std::vector<Entry> entries_;
};

/// What the file says the attribute's type is, checked against the fields that are set.
Result<AttributeType> checked_type(const onnxpb::AttributeProto& attribute);

}  // namespace tenon::onnx
