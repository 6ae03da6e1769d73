// A recorded forward, replayed: ops over slots, run a step at a time by a team of threads.
//
// Everything but attention, experts and the choice of rows concerns one token at a time, so a
// program is stages of such local ops with the crossing ones between them. With many tokens each
// thread takes chunks of tokens through a whole stage, and meets the others at its end. With few
// tokens the threads share the rows of each linear; the small ops between are either shared by
// token or, up to kAlone tokens, done by every thread for itself, which saves the barriers. All
// three orders give the same bits, because every (row, token) runs the same operations in each.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <variant>
#include <vector>

#include "kernels.h"
#include "route.h"
#include "sample.h"
#include "threads.h"

namespace farthing {

constexpr size_t kLogitRows = 32;
constexpr size_t kNone = SIZE_MAX;

// What stands in 16 packed rows of a form: see farthing/weight.py.
struct PackedLayout {
  size_t bits = 0;
  bool two_level = false, full = false, minimum = false, zero = false, none = false, power = false;
};
PackedLayout layout_of(Form form);

// One matrix, or `count` of them, each on a boundary of kStack bytes.
struct Weight {
  Form form;
  size_t rows, columns, group;
  const uint8_t* data;
  size_t count = 1;
  static constexpr size_t kStack = 4096;
  size_t stride() const { return round_up(blocks() * block_bytes(), kStack); }
  const uint8_t* at(size_t index) const { return data + index * stride(); }
  size_t k() const { return round_up(columns, kGroup); }
  size_t blocks() const { return round_up(rows, kRows) / kRows; }
  size_t block_bytes() const;
};

// A value of the program: one row of bytes for each token (or each wanted row).
struct Slot {
  size_t stride;  // bytes, a multiple of 64
  bool wanted;    // rows are the wanted ones, not all tokens
  bool small;     // made by an op that every thread may do for itself
  bool crossing;  // lives beyond its stage
};

struct Embed {
  size_t table, out;
};
struct Angles {
  std::vector<float> frequencies;
  float magnitude;
  size_t out;
};
struct Norm {
  size_t in;
  std::vector<float> weight;
  size_t heads, width;
  float eps;
  size_t out;
};
// What a linear's input is rounded to.
enum class Rounding : uint8_t { kInt8, kInt16, kBf16, kNone };
size_t rounded_bytes(Rounding rounding, size_t width);

// Each head is a row of its own.
struct Quantize {
  size_t in, heads, width;
  Rounding rounding;
  size_t out;
};
// Matrix `index` of a weight, by the input from `in_byte` on, to the columns from `column` on.
// `residual` is a slot added to the product, or kNone.
struct Part {
  size_t weight;
  std::vector<float> bias;
  size_t residual, out;
  size_t index = 0, in_byte = 0, column = 0;
};
// Precise: inputs are rows of floats, weights bf16.
struct Linear {
  size_t in;
  bool precise;
  std::vector<Part> parts;
};
struct Rope {
  size_t in, angles, heads, width, rotary;
  bool interleaved;
  size_t out;
};
// Latent: k is the keys and values of all heads, kept by an op before; `kv_heads` are then groups
// of heads that work apart.
struct Attend {
  size_t q, k, v, layer, heads, kv_heads, width, value_width;
  float scale;
  size_t window;
  std::vector<float> sinks;  // by head, or none
  bool latent;
  size_t out;
  // Of a cache of fewer bits: added to a key first, [kv_heads][width], and how the rounding of its
  // numbers is fed back, [kv_heads][width][width] of the turned key. Or none.
  std::vector<float> shift = {}, feedback = {};
};
// Writes the latents of a layer into the cache, early: a linear must come between this and the
// attention, for there the threads meet.
struct Keep {
  size_t in, layer, width;
};
// A key's numbers are turned by this, and so are a query's, which leaves their product as it was;
// so are a value's, and what is attended is turned back, for it is its own inverse: Hadamard's
// matrix, [width][width], scaled to keep lengths.
std::vector<float> hadamard(size_t width);
struct Route {
  size_t logits;
  Router router;
  size_t index;  // among the routers
  size_t out;    // a row of ids, then of weights
};
// Gated MLPs: gate and up [count][inner][width], down [count][width][inner]; biases are rows of
// floats up to 16, or none. `in` is the rounded input.
struct Bank {
  size_t in, gate, up, down, inner;
  std::vector<float> gate_bias, up_bias, down_bias;
};
// `shared` (inner 0: none) is one MLP that every token goes to, times sigmoid(gate) if there is a
// slot for it.
struct Experts {
  size_t routed, gate, width, experts, top_k;
  Bank bank, shared;
  float sharpness, shift, limit;
  size_t out;
};
struct SiluMul {
  size_t gate, up, width, out;
};
struct Scale {
  size_t in, width;
  float factor;
  size_t out;
};
// Columns begin to end of each head.
struct Slice {
  size_t in, heads, width, begin, end, out;
};
struct Join {
  size_t x, y, heads, x_width, y_width, out;
};
// Hands a value's rows out: which of the step's arrays they go to.
struct Tap {
  size_t in, width, index;
};
struct Add {
  size_t x, y, width, out;
};
struct Rows {
  size_t in, width, out;
};
struct Logits {
  size_t in, weight;
};
using Op = std::variant<Embed, Angles, Norm, Quantize, Linear, Rope, Attend, Keep, Route, Experts,
                        SiluMul, Scale, Slice, Join, Tap, Add, Rows, Logits>;

// What a step's time is told by.
enum class Kind : uint8_t { kLinear, kAttention, kRouter, kExperts, kHead, kRest, kKinds };
Kind kind_of(const Op& op);

// What one call reads and writes. Shapes as in engine/types.py.
struct Step {
  const int32_t *tokens, *starts, *positions, *tables, *fresh, *rows;
  size_t token_count, segments, table_width, fresh_count, row_count;
  const Sampling* sampling;  // [row_count], or null where only logits are wanted
  Choice* choices;
  int32_t* top_ids;  // [row_count][top_width]
  float* top_logprobs;
  size_t top_width;
  float* logits;  // [row_count][vocabulary] or null
  float* taps;    // [taps][token_count][tap_width] or null
  size_t tap_width;
  const int32_t*
      routes;  // [routers][token_count][top_k]: experts to go to, chosen by others; or null
};

class Program {
 public:
  Program(const Kernels& kernels, size_t threads, size_t max_tokens, size_t max_context);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  size_t slot(Slot slot);
  size_t weight(Weight weight);
  void op(Op op);
  // After the last op: lays out memory. The cache is mapped, and touched only page by page.
  // `kv_bits`: 16, 8 or 4 for each number of the cache.
  void finish(size_t cache_bytes, size_t kv_bits);

