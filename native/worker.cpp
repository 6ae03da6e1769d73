#include "worker.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace farthing {
namespace {

uint8_t* allocate(size_t bytes) {
  const size_t size = round_up(std::max<size_t>(bytes, 64), 64);
  auto* p = static_cast<uint8_t*>(std::aligned_alloc(64, size));
  if (!p) throw std::bad_alloc();
  std::memset(p, 0, size);
  return p;
}

}  // namespace

Worker::Worker(Program& program, size_t index)
    : program_(program), k_(program.kernels_), index_(index), choose_scratch_(program.vocabulary_) {
  for (const Slot& slot : program.slots_) {
    owned_.emplace_back(allocate(std::max(kChunk, kAlone) * slot.stride));
    own_.push_back(owned_.back().get());
  }
  base_.resize(own_.size());
  const size_t rows = std::max(kTileRows, kAlone * program.heads_per_kv_);
  page_pointers_.resize((program.max_context_ + kPage - 1) / kPage);
  queries_.resize(rows * program.head_width_ / 2 + 64);
  state_.resize(rows * attend_state(program.value_width_));
  attend_scratch_.reset(
      allocate(program.latent_ ? latent_scratch(rows, program.value_width_) : kAttendScratch));
  if (program.coded()) {
    opened_.reset(allocate(kPagesInSpan * program.plain_bytes()));
    turned_.resize(2 * program.head_width_);
  }
  router_scratch_.resize(program.router_scratch_);
  first_.resize(program.most_experts_ + 1);
  used_.reserve(program.most_experts_);
  tokens_.resize(program.most_routed_);
  factors_.resize(program.most_routed_);
  if (program.most_experts_) {
    shared_factors_.resize(round_up(program.max_tokens_, 16));
    gate_.resize(kUnitTokens * kUnitBlocks * kRows);
    up_.resize(gate_.size());
  }
}

Worker::Order Worker::order_of(size_t count) const {
  if (count <= kAlone) return Order::kAlone;
  return count >= kOwn * program_.threads() ? Order::kChunks : Order::kShared;
}

// Charges what thread 0 does to the kind of an op, where somebody asked for times.
class Worker::Watch {
 public:
  Watch(Worker& worker, const Op& op)
      : worker_(worker), kind_(kind_of(op)), counts_(worker.program_.timed_ && worker.index_ == 0) {
    if (counts_) start_ = Clock::now();
  }
  ~Watch() {
    if (!counts_) return;
    const auto spent = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start_);
    worker_.program_.spent_[static_cast<size_t>(kind_)] += static_cast<uint64_t>(spent.count());
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  Worker& worker_;
  const Kind kind_;
  const bool counts_;
  Clock::time_point start_;
};

void Worker::run(const Step& step) {
  step_ = &step;
  sections_ = 0;
  tokens_order_ = order_of(step.token_count);
  rows_order_ = order_of(step.row_count);
  writes_in_attention_ = tokens_order_ == Order::kAlone;
  place(false, tokens_order_, 0);
  place(true, rows_order_, 0);
  for (size_t i = index_; i < step.fresh_count; i += program_.threads())
    std::memset(program_.cache_ + static_cast<size_t>(step.fresh[i]) * program_.page_bytes_, 0,
                program_.page_bytes_);
  if (step.fresh_count) meet();
  for (const auto& stage : program_.stages_) {
    const Op& first = program_.ops_[stage.first];
    if (const auto* op = std::get_if<Attend>(&first)) {
      const Watch watch(*this, first);
      attend(*op);
      meet(tokens_order_ == Order::kChunks ? Ahead{} : ahead(stage.first));
    } else if (const auto* bank = std::get_if<Experts>(&first)) {
      const Watch watch(*this, first);
      experts(*bank);
      meet(tokens_order_ == Order::kChunks ? Ahead{} : ahead(stage.first));
    } else if (const auto* head = std::get_if<Logits>(&first)) {
      const Watch watch(*this, first);
      logits(*head);
    } else {
      const size_t count = stage.wanted ? step.row_count : step.token_count;
      local(stage, stage.wanted ? rows_order_ : tokens_order_, count);
    }
  }
}

