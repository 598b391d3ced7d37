// NumPy's .npy format (versions 1 to 3), and .npz through libzip.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tenon/tenon.hpp"

namespace tenon::cli {

/// The array in the bytes of a .npy file. Fortran order is transposed; big-endian bytes are swapped. Failure when malformed.
/// ml_dtypes arrays are stored by NumPy as raw bytes ("V2"): they take the type `wanted` when its size fits.
Tensor parse_npy(std::string_view bytes, const std::string& name, DType wanted = DType::kUndefined);
/// Failure when it is no tensor.
std::string format_npy(const Tensor& tensor);

/// Every array of a .npz archive by name, in the order of the archive.
std::vector<std::pair<std::string, std::string>> read_npz(const std::string& path);
void write_npz(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& arrays);

}  // namespace tenon::cli
