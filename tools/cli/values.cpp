#include "values.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "npy.h"

namespace tenon::cli {
namespace {

bool ends_with(const std::string& s, std::string_view tail) {
  return s.size() >= tail.size() && s.compare(s.size() - tail.size(), tail.size(), tail) == 0;
}

bool is_file(const std::string& path) {
  struct stat s;
  return stat(path.c_str(), &s) == 0 && !S_ISDIR(s.st_mode);
}

float from_half(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int mantissa = bits & 1023;
  const float sign = bits & 0x8000 ? -1.0F : 1.0F;
  if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
  return sign * (exponent ? std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25) : std::ldexp(static_cast<float>(mantissa), -24));
}

uint16_t to_half(double value) {
#if defined(__FLT16_MAX__)
  const auto half = static_cast<_Float16>(value);
  uint16_t bits;
  std::memcpy(&bits, &half, 2);
  return bits;
#else
  uint16_t best = 0;
  if (std::isnan(value)) return 0x7E00;
  for (int bit = 14; bit >= 0; --bit) {
    const auto next = static_cast<uint16_t>(best | 1 << bit);
    if (next < 0x7C00 && from_half(next) <= std::fabs(value)) best = next;
  }
  return static_cast<uint16_t>(best | (std::signbit(value) ? 0x8000 : 0));
#endif
}

float from_bfloat(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

template <class T>
T at(const Tensor& t, size_t i) {
  T value;
  std::memcpy(&value, static_cast<const char*>(t.data()) + i * sizeof(T), sizeof(T));
  return value;
}

template <class T>
void put(const Tensor& t, size_t i, T value) {
  std::memcpy(static_cast<char*>(t.data()) + i * sizeof(T), &value, sizeof(T));
}

/// Writes a number as the tensor's type. Types that have no arithmetic here (float8, float4) take the number as their bits.
void set_element(const Tensor& t, size_t i, double d, int64_t n) {
  switch (t.dtype()) {
    case DType::kFloat32: return put(t, i, static_cast<float>(d));
    case DType::kFloat64: return put(t, i, d);
    case DType::kFloat16: return put(t, i, to_half(d));
    case DType::kBFloat16: {
      const auto value = static_cast<float>(d);
      uint32_t wide;
      std::memcpy(&wide, &value, 4);
      return put(t, i, static_cast<uint16_t>((wide + 0x7FFF + (wide >> 16 & 1)) >> 16));
    }
    case DType::kInt16: return put(t, i, static_cast<int16_t>(n));
    case DType::kUint16: return put(t, i, static_cast<uint16_t>(n));
    case DType::kInt32: return put(t, i, static_cast<int32_t>(n));
    case DType::kUint32: return put(t, i, static_cast<uint32_t>(n));
    case DType::kInt64:
    case DType::kUint64: return put(t, i, n);
    case DType::kBool: return put(t, i, static_cast<uint8_t>(n != 0));
    case DType::kComplex64: put(t, 2 * i, static_cast<float>(d)); return put(t, 2 * i + 1, 0.0F);
    case DType::kComplex128: put(t, 2 * i, d); return put(t, 2 * i + 1, 0.0);
    default: return put(t, i, static_cast<uint8_t>(n));
  }
}

void collect(const Json& json, size_t depth, Dims& dims, std::vector<const Json*>& leaves, const std::string& name) {
  if (!json.is_array()) {
    if (depth != dims.size()) throw Failure{kFile, name + ": lists of unequal depth"};
    leaves.push_back(&json);
    return;
  }
  const auto size = static_cast<int64_t>(json.size());
  if (depth == dims.size()) {
    if (!leaves.empty() || depth >= 16) throw Failure{kFile, name + ": lists of unequal depth"};
    dims.push_back(size);
  } else if (dims[depth] != size) {
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
  Dims dims;
  std::vector<const Json*> leaves;
  collect(full ? json["data"] : json, 0, dims, leaves, name);
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

DType wanted_of(const Model& model, const std::string& name) { return model.input(model.find_input(name)).dtype; }

}  // namespace

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

Inputs read_inputs(const Model& model, const std::vector<std::string>& arguments) {
  Inputs inputs;
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    if (equals != std::string::npos && !is_file(argument)) {
      const std::string name = argument.substr(0, equals), value = argument.substr(equals + 1);
      const DType wanted = wanted_of(model, name);
      const bool names_file = is_file(value) || value.find(".npz:") != std::string::npos;
      Json json = names_file ? Json() : Json::parse(value, nullptr, false);
      if (!names_file && json.is_discarded()) throw Failure{kFile, "--input " + argument + ": '" + value + "' is neither a file nor JSON"};
      inputs.emplace_back(name, names_file ? read_tensor(value, wanted) : from_json(json, "--input " + name, wanted));
      continue;
    }
    if (!is_file(argument)) throw Failure{kFile, "cannot read '" + argument + "'"};
    if (ends_with(argument, ".npz")) {
      for (const auto& [name, bytes] : read_npz(argument))
        inputs.emplace_back(name, parse_npy(bytes, argument + ":" + name, wanted_of(model, name)));
      continue;
    }
    if (ends_with(argument, ".json")) {
      const Json json = parse_json(read_file(argument), argument);
      if (json.is_object() && !json.contains("data")) {
        for (const auto& [name, value] : json.items())
          inputs.emplace_back(name, from_json(value, argument + ": " + name, wanted_of(model, name)));
        continue;
      }
    }
    // An array without a name is the first input that has none yet.
    const auto all = model.inputs();
    const auto free = std::find_if(all.begin(), all.end(), [&](const ValueInfo& v) {
      return std::none_of(inputs.begin(), inputs.end(), [&](const auto& given) { return given.first == v.name; });
    });
    if (free == all.end()) throw Failure{kUsage, "--input " + argument + ": every input of the model is given already"};
    inputs.emplace_back(std::string(free->name), read_tensor(argument, free->dtype));
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

double element(const Tensor& t, size_t i) {
  switch (t.dtype()) {
    case DType::kFloat32: return static_cast<double>(at<float>(t, i));
    case DType::kFloat64: return at<double>(t, i);
    case DType::kFloat16: return static_cast<double>(from_half(at<uint16_t>(t, i)));
    case DType::kBFloat16: return static_cast<double>(from_bfloat(at<uint16_t>(t, i)));
    case DType::kInt8:
    case DType::kInt4:
    case DType::kInt2: return at<int8_t>(t, i);
    case DType::kInt16: return at<int16_t>(t, i);
    case DType::kUint16: return at<uint16_t>(t, i);
    case DType::kInt32: return at<int32_t>(t, i);
    case DType::kUint32: return at<uint32_t>(t, i);
    case DType::kInt64: return static_cast<double>(at<int64_t>(t, i));
    case DType::kUint64: return static_cast<double>(at<uint64_t>(t, i));
    case DType::kComplex64: return static_cast<double>(at<float>(t, 2 * i));
    case DType::kComplex128: return at<double>(t, 2 * i);
    case DType::kString: return NAN;
    default: return at<uint8_t>(t, i);
  }
}

namespace {

bool is_integral(DType d) {
  switch (d) {
    case DType::kFloat32:
    case DType::kFloat64:
    case DType::kFloat16:
    case DType::kBFloat16:
    case DType::kComplex64:
    case DType::kComplex128: return false;
    default: return true;
  }
}

Json element_json(const Tensor& t, size_t i) {
  if (t.dtype() == DType::kString) return std::string(t.string(i));
  if (t.dtype() == DType::kBool) return at<uint8_t>(t, i) != 0;
  if (t.dtype() == DType::kInt64) return at<int64_t>(t, i);
  if (t.dtype() == DType::kUint64) return at<uint64_t>(t, i);
  const double d = element(t, i);
  if (is_integral(t.dtype())) return static_cast<int64_t>(d);
  if (t.dtype() == DType::kFloat32 && std::isfinite(d)) {
    // The shortest decimal of the float, not of the double it widens to.
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", d);
    for (int digits = 6; digits < 9; ++digits) {
      char shorter[32];
      std::snprintf(shorter, sizeof shorter, "%.*g", digits, d);
      if (std::strtof(shorter, nullptr) == static_cast<float>(d)) {
        std::memcpy(text, shorter, sizeof text);
        break;
      }
    }
    return std::strtod(text, nullptr);
  }
  return std::isfinite(d) ? Json(d) : Json(nullptr);
}

Json nested(const Tensor& t, size_t depth, size_t& next) {
  if (depth == t.rank()) return element_json(t, next++);
  Json list = Json::array();
  for (int64_t i = 0; i < t.dims()[depth]; ++i) list.push_back(nested(t, depth + 1, next));
  return list;
}

}  // namespace

Json to_json(const Tensor& t) {
  size_t next = 0;
  if (t.count() == 0) return Json::array();
  return nested(t, 0, next);
}

std::string preview(const Tensor& t, size_t most) {
  std::string line;
  for (size_t i = 0; i < std::min(t.count(), most); ++i) {
    char text[32];
    if (i) line += ", ";
    if (t.dtype() == DType::kString || t.dtype() == DType::kBool || is_integral(t.dtype())) {
      line += element_json(t, i).dump(-1, ' ', false, Json::error_handler_t::replace);
    } else {
      std::snprintf(text, sizeof text, "%.5g", element(t, i));
      line += text;
    }
  }
  return line + (t.count() > most ? ", ..." : "");
}

Difference compare(const Tensor& got, const Tensor& expected, double rtol, double atol) {
  Difference d;
  const auto differ = [&](std::string text) {
    d.equal = false;
    d.text = std::move(text);
    return d;
  };
  if (got.dtype() != expected.dtype() ||
      !std::equal(got.dims().begin(), got.dims().end(), expected.dims().begin(), expected.dims().end())) {
    return differ("expected " + type_text(expected.dtype(), expected.dims()) + ", got " + type_text(got.dtype(), got.dims()));
  }
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < got.count(); ++i) {
    bool same = true;
    if (got.dtype() == DType::kString) {
      same = got.string(i) == expected.string(i);
    } else {
      const double a = element(got, i), b = element(expected, i);
      const double gap = std::fabs(a - b);
      same = a == b || (std::isnan(a) && std::isnan(b)) || gap <= atol + rtol * std::fabs(b);
      if (std::isfinite(gap)) d.worst = std::max(d.worst, gap);
    }
    if (!same && wrong++ == 0) first = i;
  }
  if (!wrong) return d;
  const auto shown = [&](const Tensor& t) { return element_json(t, first).dump(-1, ' ', false, Json::error_handler_t::replace); };
  return differ(std::to_string(wrong) + " of " + std::to_string(got.count()) + " elements differ; the first, " + std::to_string(first) +
                ": expected " + shown(expected) + ", got " + shown(got));
}

}  // namespace tenon::cli
