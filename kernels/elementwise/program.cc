#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/program.cc"
#include "hwy/foreach_target.h"

#include "kernels/dispatch.h"
#include "kernels/elementwise/program.h"
#include "kernels/elementwise/select.h"
#include "kernels/elementwise/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

// Functions of truth values, which the tiles of unary.cc and binary.cc do not have.

#define TENON_TRUTH(Name, condition)                                                                                                   \
  void Name##Tile(const float* pa, int64_t sa, const float* pb, int64_t sb, float* dst, int64_t n) {                                   \
    MapTile2(pa, sa, pb, sb, dst, n, [](auto d, auto a, auto b) HWY_ATTR { return hn::IfThenElseZero(condition, hn::Set(d, 1.0f)); }); \
  }
TENON_TRUTH(Equal, hn::Eq(a, b))
TENON_TRUTH(Greater, hn::Gt(a, b))
TENON_TRUTH(GreaterOrEqual, hn::Ge(a, b))
TENON_TRUTH(Less, hn::Lt(a, b))
TENON_TRUTH(LessOrEqual, hn::Le(a, b))
TENON_TRUTH(And, hn::Gt(hn::Min(a, b), hn::Zero(d)))
TENON_TRUTH(Or, hn::Gt(hn::Max(a, b), hn::Zero(d)))
TENON_TRUTH(Xor, hn::Gt(hn::Abs(hn::Sub(a, b)), hn::Zero(d)))
#undef TENON_TRUTH

BinaryTile TruthTile(BinaryKind kind) {
  switch (kind) {
    case BinaryKind::kEqual: return EqualTile;
    case BinaryKind::kGreater: return GreaterTile;
    case BinaryKind::kGreaterOrEqual: return GreaterOrEqualTile;
    case BinaryKind::kLess: return LessTile;
    case BinaryKind::kLessOrEqual: return LessOrEqualTile;
    case BinaryKind::kAnd: return AndTile;
    case BinaryKind::kOr: return OrTile;
    case BinaryKind::kXor: return XorTile;
    default: return nullptr;
  }
}

void TruthUnary(const ProgramStep& s, const float* src, float* dst, int64_t n) {
  if (s.unary == UnaryKind::kNot) {
    MapTile(src, dst, n, [](auto d, auto x) HWY_ATTR { return hn::IfThenElseZero(hn::Eq(x, hn::Zero(d)), hn::Set(d, 1.0f)); });
  } else if (s.unary == UnaryKind::kIsNaN) {
    MapTile(src, dst, n, [](auto d, auto x) HWY_ATTR { return hn::IfThenElseZero(hn::IsNaN(x), hn::Set(d, 1.0f)); });
  } else {
    const float negative = s.alpha != 0 ? 1.0f : 0.0f, positive = s.beta != 0 ? 1.0f : 0.0f;
    MapTile(src, dst, n, [=](auto d, auto x) HWY_ATTR {
      const auto plus = hn::IfThenElseZero(hn::Eq(x, hn::Inf(d)), hn::Set(d, positive));
      return hn::IfThenElse(hn::Eq(x, hn::Neg(hn::Inf(d))), hn::Set(d, negative), plus);
    });
  }
}

void WhereTile(const float* c, const float* x, const float* y, float* dst, int64_t count) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d), n = static_cast<size_t>(count);
  for (size_t i = 0; i < n; i += lanes) {
    const size_t k = n - i < lanes ? n - i : lanes;
    if (k == lanes) {
      hn::StoreU(hn::IfThenElse(hn::Eq(hn::LoadU(d, c + i), hn::Zero(d)), hn::LoadU(d, y + i), hn::LoadU(d, x + i)), d, dst + i);
    } else {
      StorePart(hn::IfThenElse(hn::Eq(LoadPart(d, c + i, k), hn::Zero(d)), LoadPart(d, y + i, k), LoadPart(d, x + i, k)), d, dst + i, k);
    }
  }
}

void Fill(float value, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) dst[i] = value;
}

struct Register {
  const float* data;
  int64_t stride;
};

