#include "importers/onnx/load.h"

#include <google/protobuf/arena.h>
#include <google/protobuf/io/coded_stream.h>

#include "importers/onnx/builder.h"
#include "importers/onnx/external.h"
#include "importers/onnx/skeleton.h"
#include "importers/onnx/tensor_reader.h"
#include "importers/onnx/watch.h"

namespace tenon::onnx {

namespace {

Result<ImportedModel> load_source(Source& source, const std::string& directory, const LoadOptions& options) {
  Watch watch(options.deadline, options.cancel, options.progress);
  TENON_TRY(watch.check());
  google::protobuf::Arena arena;
  auto* file = google::protobuf::Arena::CreateMessage<onnxpb::ModelProto>(&arena);
  {
    TENON_ASSIGN(const std::string skeleton, read_skeleton(source, options.limits, watch));
    google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(skeleton.data()), static_cast<int>(skeleton.size()));
    in.SetRecursionLimit(options.limits.nesting + 8);
    if (!file->ParseFromCodedStream(&in) || !in.ConsumedEntireMessage()) {
      return load_error("malformed: the file is not a valid ONNX protobuf message");
    }
  }
  ExternalFiles external(directory, options.map_weights);
  TensorReader tensors({source, external, options.limits, watch, options.allocator, options.map_weights});
  ImportedModel model;
  model.graph.source = source.name();
  TENON_TRY(Builder(*file, source.size(), tensors, options, watch, model).run());
  return model;
}

Result<ImportedModel> located(Result<ImportedModel> result, const std::string& name) {
  if (result.ok()) return result;
  return std::move(result).status().at_source(name);
}

}  // namespace

Result<ImportedModel> load(const std::string& path, const LoadOptions& options) {
  auto source = FileSource::open(path, options.map_weights);
  if (!source.ok()) return std::move(source).status();
  const size_t slash = path.rfind('/');
  const std::string beside = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  return located(load_source(**source, options.directory.empty() ? beside : options.directory, options), path);
}

Result<ImportedModel> load(std::span<const std::byte> bytes, const LoadOptions& options) {
  MemorySource source(bytes);
  return located(load_source(source, options.directory, options), source.name());
}

Result<ImportedModel> load(const ReadCallback& read, const LoadOptions& options) {
  StreamSource source(read, options.allocator);
  return located(load_source(source, options.directory, options), source.name());
}

}  // namespace tenon::onnx
