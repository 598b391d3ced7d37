#include "importers/onnx/attributes.h"

#include <unordered_set>

#include "importers/onnx/scope.h"
#include "importers/onnx/utf8.h"

namespace tenon::onnx {

namespace {
using T = AttributeType;

/// Whether the field of `type` is set in `a`.
bool holds(const onnxpb::AttributeProto& a, AttributeType type) {
  switch (type) {
    case T::kFloat: return a.has_f();
    case T::kInt: return a.has_i();
    case T::kString: return a.has_s();
    case T::kTensor: return a.has_t();
    case T::kGraph: return a.has_g();
    case T::kFloats: return a.floats_size() > 0;
    case T::kInts: return a.ints_size() > 0;
    case T::kStrings: return a.strings_size() > 0;
    case T::kTensors: return a.tensors_size() > 0;
    case T::kGraphs: return a.graphs_size() > 0;
    case T::kSparseTensor: return a.has_sparse_tensor();
    case T::kSparseTensors: return a.sparse_tensors_size() > 0;
    case T::kTypeProto: return a.has_tp();
    case T::kTypeProtos: return a.type_protos_size() > 0;
    case T::kUndefined: return false;
  }
  return false;
}

constexpr T kTypes[] = {T::kFloat,   T::kInt,     T::kString, T::kTensor,       T::kGraph,         T::kFloats,    T::kInts,
                        T::kStrings, T::kTensors, T::kGraphs, T::kSparseTensor, T::kSparseTensors, T::kTypeProto, T::kTypeProtos};
}  // namespace

const char* attribute_type_name(AttributeType type) {
  switch (type) {
    case T::kUndefined: return "UNDEFINED";
    case T::kFloat: return "FLOAT";
    case T::kInt: return "INT";
    case T::kString: return "STRING";
    case T::kTensor: return "TENSOR";
    case T::kGraph: return "GRAPH";
    case T::kFloats: return "FLOATS";
    case T::kInts: return "INTS";
    case T::kStrings: return "STRINGS";
    case T::kTensors: return "TENSORS";
    case T::kGraphs: return "GRAPHS";
    case T::kSparseTensor: return "SPARSE_TENSOR";
    case T::kSparseTensors: return "SPARSE_TENSORS";
    case T::kTypeProto: return "TYPE_PROTO";
    case T::kTypeProtos: return "TYPE_PROTOS";
  }
  return "an unknown type";
}

Result<AttributeType> checked_type(const onnxpb::AttributeProto& a) {
  const std::string name = printable(a.name());
  if (a.type() < 0 || a.type() > 14) return load_error("attribute '", name, "' has type ", a.type(), ", which is not one of ONNX's");
  auto type = static_cast<T>(a.type());
  for (const T other : kTypes) {
    if (other == type || !holds(a, other)) continue;
    // Files older than IR version 2 leave the type out.
    if (type != T::kUndefined) {
      return load_error("attribute '", name, "' says it is ", attribute_type_name(type), ", but holds ", attribute_type_name(other));
    }
    type = other;
  }
  const bool message = type == T::kTensor || type == T::kGraph || type == T::kSparseTensor || type == T::kTypeProto;
  if (type == T::kUndefined || (message && !holds(a, type))) {
    return load_error("attribute '", name, "' has no value", type == T::kUndefined ? "" : ", expected ",
                      type == T::kUndefined ? "" : attribute_type_name(type));
  }
  return type;
}

Result<Attributes> Attributes::of(const onnxpb::NodeProto& node, const Scope& scope) {
  Attributes out;
  std::unordered_set<std::string_view> names;
  for (const onnxpb::AttributeProto& a : node.attribute()) {
    if (a.name().empty()) return load_error("an attribute has no name");
    if (!names.insert(a.name()).second) return load_error("attribute '", printable(a.name()), "' is given twice");
    if (a.ref_attr_name().empty()) {
      TENON_ASSIGN(const AttributeType type, checked_type(a));
      out.entries_.push_back({a.name(), {&a, type, &scope}});
      continue;
    }
    if (!scope.call) {
      return load_error("attribute '", printable(a.name()), "' refers to attribute '", printable(a.ref_attr_name()),
                        "' of a function, but the node is not in one");
    }
    for (const T type : kTypes) {
      if (holds(a, type))
        return load_error("attribute '", printable(a.name()), "' has both a value and a reference, to '", printable(a.ref_attr_name()),
                          "'");
    }
    const auto given = scope.call->attributes.find(a.ref_attr_name());
    if (given == scope.call->attributes.end()) {
      if (scope.call->declares(a.ref_attr_name())) continue;  // optional, and the caller left it out
      return load_error("attribute '", printable(a.name()), "' refers to '", printable(a.ref_attr_name()), "', which function '",
                        printable(scope.call->function->name()), "' does not have");
    }
    if (a.type() != 0 && static_cast<T>(a.type()) != given->second.type) {
      return load_error("attribute '", printable(a.name()), "' expects ", attribute_type_name(static_cast<T>(a.type())), " from '",
                        printable(a.ref_attr_name()), "', the caller gave ", attribute_type_name(given->second.type));
    }
    out.entries_.push_back({a.name(), given->second});
  }
  return out;
}

Attributes::Entry* Attributes::find(std::string_view name) {
  for (Entry& e : entries_) {
    if (e.name == name) {
      e.read = true;
      return &e;
    }
  }
  return nullptr;
}

bool Attributes::has(std::string_view name) {
  for (const Entry& e : entries_) {
    if (e.name == name) return true;
  }
  return false;
}

const BoundAttribute* Attributes::get_any(std::string_view name) {
  Entry* e = find(name);
  return e ? &e->attribute : nullptr;
}

Result<const BoundAttribute*> Attributes::get(std::string_view name, AttributeType type) {
  const BoundAttribute* a = get_any(name);
  if (a && a->type != type) {
    return load_error("attribute '", name, "' is ", attribute_type_name(a->type), ", expected ", attribute_type_name(type));
  }
  return a;
}

const std::string* Attributes::unread() const {
  for (const Entry& e : entries_) {
    if (!e.read) return &e.name;
  }
  return nullptr;
}

}  // namespace tenon::onnx