void RunProgram(const ProgramParams& p, const Call& call, Range range) {
  const int64_t end = range.end * p.chunk < p.count ? range.end * p.chunk : p.count;
  float* tiles = reinterpret_cast<float*>(call.scratch);
  const int last = p.shape.rank - 1;
  for_each_row(p.shape, range.begin * p.chunk, end, [&](int64_t at, const int64_t* offset, int64_t run) {
    for (int64_t first = 0; first < run; first += kProgramTile) {
      const int64_t n = run - first < kProgramTile ? run - first : kProgramTile;
      Register reg[kMaxProgramInputs + kMaxProgramSteps];
      for (int i = 0; i < p.inputs; ++i) {
        const int64_t stride = p.shape.strides[i][last], from = offset[i] + first * stride;
        if (p.spelled[i]) {
          float* tile = tiles + p.input_slot[i] * kProgramTile;
          const int64_t position = (at + first) % p.shape.dims[last];
          int64_t r = position / p.row, c = position % p.row;
          for (int64_t k = 0; k < n; ++k) {
            const int64_t e = offset[i] + r * p.row_step[i] + c * p.column_step[i];
            tile[k] = p.is_bool[i] ? (call.in<uint8_t>(i)[e] ? 1.0f : 0.0f) : call.in<float>(i)[e];
            if (++c == p.row) c = 0, ++r;
          }
          reg[i] = {tile, 1};
          continue;
        }
        if (!p.is_bool[i]) {
          reg[i] = {call.in<float>(i) + from, stride};
          continue;
        }
        const uint8_t* truth = call.in<uint8_t>(i) + from;
        float* tile = tiles + p.input_slot[i] * kProgramTile;
        const int64_t m = stride ? n : 1;
        for (int64_t k = 0; k < m; ++k) tile[k] = truth[k] ? 1.0f : 0.0f;
        reg[i] = {tile, stride};
      }
      // A repeated value as a whole tile, for functions that want one.
      const auto whole = [&](int r, int slot) -> const float* {
        if (reg[r].stride == 1 || n == 1) return reg[r].data;
        float* tile = tiles + slot * kProgramTile;
        Fill(reg[r].data[0], tile, n);
        reg[r] = {tile, 1};
        return tile;
      };
      for (int s = 0; s < p.steps; ++s) {
        const ProgramStep& step = p.step[s];
        float* dst = s + 1 == p.steps ? call.out<float>(0) + at + first : tiles + p.step_slot[s] * kProgramTile;
        const auto slot_of = [&](int r) { return r < p.inputs ? p.input_slot[r] : p.step_slot[r - p.inputs]; };
        switch (step.kind) {
          case ProgramStep::Kind::kUnary: {
            const float* a = whole(step.a, slot_of(step.a));
            if (const UnaryTile tile = unary_tile(step.unary)) tile(step.alpha, step.beta, a, dst, n);
            else TruthUnary(step, a, dst, n);
            break;
          }
          case ProgramStep::Kind::kBinary: {
            if (reg[step.a].stride == 0 && reg[step.b].stride == 0) whole(step.a, slot_of(step.a));
            BinaryTile tile = binary_tile(step.binary);
            if (!tile) tile = TruthTile(step.binary);
            tile(reg[step.a].data, reg[step.a].stride, reg[step.b].data, reg[step.b].stride, dst, n);
            break;
          }
          case ProgramStep::Kind::kClip: clip_tile()(step.alpha, step.beta, whole(step.a, slot_of(step.a)), dst, n); break;
          case ProgramStep::Kind::kWhere: {
            const float* a = whole(step.a, slot_of(step.a));
            const float* b = whole(step.b, slot_of(step.b));
            const float* c = whole(step.c, slot_of(step.c));
            WhereTile(a, b, c, dst, n);
          }
        }
        reg[p.inputs + s] = {dst, 1};
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
TENON_EXPORT(RunProgram);
void run_program(const ProgramParams& p, const Call& call, Range range) { TENON_POINTER(RunProgram)(p, call, range); }

bool program_takes(UnaryKind kind) { return kind != UnaryKind::kBitwiseNot; }
bool program_takes(BinaryKind kind) { return kind < BinaryKind::kBitwiseAnd || kind >= BinaryKind::kEqual; }
}  // namespace tenon::kernels
#endif
