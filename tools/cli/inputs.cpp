// Inputs of the command line: read from files and JSON, or made up.
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "npy.h"
#include "values.h"

namespace tenon::cli {
namespace {

bool is_file(const std::string& path) {
  struct stat s;
  return stat(path.c_str(), &s) == 0 && !S_ISDIR(s.st_mode);
}

/// The lengths of nested lists, told by the first of each level.
Dims lengths(const Json& json, const std::string& name) {
  Dims dims;
  for (const Json* list = &json; list->is_array(); list = &list->front()) {
    if (dims.size() == 16) throw Failure{kFile, name + ": lists deeper than 16"};
    dims.push_back(static_cast<int64_t>(list->size()));
    if (list->empty()) break;
  }
  return dims;
}

void collect(const Json& json, size_t depth, const Dims& dims, std::vector<const Json*>& leaves, const std::string& name) {
  if (!json.is_array()) {
    if (depth != dims.size()) throw Failure{kFile, name + ": lists of unequal depth"};
    leaves.push_back(&json);
    return;
  }
  const auto size = static_cast<int64_t>(json.size());
  if (depth == dims.size()) throw Failure{kFile, name + ": lists of unequal depth"};
  if (dims[depth] != size) {
    throw Failure{kFile, name + ": lists of unequal length, " + std::to_string(dims[depth]) + " and " + std::to_string(size)};
  }
  for (const Json& item : json) collect(item, depth + 1, dims, leaves, name);
}

DType dtype_named(const std::string& name) {
  for (int d = 1; d <= TENON_INT2; ++d) {
    if (name_of(static_cast<DType>(d)) == name) return static_cast<DType>(d);
  }
  throw Failure{kFile, "unknown dtype '" + name + "'"};
}

/// Nested lists, a number, or {"dtype": ..., "shape": [...], "data": [...]}.
Tensor from_json(const Json& json, const std::string& name, DType wanted) {
  const bool full = json.is_object();
  if (full && !json.contains("data")) throw Failure{kFile, name + ": an object that describes a tensor holds \"data\""};
  if (full && json.contains("dtype")) wanted = dtype_named(json["dtype"].get<std::string>());
  const Json& data = full ? json["data"] : json;
  Dims dims = lengths(data, name);
  std::vector<const Json*> leaves;
  collect(data, 0, dims, leaves, name);
  if (full && json.contains("shape")) {
    Dims shape = json["shape"].get<Dims>();
    double count = 1;
    for (const int64_t d : shape) count *= static_cast<double>(d);
    if (count != static_cast<double>(leaves.size()))
      throw Failure{kFile, name + ": its shape and its " + std::to_string(leaves.size()) + " elements do not fit"};
    dims = std::move(shape);
  }
  if (wanted == DType::kUndefined) {
    const bool text = !leaves.empty() && leaves[0]->is_string();
    wanted = text                                                                                              ? DType::kString
             : std::all_of(leaves.begin(), leaves.end(), [](const Json* j) { return j->is_number_integer(); }) ? DType::kInt64
                                                                                                               : DType::kFloat32;
  }
  if (wanted == DType::kString) {
    std::vector<std::string> values;
    for (const Json* leaf : leaves) {
      if (!leaf->is_string()) throw Failure{kFile, name + ": expected strings, got " + leaf->dump()};
      values.push_back(leaf->get<std::string>());
    }
    return Tensor::strings(values, dims);
  }
  Tensor t(wanted, dims);
  for (size_t i = 0; i < leaves.size(); ++i) {
    const Json& leaf = *leaves[i];
    if (!leaf.is_number() && !leaf.is_boolean() && !leaf.is_null()) throw Failure{kFile, name + ": expected numbers, got " + leaf.dump()};
    // null stands for NaN, which JSON has no word for.
    const double d = leaf.is_null() ? NAN : leaf.is_boolean() ? leaf.get<bool>() : leaf.get<double>();
    const int64_t n = leaf.is_number_unsigned()  ? static_cast<int64_t>(leaf.get<uint64_t>())
                      : leaf.is_number_integer() ? leaf.get<int64_t>()
                      : leaf.is_boolean()        ? leaf.get<bool>()
                      : std::isfinite(d)         ? static_cast<int64_t>(d)
                                                 : 0;
    set_element(t, i, d, n);
  }
  return t;
}

Json parse_json(const std::string& text, const std::string& name) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) throw Failure{kFile, name + ": not valid JSON"};
  return json;
}