void Worker::place(bool wanted, Order order, size_t chunk) {
  for (size_t i = 0; i < base_.size(); ++i) {
    const Slot& slot = program_.slots_[i];
    if (slot.wanted != wanted) continue;
    const bool own =
        order == Order::kAlone ? slot.small : order == Order::kChunks && !slot.crossing;
    base_[i] = own ? own_[i] - chunk * slot.stride : program_.shared_[i];
  }
}

void Worker::local(const Program::Stage& stage, Order order, size_t count) {
  if (!count) return;
  if (order == Order::kChunks)
    chunks(stage, count);
  else
    together(stage, order, count);
}

// The op that follows a stage, if it is attention, has its k and v written with the stage.
void Worker::chunks(const Program::Stage& stage, size_t count) {
  Counter& next = counter();
  // Chunks are equal, whole tiles of four, and at most kChunk.
  const size_t pieces = (count + kChunk * program_.threads() - 1) / (kChunk * program_.threads());
  const size_t width = std::min(
      kChunk,
      round_up((count + pieces * program_.threads() - 1) / (pieces * program_.threads()), 4));
  for (;;) {
    const size_t begin = next.take() * width;
    if (begin >= count) break;
    const Range range{begin, std::min(count, begin + width)};
    place(stage.wanted, Order::kChunks, begin);
    for (size_t i = stage.first; i < stage.last; ++i) {
      const Watch watch(*this, program_.ops_[i]);
      std::visit([&](const auto& op) { (*this)(op, range); }, program_.ops_[i]);
    }
    if (stage.last < program_.ops_.size())
      if (const auto* op = std::get_if<Attend>(&program_.ops_[stage.last])) (*this)(*op, range);
  }
  meet();
}

void Worker::together(const Program::Stage& stage, Order order, size_t count) {
  const size_t n = program_.threads();
  const Range mine = order == Order::kAlone ? Range{0, count}
                                            : Range{count * index_ / n, count * (index_ + 1) / n};
  bool waits = false;  // others may read what this thread has just made
  for (size_t i = stage.first; i < stage.last; ++i) {
    const Op& op = program_.ops_[i];
    const Watch watch(*this, op);
    if (const auto* linear = std::get_if<Linear>(&op)) {
      if (waits) meet();
      share_linear(*linear, count);
      meet(ahead(i));
      waits = false;
    } else {
      std::visit([&](const auto& small) { (*this)(small, mine); }, op);
      waits = order == Order::kShared;
    }
  }
  if (order == Order::kShared && stage.last < program_.ops_.size())
    if (const auto* op = std::get_if<Attend>(&program_.ops_[stage.last])) {
      (*this)(*op, mine);
      waits = true;
    }
  if (waits) meet();
}

// Half of the row blocks of some weights are dealt out beforehand, so that a thread knows what it
// will read first; the rest go to whoever is free, so that a delayed thread does not delay the
// others.
Worker::Deal Worker::deal(size_t blocks) const {
  const size_t n = program_.threads(), own = blocks / (2 * n) / 3 * 3;
  const size_t fair = blocks / (n * 8) / 3 * 3;  // whole tiles of three blocks
  return {own * index_, own * (index_ + 1), own * n, std::clamp<size_t>(fair, 3, 24)};
}

template <class Do>
void Worker::share(size_t blocks, const Do& some) {
  const Deal d = deal(blocks);
  Counter& next = counter();
  if (d.own_end > d.own_begin) some(d.own_begin, d.own_end);
  for (;;) {
    const size_t from = d.common + next.take() * d.unit;
    if (from >= blocks) return;
    some(from, std::min(blocks, from + d.unit));
  }
}

void Worker::share_linear(const Linear& op, size_t count) {
  // The parts' blocks one after another.
  share(blocks_of(op), [&](size_t from, size_t to) {
    size_t begin = 0;
    for (const Part& part : op.parts) {
      const size_t here = program_.weights_[part.weight].blocks();
      const size_t first = std::max(from, begin), last = std::min(to, begin + here);
      if (first < last) this->blocks(op, part, {0, count}, first - begin, last - begin);
      begin += here;
    }
  });
}

