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

Result<ImportedModel> load_source(const std::shared_ptr<Source>& file_source, ExternalFiles& external, const LoadOptions& options) {
  Source& source = *file_source;
  const auto shared_watch = std::make_shared<Watch>(options.deadline, options.cancel, options.progress);
  Watch& watch = *shared_watch;
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
  ImportedModel model;
  model.graph.source = source.name();
  model.graph.faults = std::make_shared<ReadFaults>();
  TensorReader tensors({file_source, external, options.limits, shared_watch, model.graph.faults, options.allocator, options.cache,
                        options.verify_checksums});
  Status built = Builder(*file, source.size(), tensors, options, watch, model).run();
  TENON_TRY(model.graph.faults->first());  // what is built from bytes that could not be read has errors of its own
  TENON_TRY(std::move(built));
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
  ExternalFiles external(options.directory.empty() ? beside : options.directory, options.map_weights);
  if (options.directory.empty()) external.allow_links_like(path, **source);
  return located(load_source(*source, external, options), path);
}

Result<ImportedModel> load(std::span<const std::byte> bytes, const LoadOptions& options) {
  const auto source = std::make_shared<MemorySource>(bytes);
  ExternalFiles external(options.directory, options.map_weights);
  return located(load_source(source, external, options), source->name());
}

Result<ImportedModel> load(const ReadCallback& read, const LoadOptions& options) {
  const auto source = std::make_shared<StreamSource>(read, options.allocator);
  ExternalFiles external(options.directory, options.map_weights);
  return located(load_source(source, external, options), source->name());
}

}  // namespace tenon::onnx
