// A worker's part in a mixture of experts. A step's tokens are gathered by expert, so that each
// expert's weights are read once; all threads share the row blocks of all experts.
#include <algorithm>
#include <cstring>

#include "worker.h"

namespace farthing {
namespace {

constexpr size_t kUnitColumns = kUnitBlocks * kRows;

size_t units_in(size_t rows) { return (rows + kUnitColumns - 1) / kUnitColumns; }

const float* bias_of(const std::vector<float>& biases, size_t index, size_t width) {
  return biases.empty() ? nullptr : biases.data() + index * round_up(width, kRows);
}

}  // namespace

void Worker::experts(const Experts& op) {
  gather(op);
  each_unit(units(op), [&](size_t at, size_t next) {
    const Unit now = unit(op, at);
    const uint8_t* after = nullptr;
    if (next < units(op)) {
      const Unit then = unit(op, next);
      after = block_of(then.bank->gate, then.expert, then.block0);
    }
    open(op, now, after);
  });
  const size_t first = index_ * kUnitBlocks;
  const Weight& down = program_.weights_[op.bank.down];
  Ahead ahead;
  if (first + kUnitBlocks <= down.blocks())
    ahead = {block_of(op.bank.down, used_[0], first), kUnitBlocks * down.block_bytes()};
  meet(ahead);
  each_unit(units_in(op.width), [&](size_t at, size_t next) { close(op, at, next); });
}

// The first unit of each thread is known beforehand, and each next one before the last is done, so
// that its weights can be fetched meanwhile.
template <class Do>
void Worker::each_unit(size_t total, const Do& some) {
  Counter& next = counter();
  for (size_t at = index_; at < total;) {
    const size_t then = program_.threads() + next.take();
    some(at, then);
    at = then;
  }
}

// Sorts (token, expert) pairs by expert, then token. Every thread does it for itself: it is short.
void Worker::gather(const Experts& op) {
  const size_t count = step_->token_count;
  std::fill_n(first_.begin(), op.experts + 1, 0u);
  const auto ids = [&](size_t t) { return reinterpret_cast<const int32_t*>(floats(op.routed, t)); };
  for (size_t t = 0; t < count; ++t)
    for (size_t i = 0; i < op.top_k; ++i) ++first_[static_cast<size_t>(ids(t)[i])];
  used_.clear();
  uint32_t end = 0;
  for (size_t e = 0; e < op.experts; ++e) {
    if (first_[e]) used_.push_back(static_cast<uint32_t>(e));
    end += first_[e];
    first_[e] = end;
  }
  first_[op.experts] = end;
  for (size_t t = count; t-- > 0;)
    for (size_t i = 0; i < op.top_k; ++i) {
      const uint32_t at = --first_[static_cast<size_t>(ids(t)[i])];
      tokens_[at] = static_cast<uint32_t>(t);
      factors_[at] = floats(op.routed, t)[op.top_k + i];
    }
  if (!op.shared.inner) return;
  std::fill_n(shared_factors_.begin(), count, 1.f);
  if (op.gate == kNone) return;
  for (size_t t = 0; t < count; ++t) shared_factors_[t] = floats(op.gate, t)[0];
  k_.sigmoid(shared_factors_.data(), count, shared_factors_.data());
}

size_t Worker::units(const Experts& op) const {
  return units_in(op.shared.inner) + used_.size() * units_in(op.bank.inner);
}

// The shared bank's units come first: they hold the most tokens.
Worker::Unit Worker::unit(const Experts& op, size_t at) const {
  const size_t shared = units_in(op.shared.inner), each = units_in(op.bank.inner);
  const bool in_shared = at < shared;
  const Bank& bank = in_shared ? op.shared : op.bank;
  const size_t place = in_shared ? at : (at - shared) % each;
  const size_t expert = in_shared ? 0 : used_[(at - shared) / each];
  const size_t blocks = round_up(bank.inner, kRows) / kRows;
  return {&bank,
          expert,
          in_shared ? 0 : first_[expert],
          in_shared ? step_->token_count : first_[expert + 1],
          place * kUnitBlocks,
          std::min(blocks, (place + 1) * kUnitBlocks),
          in_shared};
}

const uint8_t* Worker::block_of(size_t weight, size_t index, size_t block) const {
  const Weight& w = program_.weights_[weight];
  return w.at(index) + block * w.block_bytes();
}

size_t Worker::hidden_stride(const Bank& bank) const {
  const bool bf16 = program_.weights_[bank.down].form == Form::kBf16;
  return round_up(rounded_bytes(bf16 ? Rounding::kBf16 : Rounding::kInt8, bank.inner), 64);
}

uint8_t* Worker::hidden(const Unit& unit, size_t entry) const {
  uint8_t* base = (unit.shared ? program_.shared_hidden_ : program_.hidden_).get();
  return base + entry * hidden_stride(*unit.bank);
}

// Gate and up of some tokens at a time, then what lies between the products, rounded in place.
void Worker::open(const Experts& op, const Unit& unit, const uint8_t* after) {
  const Bank& bank = *unit.bank;
  for (size_t from = unit.begin; from < unit.end; from += kUnitTokens) {
    const size_t to = std::min(unit.end, from + kUnitTokens);
    const auto product = [&](size_t weight, const std::vector<float>& biases, float* y,
                             const uint8_t* next) {
      const Weight& w = program_.weights_[weight];
      LinearTask task{};
      task.weights = w.at(unit.expert);
      task.block_bytes = w.block_bytes();
      task.k = w.k();
      task.group = w.group;
      task.x = row(bank.in, unit.shared ? from : 0);
      task.x_stride = program_.slots_[bank.in].stride;
      task.x_rows = unit.shared ? nullptr : tokens_.data() + from;
      task.tokens = to - from;
      task.y = y - unit.block0 * kRows;
      task.y_stride = kUnitColumns;
      task.bias = bias_of(biases, unit.expert, bank.inner);
      task.block0 = unit.block0;
      task.block1 = unit.block1;
      task.after = next;
      k_.linear[static_cast<size_t>(w.form)](task);
    };
    product(bank.gate, bank.gate_bias, gate_.data(), block_of(bank.up, unit.expert, unit.block0));
    product(bank.up, bank.up_bias, up_.data(),
            to < unit.end ? block_of(bank.gate, unit.expert, unit.block0) : after);
    activate(op, unit, from, to);
  }
}

void Worker::activate(const Experts& op, const Unit& unit, size_t from, size_t to) {
  const Bank& bank = *unit.bank;
  const size_t column = unit.block0 * kRows, lanes = (unit.block1 - unit.block0) * kRows;
  const size_t width = std::min(bank.inner - column, lanes), k = round_up(bank.inner, kGroup);
  const bool bf16 = program_.weights_[bank.down].form == Form::kBf16;
  const bool plain = op.sharpness == 1.f && op.shift == 0.f && op.limit > 3e38f;
  alignas(64) float middle[kUnitColumns];
  for (size_t i = 0; i < to - from; ++i) {
    const float *gate = gate_.data() + i * kUnitColumns, *up = up_.data() + i * kUnitColumns;
    if (plain)
      k_.silu_mul(gate, up, lanes, middle);
    else
      k_.gated(gate, up, lanes, op.sharpness, op.shift, op.limit, middle);
    uint8_t* out = hidden(unit, from + i);
    if (bf16)
      k_.to_bf16(middle, width, reinterpret_cast<uint16_t*>(out) + column);
    else
      k_.quantize_q8(middle, width, column, k, out);
  }
}

// Some columns of the result, of all tokens and all experts: each token's are added in order.
void Worker::close(const Experts& op, size_t at, size_t next) {
  const size_t blocks = round_up(op.width, kRows) / kRows, block0 = at * kUnitBlocks;
  const size_t block1 = std::min(blocks, block0 + kUnitBlocks);
  for (size_t t = 0; t < step_->token_count; ++t)
    std::memset(floats(op.out, t) + block0 * kRows, 0, (block1 - block0) * kRows * sizeof(float));
  const uint8_t* last =
      next < units_in(op.width) ? block_of(op.bank.down, used_[0], next * kUnitBlocks) : nullptr;
  LinearTask task{};
  task.y = floats(op.out, 0);
  task.y_stride = program_.slots_[op.out].stride / sizeof(float);
  task.block0 = block0;
  task.block1 = block1;
  for (size_t i = 0; i < used_.size(); ++i) {
    const size_t expert = used_[i], begin = first_[expert];
    task.x = program_.hidden_.get() + begin * hidden_stride(op.bank);
    task.y_rows = tokens_.data() + begin;
    task.factors = factors_.data() + begin;
    task.tokens = first_[expert + 1] - begin;
    task.after = i + 1 < used_.size() ? block_of(op.bank.down, used_[i + 1], block0)
                 : op.shared.inner    ? block_of(op.shared.down, 0, block0)
                                      : last;
    close_bank(op, op.bank, expert, task);
  }
  if (!op.shared.inner) return;
  task.x = program_.shared_hidden_.get();
  task.y_rows = nullptr;
  task.factors = shared_factors_.data();
  task.tokens = step_->token_count;
  task.after = last;
  close_bank(op, op.shared, 0, task);
}

void Worker::close_bank(const Experts& op, const Bank& bank, size_t expert, LinearTask task) {
  const Weight& w = program_.weights_[bank.down];
  task.weights = w.at(expert);
  task.block_bytes = w.block_bytes();
  task.k = w.k();
  task.group = w.group;
  task.x_stride = hidden_stride(bank);
  task.bias = bias_of(bank.down_bias, expert, op.width);
  k_.linear[static_cast<size_t>(w.form)](task);
}

}  // namespace farthing
