#include "npy.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "app.h"
#ifdef TENON_HAS_ZIP
#include <zip.h>
#endif

namespace tenon::cli {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct Descr {
  const char* text;
  DType dtype;
};
constexpr Descr kDescrs[] = {
    {"f4", DType::kFloat32}, {"f8", DType::kFloat64}, {"f2", DType::kFloat16},   {"i1", DType::kInt8},        {"i2", DType::kInt16},
    {"i4", DType::kInt32},   {"i8", DType::kInt64},   {"u1", DType::kUint8},     {"u2", DType::kUint16},      {"u4", DType::kUint32},
    {"u8", DType::kUint64},  {"b1", DType::kBool},    {"c8", DType::kComplex64}, {"c16", DType::kComplex128},
};

struct Header {
  char order = '<';
  std::string descr;  // without the byte order
  bool fortran = false;
  Dims dims;
};

/// The value of a key of the header's dict literal: the text up to the next key.
std::string_view field(std::string_view header, std::string_view key, const std::string& name) {
  const size_t at = header.find("'" + std::string(key) + "'");
  const size_t colon = at == std::string_view::npos ? at : header.find(':', at);
  if (colon == std::string_view::npos) throw Failure{kFile, name + ": no '" + std::string(key) + "' in its .npy header"};
  std::string_view value = header.substr(colon + 1);
  while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  return value;
}

Header parse_header(std::string_view text, const std::string& name) {
  Header h;
  const std::string_view descr = field(text, "descr", name);
  const size_t end = descr.empty() || descr.front() != '\'' ? std::string_view::npos : descr.find('\'', 1);
  if (end == std::string_view::npos || end < 3) throw Failure{kFile, name + ": structured dtypes are not supported"};
  h.order = descr[1];
  h.descr = descr.substr(2, end - 2);
  h.fortran = field(text, "fortran_order", name).substr(0, 4) == "True";
  std::string_view shape = field(text, "shape", name);
  const size_t close = shape.find(')');
  if (shape.empty() || shape.front() != '(' || close == std::string_view::npos)
    throw Failure{kFile, name + ": malformed shape in its .npy header"};
  for (size_t i = 1; i < close;) {
    if (!std::isdigit(static_cast<unsigned char>(shape[i]))) {
      ++i;
      continue;
    }
    int64_t dim = 0;
    for (; i < close && std::isdigit(static_cast<unsigned char>(shape[i])); ++i) {
      if (dim > (INT64_MAX - 9) / 10) throw Failure{kFile, name + ": a dim of its .npy header overflows"};
      dim = dim * 10 + (shape[i] - '0');
    }
    h.dims.push_back(dim);
  }
  return h;
}

/// Copies `count` elements of `size` bytes from column-major to row-major order.
void transpose_fortran(const char* src, char* dst, const Dims& dims, size_t size) {
  int64_t count = 1;
  for (const int64_t d : dims) count *= d;
  std::vector<int64_t> index(dims.size(), 0), stride(dims.size(), 1);
  for (size_t i = 1; i < dims.size(); ++i) stride[i] = stride[i - 1] * dims[i - 1];
  for (int64_t k = 0; k < count; ++k) {
    int64_t at = 0;
    for (size_t i = 0; i < dims.size(); ++i) at += index[i] * stride[i];
    std::memcpy(dst + static_cast<size_t>(k) * size, src + static_cast<size_t>(at) * size, size);
    for (size_t i = dims.size(); i-- > 0 && ++index[i] == dims[i];) index[i] = 0;
  }
}

void swap_bytes(char* data, size_t count, size_t size) {
  for (size_t i = 0; i < count; ++i) std::reverse(data + i * size, data + (i + 1) * size);
}

std::string encode_utf8(uint32_t c) {
  std::string s;
  if (c < 0x80) {
    s += static_cast<char>(c);
  } else if (c < 0x800) {
    s += static_cast<char>(0xC0 | c >> 6), s += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    s += static_cast<char>(0xE0 | c >> 12), s += static_cast<char>(0x80 | (c >> 6 & 63)), s += static_cast<char>(0x80 | (c & 63));
  } else {
    s += static_cast<char>(0xF0 | c >> 18), s += static_cast<char>(0x80 | (c >> 12 & 63)), s += static_cast<char>(0x80 | (c >> 6 & 63)),
        s += static_cast<char>(0x80 | (c & 63));
  }
  return s;
}

/// Fixed-width strings: 'U' holds 4-byte code points, 'S' bytes; both are padded with zeros.
Tensor parse_strings(const Header& h, const char* data, size_t count, size_t width) {
  std::vector<std::string> values(count);
  for (size_t i = 0; i < count; ++i) {
    if (h.descr[0] == 'S') {
      values[i].assign(data + i * width, strnlen(data + i * width, width));
      continue;
    }
    for (size_t k = 0; k < width; ++k) {
      uint32_t c;
      std::memcpy(&c, data + (i * width + k) * 4, 4);
      if (h.order == '>') c = __builtin_bswap32(c);
      if (c == 0) break;
      values[i] += encode_utf8(c);
    }
  }
  return Tensor::strings(values, h.dims);
}

}  // namespace