/// As from_json, for an input or output of this type: a list is a sequence's items, null is none.
Tensor value_from_json(const Json& json, const std::string& name, const ValueInfo& v) {
  if (v.nullable && json.is_null()) return {};
  if (!v.sequence) return from_json(json, name, v.dtype);
  if (!json.is_array()) throw Failure{kFile, name + ": expected a list of the sequence's items"};
  std::vector<Tensor> items;
  for (const Json& item : json) items.push_back(from_json(item, name + "[" + std::to_string(items.size()) + "]", v.dtype));
  return Tensor::sequence(v.dtype, items);
}

ValueInfo input_named(const Model& model, const std::string& name) { return model.input(model.find_input(name)); }

}  // namespace

namespace {

Tensor read_tensor(const std::string& argument, DType wanted) {
  std::string path = argument, key;
  const size_t colon = argument.rfind(".npz:");
  if (colon != std::string::npos) path = argument.substr(0, colon + 4), key = argument.substr(colon + 5);
  if (ends_with(path, ".npz")) {
    const auto arrays = read_npz(path);
    for (const auto& [name, bytes] : arrays) {
      if (name == key || (key.empty() && arrays.size() == 1)) return parse_npy(bytes, path + ":" + name, wanted);
    }
    throw Failure{kFile, path + (key.empty() ? ": holds " + std::to_string(arrays.size()) + " arrays: say which, as " + path + ":NAME"
                                             : ": no array '" + key + "'")};
  }
  const std::string bytes = read_file(path);
  if (ends_with(path, ".pb")) return Tensor::parse(bytes);
  if (ends_with(path, ".json")) return from_json(parse_json(bytes, path), path, wanted);
  return parse_npy(bytes, path, wanted);
}

}  // namespace

Tensor read_value(const std::string& path, const ValueInfo& v) {
  if (!v.sequence && !v.nullable) return read_tensor(path, v.dtype);
  if (ends_with(path, ".json")) return value_from_json(parse_json(read_file(path), path), path, v);
  if (ends_with(path, ".pb")) {
    const std::string bytes = read_file(path);
    return v.nullable ? Tensor::parse_optional(bytes, v.dtype) : Tensor::parse_sequence(bytes, v.dtype);
  }
  if (!v.sequence) return read_tensor(path, v.dtype);
  if (!ends_with(path, ".npz")) throw Failure{kFile, path + ": a sequence is read from .npz (its items in order), .pb or .json"};
  std::vector<Tensor> items;
  for (const auto& [name, bytes] : read_npz(path)) items.push_back(parse_npy(bytes, path + ":" + name, v.dtype));
  return Tensor::sequence(v.dtype, items);
}

Inputs read_inputs(const Model& model, const std::vector<std::string>& arguments) {
  Inputs inputs;
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    if (equals != std::string::npos && !is_file(argument)) {
      const std::string name = argument.substr(0, equals), value = argument.substr(equals + 1);
      const ValueInfo v = input_named(model, name);
      const bool names_file = is_file(value) || value.find(".npz:") != std::string::npos;
      Json json = names_file ? Json() : Json::parse(value, nullptr, false);
      if (!names_file && json.is_discarded()) throw Failure{kFile, "--input " + argument + ": '" + value + "' is neither a file nor JSON"};
      inputs.emplace_back(name, names_file ? read_value(value, v) : value_from_json(json, "--input " + name, v));
      continue;
    }
    if (!is_file(argument)) throw Failure{kFile, "cannot read '" + argument + "'"};
    if (ends_with(argument, ".npz")) {
      for (const auto& [name, bytes] : read_npz(argument))
        inputs.emplace_back(name, parse_npy(bytes, argument + ":" + name, input_named(model, name).dtype));
      continue;
    }
    if (ends_with(argument, ".json")) {
      const Json json = parse_json(read_file(argument), argument);
      if (json.is_object() && !json.contains("data")) {
        for (const auto& [name, value] : json.items())
          inputs.emplace_back(name, value_from_json(value, argument + ": " + name, input_named(model, name)));
        continue;
      }
    }
    // An array without a name is the first input that has none yet.
    const auto all = model.inputs();
    const auto free = std::find_if(all.begin(), all.end(), [&](const ValueInfo& v) {
      return std::none_of(inputs.begin(), inputs.end(), [&](const auto& given) { return given.first == v.name; });
    });
    if (free == all.end()) throw Failure{kUsage, "--input " + argument + ": every input of the model is given already"};
    inputs.emplace_back(std::string(free->name), read_value(argument, *free));
  }
  return inputs;
}

