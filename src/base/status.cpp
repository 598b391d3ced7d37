#include "base/status.h"

#include <sstream>

namespace tenon {

const char* code_name(Code code) {
  switch (code) {
    case Code::kOk: return "ok";
    case Code::kArgument: return "argument";
    case Code::kLoad: return "load";
    case Code::kShape: return "shape";
    case Code::kRun: return "run";
    case Code::kLimit: return "limit";
    case Code::kCancelled: return "cancelled";
    case Code::kNoMem: return "nomem";
    case Code::kIo: return "io";
    case Code::kInternal: return "internal";
  }
  return "unknown";
}

Status::Status(Code code, std::string text) {
  if (code == Code::kOk) return;
  info_ = std::make_unique<ErrorInfo>();
  info_->code = code;
  info_->text = std::move(text);
}

Status error_of(Code code, std::initializer_list<ErrorPart> parts) {
  std::ostringstream out;
  for (const ErrorPart& part : parts) part.write(out);
  return Status(code, std::move(out).str());
}

std::string Status::message() const {
  if (!info_) return "ok";
  std::string out;
  if (!info_->source.empty()) out += info_->source + ": ";
  if (!info_->op.empty() || !info_->node.empty()) {
    out += "node '" + info_->node + "'";
    if (!info_->op.empty()) {
      out += " (" + (info_->domain.empty() ? "" : info_->domain + ".") + info_->op;
      if (info_->opset > 0) out += ", opset " + std::to_string(info_->opset);
      out += ")";
    }
    out += ": ";
  }
  if (!info_->tensor.empty()) out += "tensor '" + info_->tensor + "': ";
  return out + info_->text;
}

Status&& Status::at_node(std::string_view node, std::string_view op, std::string_view domain, int64_t opset) && {
  if (info_ && info_->node.empty() && info_->op.empty()) {
    info_->node = node;
    info_->op = op;
    info_->domain = domain;
    info_->opset = opset;
  }
  return std::move(*this);
}

Status&& Status::at_tensor(std::string_view tensor) && {
  if (info_ && info_->tensor.empty()) info_->tensor = tensor;
  return std::move(*this);
}

Status&& Status::at_source(std::string_view source) && {
  if (info_ && info_->source.empty()) info_->source = source;
  return std::move(*this);
}

}  // namespace tenon