  void run(const Step& step);

  const Kernels& kernels() const { return kernels_; }
  const Weight& weight_at(size_t i) const { return weights_.at(i); }
  const Slot& slot_at(size_t i) const { return slots_.at(i); }
  size_t page_bytes() const { return page_bytes_; }
  size_t vocabulary() const { return vocabulary_; }
  size_t threads() const { return team_.size(); }
  size_t max_tokens() const { return max_tokens_; }
  size_t max_context() const { return max_context_; }
  size_t pages() const { return pages_; }
  size_t slots() const { return slots_.size(); }
  size_t weights() const { return weights_.size(); }
  size_t taps() const { return taps_; }
  size_t tap_width() const { return tap_width_; }
  const std::vector<Router>& routers() const { return routers_; }
  // Nanoseconds that thread 0 spent in ops of each kind since the last call, its waiting included.
  // The first call begins to count.
  std::array<uint64_t, static_cast<size_t>(Kind::kKinds)> spent();
  bool finished() const { return finished_; }
  // Rows of a slot as the last step left them: for tests and for taps. A slot that another value
  // has taken since holds that one's.
  uint8_t* shared(size_t slot) { return shared_.at(slot); }

 private:
  friend class Worker;
  struct Stage {
    size_t first, last;  // ops
    bool wanted;         // its rows are the wanted ones
  };
  // A piece of attention: tokens of one segment, over some spans.
  struct Piece {
    size_t segment, token0, token1, span0, span1;
    size_t group;  // which group of pieces it is merged with, or SIZE_MAX
  };
  struct Group {
    size_t first, count;  // pieces
  };
  void lay_out_stages();
  void lay_out_taps();
  void lay_out_experts();
  void lay_out_cache(size_t cache_bytes, size_t kv_bits);
  void lay_out_codes(size_t kv_bits, size_t layers);
  bool coded() const { return key_form_.bits != 0; }
  void lay_out_pieces();
  size_t tile_bytes(size_t layer) const;
  size_t plain_bytes() const;
  void plan_attention(const Step& step);
  float* partial(size_t piece, size_t head) {
    return partials_.get() + (piece * kv_heads_ + head) * partial_floats_;
  }

  const Kernels& kernels_;
  Team team_;
  const size_t max_tokens_, max_context_;
  std::vector<Slot> slots_;
  std::vector<Weight> weights_;
  std::vector<Op> ops_;
  std::vector<Stage> stages_;
  std::vector<uint8_t*> shared_;
  struct Free {
    void operator()(void* p) const;
  };
  std::vector<std::unique_ptr<uint8_t, Free>> owned_;
  std::vector<std::unique_ptr<class Worker>> workers_;
  std::unique_ptr<Counter[]> counters_;
  size_t counter_count_ = 0;
  std::unique_ptr<std::atomic<uint32_t>[]> remaining_;  // pieces of a (group, kv head) not done

  bool finished_ = false;
  size_t vocabulary_ = 0;
  std::unique_ptr<float, Free> logits_;
  size_t logits_stride_ = 0;

  uint8_t* cache_ = nullptr;
  size_t pages_ = 0, page_bytes_ = 0;
  std::vector<size_t> layer_offset_;  // bytes into a page
  size_t heads_per_kv_ = 1, kv_heads_ = 0, head_width_ = 0, value_width_ = 0;
  bool latent_ = false;
  CodedForm key_form_{};                // of 0 bits where the cache is bf16
  std::vector<CodedForm> value_forms_;  // by layer
  std::vector<float> turn_;
  size_t turn_width_ = 0;
  std::vector<Piece> pieces_;
  std::vector<Group> groups_;
  std::unique_ptr<float, Free> partials_;
  size_t partial_floats_ = 0, max_pieces_ = 0;

  // Of experts: what is between their two products, for every (token, expert) and shared token.
  std::unique_ptr<uint8_t, Free> hidden_, shared_hidden_;
  size_t most_experts_ = 0, most_routed_ = 0;  // routed: tokens times top_k
  size_t router_scratch_ = 0;                  // floats
  size_t taps_ = 0, tap_width_ = 0;
  std::vector<Router> routers_;
  bool timed_ = false;
  std::array<uint64_t, static_cast<size_t>(Kind::kKinds)> spent_{};
};

}  // namespace farthing