Tensor parse_npy(std::string_view bytes, const std::string& name, DType wanted) {
  if (bytes.size() < 10 || bytes.substr(0, kMagic.size()) != kMagic) throw Failure{kFile, name + ": not a .npy file"};
  const int major = bytes[6];
  const size_t start = major == 1 ? 10 : 12;
  if (bytes.size() < start) throw Failure{kFile, name + ": truncated .npy file"};
  size_t length = 0;
  for (size_t i = 0; i < start - 8; ++i) length |= static_cast<size_t>(static_cast<unsigned char>(bytes[8 + i])) << (8 * i);
  if (bytes.size() - start < length) throw Failure{kFile, name + ": truncated .npy file"};
  const Header h = parse_header(bytes.substr(start, length), name);
  const std::string_view data = bytes.substr(start + length);

  size_t count = 1;
  for (const int64_t d : h.dims) {
    if (__builtin_mul_overflow(count, static_cast<size_t>(d), &count)) throw Failure{kFile, name + ": its shape overflows"};
  }
  DType dtype = DType::kUndefined;
  for (const Descr& d : kDescrs) {
    if (h.descr == d.text) dtype = d.dtype;
  }
  size_t width = h.descr.size() > 1 ? std::strtoul(h.descr.c_str() + 1, nullptr, 10) : 0;
  const bool is_text = h.descr[0] == 'U' || h.descr[0] == 'S';
  if (dtype == DType::kUndefined && h.descr[0] == 'V' && width > 0 && size_of(wanted) == width) dtype = wanted;
  if (dtype == DType::kUndefined && !is_text) {
    throw Failure{kFile, name + ": dtype '" + h.descr + "' has no ONNX type" + (h.descr == "O" ? " (pickled objects are not read)" : "")};
  }
  const size_t element = is_text ? (h.descr[0] == 'U' ? 4 * width : width) : size_of(dtype);
  size_t needed = 0;
  if (__builtin_mul_overflow(count, element, &needed) || data.size() < needed) {
    throw Failure{kFile, name + ": its shape needs " + std::to_string(needed) + " bytes, the file holds " + std::to_string(data.size())};
  }
  if (is_text) return parse_strings(h, data.data(), count, width);
  Tensor tensor(dtype, h.dims);
  auto* out = static_cast<char*>(tensor.data());
  if (needed == 0) return tensor;
  if (h.fortran && h.dims.size() > 1) {
    transpose_fortran(data.data(), out, h.dims, element);
  } else {
    std::memcpy(out, data.data(), needed);
  }
  if (h.order == '>' && element > 1) {
    const bool is_complex = dtype == DType::kComplex64 || dtype == DType::kComplex128;
    swap_bytes(out, is_complex ? 2 * count : count, is_complex ? element / 2 : element);
  }
  return tensor;
}

