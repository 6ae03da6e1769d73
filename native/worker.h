// One thread's part in a step: where its values lie, and how it does each op.
#pragma once

#include "program.h"

namespace farthing {

constexpr size_t kAlone = 8;        // tokens up to which every thread does the small ops for itself
constexpr size_t kChunk = 32;       // tokens that a thread takes through a stage at once
constexpr size_t kOwn = 16;         // tokens a thread from which chunks are worth it
constexpr size_t kTileRows = 96;    // query rows in a piece of attention, about
constexpr size_t kUnitBlocks = 6;   // row blocks of an expert that a thread takes at once
constexpr size_t kUnitTokens = 64;  // and of how many tokens what they give is held

class Worker {
 public:
  Worker(Program& program, size_t index);
  void run(const Step& step);

 private:
  class Watch;
  enum class Order { kAlone, kShared, kChunks };
  struct Range {
    size_t begin, end;
  };
  Order order_of(size_t count) const;
  void place(bool wanted, Order order, size_t chunk);
  void local(const Program::Stage& stage, Order order, size_t count);
  void chunks(const Program::Stage& stage, size_t count);
  void together(const Program::Stage& stage, Order order, size_t count);
  // Which row blocks are this thread's own, where the common ones begin, how many it takes at once.
  struct Deal {
    size_t own_begin, own_end, common, unit;
  };
  Deal deal(size_t blocks) const;
  template <class Do>
  void share(size_t blocks, const Do& some);
  void share_linear(const Linear& op, size_t count);
  size_t blocks_of(const Linear& op) const;
  Ahead ahead(size_t at) const;

  void operator()(const Embed& op, Range range);
  void operator()(const Angles& op, Range range);
  void operator()(const Norm& op, Range range);
  void operator()(const Quantize& op, Range range);
  void operator()(const Linear& op, Range range);
  void operator()(const Rope& op, Range range);
  void operator()(const SiluMul& op, Range range);
  void operator()(const Scale& op, Range range);
  void operator()(const Slice& op, Range range);
  void operator()(const Join& op, Range range);
  void operator()(const Route& op, Range range);
  void operator()(const Keep& op, Range range);
  void operator()(const Tap& op, Range range);
  void operator()(const Add& op, Range range);
  void operator()(const Rows& op, Range range);
  void operator()(const Attend& op, Range range);  // writes k and v into the cache
  void operator()(const Logits& op, Range range);
  void operator()(const Experts& op, Range range);

  void attend(const Attend& op);
  void attend_piece(const Attend& op, size_t piece, size_t head);
  void attend_merge(const Attend& op, size_t group, size_t head);
  void attend_finish(const Attend& op, const Program::Piece& piece, size_t head,
                     const float* state);
  void write_kv(const Attend& op, size_t token, size_t head);
  void write_coded_keys(const Attend& op, const float* k, size_t head, size_t place, uint8_t* tile);
  void write_coded_values(const Attend& op, const float* v, size_t place, uint8_t* tile);
  void turn_back(size_t width, float* out);
  void open_span(const Attend& op, const Program::Piece& piece, size_t head, size_t span,
                 size_t end);
  void attend_coded(const Attend& op, const Program::Piece& piece, size_t head, AttendTask task);

  // Some row blocks of one expert's gate and up, for its tokens: entries begin to end.
  struct Unit {
    const Bank* bank;
    size_t expert, begin, end, block0, block1;
    bool shared;
  };
  void experts(const Experts& op);
  void gather(const Experts& op);
  size_t units(const Experts& op) const;
  Unit unit(const Experts& op, size_t at) const;
  void open(const Experts& op, const Unit& unit, const uint8_t* after);
  void activate(const Experts& op, const Unit& unit, size_t from, size_t to);
  void close(const Experts& op, size_t at, size_t next);
  void close_bank(const Experts& op, const Bank& bank, size_t expert, LinearTask task);
  const uint8_t* block_of(size_t weight, size_t index, size_t block) const;
  uint8_t* hidden(const Unit& unit, size_t entry) const;
  size_t hidden_stride(const Bank& bank) const;
  template <class Do>
  void each_unit(size_t total, const Do& some);
  void logits(const Logits& op);
  void choose(size_t row, float* logits);
  void blocks(const Linear& op, const Part& part, Range range, size_t block0, size_t block1);

  size_t segment_of(size_t token) const;
  int32_t position_of(size_t token, size_t segment) const;
  uint16_t* page_of(size_t layer, size_t segment, size_t page, size_t head) const;
  // What only one thread does where all do the small ops.
  bool mine() const { return tokens_order_ != Order::kAlone || index_ == 0; }
  uint8_t* row(size_t slot, size_t at) const {
    return base_[slot] + at * program_.slots_[slot].stride;
  }
  float* floats(size_t slot, size_t at) const { return reinterpret_cast<float*>(row(slot, at)); }
  Counter& counter() { return program_.counters_[sections_++]; }
  void meet(Ahead ahead = {}) { program_.team_.meet(ahead); }

  Program& program_;
  const Kernels& k_;
  const size_t index_;
  const Step* step_ = nullptr;
  Order tokens_order_{}, rows_order_{};
  bool writes_in_attention_ = false;
  size_t sections_ = 0;
  std::vector<uint8_t*> base_;  // of each slot, as of now; row t lies at base + t * stride
  std::vector<uint8_t*> own_;   // this thread's rows of each slot
  std::vector<std::unique_ptr<uint8_t, Program::Free>> owned_;
  std::vector<const uint16_t*> page_pointers_;
  std::vector<uint32_t> queries_;
  std::vector<float> state_;
  std::unique_ptr<uint8_t, Program::Free> attend_scratch_;
  std::unique_ptr<uint8_t, Program::Free> opened_;  // tiles of a span, unpacked
  std::vector<float> turned_;
  Scratch choose_scratch_;
  std::vector<float> router_scratch_;
  // The (token, expert) pairs of a step by expert: where each one's begin, which have any.
  std::vector<uint32_t> first_, used_, tokens_;
  std::vector<float> factors_, shared_factors_;
  std::vector<float> gate_, up_;
};

}  // namespace farthing