size_t Worker::blocks_of(const Linear& op) const {
  size_t total = 0;
  for (const Part& part : op.parts) total += program_.weights_[part.weight].blocks();
  return total;
}

// The first weights that this thread will read after op `at`; no more than its cache holds.
Ahead Worker::ahead(size_t at) const {
  constexpr size_t kMost = 128 << 10;
  for (size_t i = at + 1; i < program_.ops_.size(); ++i) {
    const Op& op = program_.ops_[i];
    const auto* linear = std::get_if<Linear>(&op);
    const auto* head = std::get_if<Logits>(&op);
    if (std::holds_alternative<Experts>(op)) return {};
    if (!linear && !head) continue;
    const Weight& first = program_.weights_[linear ? linear->parts[0].weight : head->weight];
    const Deal d = deal(linear ? blocks_of(*linear) : first.blocks());
    if (d.own_end > first.blocks()) return {};
    const size_t bytes = (d.own_end - d.own_begin) * first.block_bytes();
    return {first.data + d.own_begin * first.block_bytes(), std::min(bytes, kMost)};
  }
  return {};
}

void Worker::blocks(const Linear& op, const Part& part, Range range, size_t block0, size_t block1) {
  const Weight& w = program_.weights_[part.weight];
  const size_t in = program_.slots_[op.in].stride, out = program_.slots_[part.out].stride;
  LinearTask task{};
  task.weights = w.at(part.index);
  task.block_bytes = w.block_bytes();
  task.k = w.k();
  task.group = w.group;
  task.x = row(op.in, range.begin) + part.in_byte;
  task.x_stride = in;
  task.tokens = range.end - range.begin;
  task.y = floats(part.out, range.begin) + part.column;
  task.y_stride = out / sizeof(float);
  task.bias = part.bias.empty() ? nullptr : part.bias.data();
  if (part.residual != kNone) {
    task.residual = floats(part.residual, range.begin);
    task.residual_stride = program_.slots_[part.residual].stride / sizeof(float);
  }
  task.block0 = block0;
  task.block1 = block1;
  (op.precise ? k_.linear_f32 : k_.linear[static_cast<size_t>(w.form)])(task);
}

void Worker::operator()(const Linear& op, Range range) {
  for (const Part& part : op.parts)
    blocks(op, part, range, 0, program_.weights_[part.weight].blocks());
}

void Worker::logits(const Logits& op) {
  const Weight& w = program_.weights_[op.weight];
  LinearTask task{};
  task.weights = w.data;
  task.block_bytes = w.block_bytes();
  task.k = w.k();
  task.group = w.group;
  task.x_stride = program_.slots_[op.in].stride;
  task.y = program_.logits_.get();
  task.y_stride = program_.logits_stride_;
  for (size_t begin = 0; begin < step_->row_count; begin += kLogitRows) {
    const size_t rows = std::min(kLogitRows, step_->row_count - begin);
    task.x = row(op.in, begin);
    task.tokens = rows;
    share(w.blocks(), [&](size_t from, size_t to) {
      task.block0 = from;
      task.block1 = to;
      k_.linear_q16[static_cast<size_t>(w.form)](task);
    });
    meet();
    Counter& next_row = counter();
    for (size_t r = next_row.take(); r < rows; r = next_row.take())
      choose(begin + r, task.y + r * task.y_stride);
    meet();
  }
}

void Worker::choose(size_t r, float* logits) {
  const size_t n = program_.vocabulary_;
  if (step_->logits) std::memcpy(step_->logits + r * n, logits, n * sizeof(float));
  if (!step_->sampling) return;
  step_->choices[r] =
      sample(k_, step_->sampling[r], logits, n, choose_scratch_,
             step_->top_ids + r * step_->top_width, step_->top_logprobs + r * step_->top_width);
}

size_t Worker::segment_of(size_t token) const {
  const int32_t* end = step_->starts + step_->segments + 1;
  const int32_t* after = std::upper_bound(step_->starts, end, static_cast<int32_t>(token));
  return static_cast<size_t>(after - step_->starts) - 1;
}

int32_t Worker::position_of(size_t token, size_t segment) const {
  return step_->positions[segment] + static_cast<int32_t>(token) - step_->starts[segment];
}

}  // namespace farthing
