#include "program.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "check.h"
#include "worker.h"

namespace farthing {
namespace {

template <class T>
T* aligned(size_t count) {
  void* p = std::aligned_alloc(64, round_up(std::max<size_t>(count, 1) * sizeof(T), 64));
  if (!p) throw std::bad_alloc();
  return static_cast<T*>(p);
}

}  // namespace

PackedLayout layout_of(Form form) {
  switch (form) {
    case Form::kInt4:
      return {.bits = 4};
    case Form::kInt4Min:
      return {.bits = 4, .minimum = true};
    case Form::kInt4TwoLevelMin:
      return {.bits = 4, .two_level = true, .minimum = true};
    case Form::kInt8:
      return {.bits = 8};
    case Form::kInt8Min:
      return {.bits = 8, .minimum = true};
    case Form::kInt8TwoLevelMin:
      return {.bits = 8, .two_level = true, .minimum = true};
    case Form::kInt8TwoLevel16:
      return {.bits = 8, .two_level = true};
    case Form::kInt4F32:
      return {.bits = 4, .full = true};
    case Form::kInt4F32Min:
      return {.bits = 4, .full = true, .minimum = true};
    case Form::kInt8F32:
      return {.bits = 8, .full = true};
    case Form::kInt8F32Min:
      return {.bits = 8, .full = true, .minimum = true};
    case Form::kInt4E2m1:
      return {.bits = 4, .power = true};
    case Form::kInt4Zero:
      return {.bits = 4, .zero = true};
    case Form::kInt8Zero:
      return {.bits = 8, .zero = true};
    default:
      return {.bits = 16, .none = true};
  }
}

size_t Weight::block_bytes() const {
  const PackedLayout l = layout_of(form);
  size_t total = kRows * k() * l.bits / 8;
  if (!l.none) {
    const size_t groups = (columns + group - 1) / group, supers = (columns + 255) / 256;
    const size_t one = l.two_level ? 2 * supers + groups : groups * (l.power ? 1 : l.full ? 4 : 2);
    total += kRows * one * (l.minimum || l.zero ? 2 : 1);
  }
  return round_up(total, 64);
}

Kind kind_of(const Op& op) {
  if (const auto* linear = std::get_if<Linear>(&op))
    return linear->precise ? Kind::kRouter : Kind::kLinear;
  if (std::holds_alternative<Attend>(op)) return Kind::kAttention;
  if (std::holds_alternative<Route>(op)) return Kind::kRouter;
  if (std::holds_alternative<Experts>(op)) return Kind::kExperts;
  return std::holds_alternative<Logits>(op) ? Kind::kHead : Kind::kRest;
}

size_t rounded_bytes(Rounding rounding, size_t width) {
  const size_t k = round_up(width, kGroup);
  if (rounding == Rounding::kNone) return 4 * k;
  if (rounding == Rounding::kBf16) return 2 * k;
  return rounding == Rounding::kInt16 ? q16_bytes(k) : q8_bytes(k);
}

void Program::Free::operator()(void* p) const { std::free(p); }

Program::Program(const Kernels& kernels, size_t threads, size_t max_tokens, size_t max_context)
    : kernels_(kernels), team_(threads), max_tokens_(max_tokens), max_context_(max_context) {}

Program::~Program() {
  if (cache_) munmap(cache_, pages_ * page_bytes_);
}

size_t Program::slot(Slot slot) {
  slots_.push_back(slot);
  return slots_.size() - 1;
}

size_t Program::weight(Weight weight) {
  weights_.push_back(weight);
  return weights_.size() - 1;
}

void Program::op(Op op) { ops_.push_back(std::move(op)); }

void Program::finish(size_t cache_bytes, size_t kv_bits) {
  if (!stages_.empty()) throw std::invalid_argument("the program could not be finished before");
  check_ops(ops_, slots_);
  lay_out_stages();
  const size_t together = kOwn * threads();
  for (const Slot& slot : slots_) {
    const size_t rows = slot.crossing ? max_tokens_ : std::min(max_tokens_, together);
    owned_.emplace_back(aligned<uint8_t>(rows * slot.stride));
    // The lanes that pad a row are read, and must be zero.
    std::memset(owned_.back().get(), 0, rows * slot.stride);
    shared_.push_back(owned_.back().get());
  }
  if (vocabulary_) {
    logits_stride_ = round_up(vocabulary_, kRows);
    logits_.reset(aligned<float>(kLogitRows * logits_stride_));
  }
  lay_out_taps();
  lay_out_experts();
  lay_out_cache(cache_bytes, kv_bits);
  lay_out_pieces();
  // An op takes two at most.
  counter_count_ = 2 * ops_.size() + stages_.size() + 2 * (max_tokens_ / kLogitRows + 1);
  counters_ = std::make_unique<Counter[]>(counter_count_);
  finished_ = true;
  for (size_t i = 0; i < threads(); ++i) workers_.push_back(std::make_unique<Worker>(*this, i));
}

// A stage ends before attention and experts, before the wanted rows are gathered, and before the
// logits.
void Program::lay_out_stages() {
  bool wanted = false;
  size_t first = 0;
  const auto close = [&](size_t last) {
    if (last > first) stages_.push_back({first, last, wanted});
    first = last;
  };
  for (size_t i = 0; i < ops_.size(); ++i) {
    if (std::holds_alternative<Attend>(ops_[i]) || std::holds_alternative<Experts>(ops_[i]) ||
        std::holds_alternative<Logits>(ops_[i])) {
      close(i);
      close(i + 1);
    } else if (std::holds_alternative<Rows>(ops_[i])) {
      close(i);
      wanted = true;
    }
    if (const auto* head = std::get_if<Logits>(&ops_[i])) vocabulary_ = weights_[head->weight].rows;
  }
  close(ops_.size());
}

void Program::lay_out_taps() {
  for (const Op& op : ops_) {
    const auto* tap = std::get_if<Tap>(&op);
    if (!tap) continue;
    if (tap->index != taps_) throw std::invalid_argument("taps out of order");
    ++taps_;
    tap_width_ = std::max(tap_width_, tap->width);
  }
}

void Program::lay_out_experts() {
  size_t hidden = 0, shared_hidden = 0;
  for (const Op& op : ops_) {
    if (const auto* route = std::get_if<Route>(&op)) {
      router_scratch_ = std::max(router_scratch_, route_scratch(route->router));
      if (route->index != routers_.size()) throw std::invalid_argument("routers out of order");
      routers_.push_back(route->router);
    }
    const auto* e = std::get_if<Experts>(&op);
    if (!e) continue;
    const auto row = [&](const Bank& bank) {
      const bool bf16 = weights_[bank.down].form == Form::kBf16;
      return round_up(rounded_bytes(bf16 ? Rounding::kBf16 : Rounding::kInt8, bank.inner), 64);
    };
    hidden = std::max(hidden, max_tokens_ * e->top_k * row(e->bank));
    if (e->shared.inner) shared_hidden = std::max(shared_hidden, max_tokens_ * row(e->shared));
    most_experts_ = std::max(most_experts_, e->experts);
    most_routed_ = std::max(most_routed_, max_tokens_ * e->top_k);
  }
  hidden_.reset(aligned<uint8_t>(hidden));
  shared_hidden_.reset(aligned<uint8_t>(shared_hidden));
}

void Program::lay_out_cache(size_t cache_bytes, size_t kv_bits) {
  const auto is_attend = [](const Op& op) { return std::holds_alternative<Attend>(op); };
  const auto layers = static_cast<size_t>(std::count_if(ops_.begin(), ops_.end(), is_attend));
  for (const Op& op : ops_) {
    const auto* attend = std::get_if<Attend>(&op);
    if (!attend) continue;
    if (attend->layer != layer_offset_.size()) throw std::invalid_argument("layers out of order");
    const size_t group = attend->heads / attend->kv_heads;
    if (kv_heads_ &&
        (kv_heads_ != attend->kv_heads || heads_per_kv_ != group || head_width_ != attend->width ||
         value_width_ != attend->value_width || latent_ != attend->latent))
      throw std::invalid_argument("all layers must have the same heads");
    kv_heads_ = attend->kv_heads;
    heads_per_kv_ = group;
    head_width_ = attend->width;
    value_width_ = attend->value_width;
    latent_ = attend->latent;
    if (kv_bits < 16) lay_out_codes(kv_bits, layers);
    layer_offset_.push_back(page_bytes_);
    page_bytes_ += latent_ ? tile_bytes(attend->layer) : kv_heads_ * tile_bytes(attend->layer);
  }
  if (!page_bytes_) return;
  pages_ = cache_bytes / page_bytes_;
  if (!pages_) throw std::invalid_argument("the cache has no room for one page");
  void* memory = mmap(nullptr, pages_ * page_bytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  cache_ = static_cast<uint8_t*>(memory);
  madvise(cache_, pages_ * page_bytes_, MADV_HUGEPAGE);
}

std::vector<float> hadamard(size_t width) {
  std::vector<float> out(width * width);
  const float one = 1.f / std::sqrt(static_cast<float>(width));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = __builtin_parityll(i / width & i % width) ? -one : one;
  return out;
}

// One layer's grids, as in farthing/ops/cache_grids.py.
void Program::lay_out_codes(size_t kv_bits, size_t layers) {
  if (head_width_ % kGroup)
    throw std::invalid_argument("a head of " + std::to_string(head_width_) +
                                " numbers: a cache of fewer than 16 bits wants a multiple of 32");
  if (head_width_ > kCodedGroups * kGroup)
    throw std::invalid_argument("a head is too wide for a cache of fewer than 16 bits");
  const bool early = layer_offset_.size() < layers * 5 / 8;
  if (kv_bits == 8)
    key_form_ = {8, 32, false};
  else if (latent_)
    key_form_ = {4, 32, true};
  else
    key_form_ = {5, 64, false};
  value_forms_.push_back(kv_bits == 8 || early ? key_form_ : CodedForm{4, 64, true});
  turn_width_ = std::min<size_t>(head_width_ & ~(head_width_ - 1), 64);
  turn_ = hadamard(turn_width_);
}

// A page of one kv head in one layer.
size_t Program::tile_bytes(size_t layer) const {
  if (!coded()) return plain_bytes();
  const size_t keys = key_form_.tile_bytes(head_width_);
  return latent_ ? keys : keys + value_forms_[layer].tile_bytes(value_width_);
}

// The same in bf16, as attention reads it.
size_t Program::plain_bytes() const {
  const size_t values = latent_ ? 0 : round_up(value_width_, 16);
  return round_up(kPage * (head_width_ + values) * 2, 64);
}

// Spans are divided among threads only while there are fewer pieces than keep them busy.
void Program::lay_out_pieces() {
  if (!kv_heads_) return;
  const size_t spans = (max_context_ + kSpan - 1) / kSpan;
  const size_t whole = max_tokens_;  // no piece has less than one token
  const size_t divided = 8 * threads() / kv_heads_ + 1;
  max_pieces_ = whole + divided * spans;
  partial_floats_ = kAlone * heads_per_kv_ * attend_state(value_width_);
  // Mapped, not touched: a deep context alone uses it.
  partials_.reset(aligned<float>(divided * spans * kv_heads_ * partial_floats_));
  pieces_.reserve(max_pieces_);
  groups_.reserve(divided);
  remaining_ = std::make_unique<std::atomic<uint32_t>[]>(divided * kv_heads_);
}

void Program::plan_attention(const Step& step) {
  pieces_.clear();
  groups_.clear();
  if (!kv_heads_) return;
  // Up to kAlone tokens stay in one piece, which writes their k and v itself.
  const size_t tokens_in_piece = std::max(kAlone, kTileRows / heads_per_kv_);
  size_t whole = 0;
  for (size_t s = 0; s < step.segments; ++s) {
    const size_t count = static_cast<size_t>(step.starts[s + 1] - step.starts[s]);
    whole += (count + tokens_in_piece - 1) / tokens_in_piece;
  }
  const bool divide = whole * kv_heads_ < 8 * threads() && threads() > 1;
  for (size_t s = 0; s < step.segments; ++s) {
    const size_t begin = static_cast<size_t>(step.starts[s]);
    const size_t end = static_cast<size_t>(step.starts[s + 1]);
    const auto spans_to = [&](size_t token_end) {
      return (static_cast<size_t>(step.positions[s]) + token_end - begin + kSpan - 1) / kSpan;
    };
    if (divide && end - begin <= kAlone && spans_to(end) > 1) {
      groups_.push_back({pieces_.size(), spans_to(end)});
      for (size_t span = 0; span < spans_to(end); ++span)
        pieces_.push_back({s, begin, end, span, span + 1, groups_.size() - 1});
      continue;
    }
    // Last tokens first: they see most, and the long pieces should not come at the end.
    for (size_t to = end; to > begin;) {
      const size_t from = to - begin > tokens_in_piece ? to - tokens_in_piece : begin;
      pieces_.push_back({s, from, to, 0, spans_to(to), SIZE_MAX});
      to = from;
    }
  }
}

std::array<uint64_t, static_cast<size_t>(Kind::kKinds)> Program::spent() {
  const auto since = spent_;
  timed_ = true;
  spent_ = {};
  return since;
}

void Program::run(const Step& step) {
  for (size_t i = 0; i < counter_count_; ++i) counters_[i].next.store(0, std::memory_order_relaxed);
  plan_attention(step);
  const std::function<void(size_t)> work = [&](size_t thread) { workers_[thread]->run(step); };
  team_.run(work);
}

}  // namespace farthing