std::string format_npy(const Tensor& tensor) {
  if (tensor.kind() != Kind::kTensor)
    throw Failure{kFile, "a sequence or none is no array: save it as .json, a sequence also as a .npz of its own"};
  std::string descr, data;
  if (tensor.dtype() == DType::kString) {
    size_t width = 1;
    for (size_t i = 0; i < tensor.count(); ++i) width = std::max(width, tensor.string(i).size());
    descr = "|S" + std::to_string(width);
    for (size_t i = 0; i < tensor.count(); ++i) {
      std::string cell(tensor.string(i));
      cell.resize(width, '\0');
      data += cell;
    }
  } else {
    descr = "|V" + std::to_string(size_of(tensor.dtype()));
    for (const Descr& d : kDescrs) {
      if (tensor.dtype() == d.dtype) descr = (size_of(d.dtype) == 1 ? "|" : "<") + std::string(d.text);
    }
    if (tensor.bytes()) data.assign(static_cast<const char*>(tensor.data()), tensor.bytes());
  }
  std::string shape;
  for (const int64_t d : tensor.dims()) shape += std::to_string(d) + ", ";
  if (tensor.rank() > 1) shape.resize(shape.size() - 2);
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes(kMagic);
  bytes += std::string("\x01\x00", 2);
  bytes += static_cast<char>(header.size() & 255);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

#ifdef TENON_HAS_ZIP
std::vector<std::pair<std::string, std::string>> read_npz(const std::string& path) {
  int code = 0;
  const std::unique_ptr<zip_t, void (*)(zip_t*)> archive(zip_open(path.c_str(), ZIP_RDONLY, &code), [](zip_t* z) {
    if (z) zip_discard(z);
  });
  if (!archive) throw Failure{kFile, "cannot read '" + path + "' as a .npz archive"};
  std::vector<std::pair<std::string, std::string>> arrays;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive.get(), 0); ++i) {
    zip_stat_t stat;
    if (zip_stat_index(archive.get(), static_cast<zip_uint64_t>(i), 0, &stat) != 0) continue;
    std::string name = stat.name;
    if (name.size() > 4 && name.compare(name.size() - 4, 4, ".npy") == 0) name.resize(name.size() - 4);
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen_index(archive.get(), static_cast<zip_uint64_t>(i), 0),
                                                                 zip_fclose);
    std::string bytes;
    std::string block(1 << 16, '\0');
    zip_int64_t got = file ? 1 : -1;
    while (got > 0) {
      got = zip_fread(file.get(), block.data(), block.size());
      if (got > 0) bytes.append(block, 0, static_cast<size_t>(got));
    }
    if (got < 0) throw Failure{kFile, path + ": cannot unpack '" + name + "'"};
    arrays.emplace_back(std::move(name), std::move(bytes));
  }
  return arrays;
}

void write_npz(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& arrays) {
  int code = 0;
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (!archive) throw Failure{kFile, "cannot write '" + path + "'"};
  std::vector<std::string> files;  // the archive reads them when it closes
  for (const auto& [name, tensor] : arrays) files.push_back(format_npy(tensor));
  for (size_t i = 0; i < files.size(); ++i) {
    zip_source_t* source = zip_source_buffer(archive, files[i].data(), files[i].size(), 0);
    const zip_int64_t entry = source ? zip_file_add(archive, (arrays[i].first + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8) : -1;
    if (entry < 0 || zip_set_file_compression(archive, static_cast<zip_uint64_t>(entry), ZIP_CM_STORE, 0) != 0) {
      zip_discard(archive);
      throw Failure{kFile, path + ": cannot add '" + arrays[i].first + "'"};
    }
  }
  if (zip_close(archive) != 0) {
    zip_discard(archive);
    throw Failure{kFile, "cannot write '" + path + "'"};
  }
}
#else
std::vector<std::pair<std::string, std::string>> read_npz(const std::string&) {
  throw Failure{kFile, "this build reads no .npz archives (libzip was missing)"};
}
void write_npz(const std::string&, const std::vector<std::pair<std::string, Tensor>>&) {
  throw Failure{kFile, "this build writes no .npz archives (libzip was missing)"};
}
#endif

}  // namespace tenon::cli