void RandomOptions::add_to(CLI::App& app) {
  app.add_option("--seed", seed, "Seed of random inputs")->capture_default_str();
  app.add_option("--int-max", int_max, "Random integers are drawn from 0 to this")->capture_default_str();
  app.add_option("--shape", shapes, "Shape of a random input")
      ->type_name("NAME=1,3,224,224")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

Inputs random_inputs(const Model& model, const Inputs& given, const RandomOptions& options, std::vector<std::string>& notes) {
  std::map<std::string, Dims> shapes;
  for (const std::string& text : options.shapes) {
    const size_t equals = text.rfind('=');
    if (equals == std::string::npos) throw Failure{kUsage, "--shape takes NAME=1,3,224,224, got '" + text + "'"};
    Dims& dims = shapes[text.substr(0, equals)];
    for (size_t i = equals + 1; i < text.size();) {
      char* end = nullptr;
      const int64_t dim = std::strtoll(text.c_str() + i, &end, 10);
      if (end == text.c_str() + i || dim < 0 || (*end && *end != ',' && *end != 'x'))
        throw Failure{kUsage, "--shape takes NAME=1,3,224,224, got '" + text + "'"};
      dims.push_back(dim);
      i = static_cast<size_t>(end - text.c_str()) + 1;
    }
  }
  for (const auto& [name, dims] : shapes) (void)model.find_input(name);

  std::mt19937_64 generator(options.seed);
  Inputs inputs;
  for (const ValueInfo& v : model.inputs()) {
    const std::string name(v.name);
    if (v.optional || std::any_of(given.begin(), given.end(), [&](const auto& g) { return g.first == name; })) continue;
    if (v.sequence) throw Failure{kUsage, "input " + name + " is a sequence, which is not made up: give it with --input"};
    Dims dims;
    if (const auto shape = shapes.find(name); shape != shapes.end()) {
      dims = shape->second;
    } else {
      for (size_t i = 0; i < v.dims.size(); ++i) {
        const std::string symbol(i < v.symbols.size() ? v.symbols[i] : "?");
        const auto known = options.dims.find(symbol);
        dims.push_back(v.dims[i] >= 0 ? v.dims[i] : known != options.dims.end() ? known->second : 1);
        if (v.dims[i] < 0 && known == options.dims.end()) {
          const std::string note = symbol == "?" ? "dim " + std::to_string(i) + " of " + name + " taken as 1 (set it with --shape)"
                                                 : "dim '" + symbol + "' taken as 1 (set it with --dim '" + symbol + "=SIZE')";
          if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(note);
        }
      }
      if (!v.ranked) notes.push_back("input " + name + " of unknown rank taken as a scalar (set it with --shape)");
    }
    Tensor t(v.dtype, dims);
    if (v.dtype != DType::kString) {
      std::normal_distribution<double> normal;
      std::uniform_int_distribution<int64_t> integer(0, std::max<int64_t>(0, options.int_max));
      for (size_t i = 0; i < t.count(); ++i) {
        const double d = normal(generator);
        set_element(t, i, d, integer(generator));
      }
    }
    inputs.emplace_back(name, std::move(t));
  }
  return inputs;
}

}  // namespace tenon::cli
