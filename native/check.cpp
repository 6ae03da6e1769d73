#include "check.h"

#include <stdexcept>

namespace farthing {
namespace {

using Slots = std::vector<size_t>;

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

// What an op reads and writes.
struct Touched {
  Slots reads, writes;
};
struct Touches {
  Touched operator()(const Embed& op) const { return {{}, {op.out}}; }
  Touched operator()(const Angles& op) const { return {{}, {op.out}}; }
  Touched operator()(const Norm& op) const { return {{op.in}, {op.out}}; }
  Touched operator()(const Quantize& op) const { return {{op.in}, {op.out}}; }
  Touched operator()(const Linear& op) const {
    Touched t{{op.in}, {}};
    for (const Part& part : op.parts) {
      if (part.residual != kNone) t.reads.push_back(part.residual);
      t.writes.push_back(part.out);
    }
    return t;
  }
  Touched operator()(const Rope& op) const { return {{op.in, op.angles}, {op.out}}; }
  Touched operator()(const Attend& op) const {
    return {op.latent ? Slots{op.q} : Slots{op.q, op.k, op.v}, {op.out}};
  }
  Touched operator()(const Keep& op) const { return {{op.in}, {}}; }
  Touched operator()(const Route& op) const { return {{op.logits}, {op.out}}; }
  Touched operator()(const Experts& op) const {
    Touched t{{op.routed, op.bank.in}, {op.out}};
    if (op.shared.inner) t.reads.push_back(op.shared.in);
    if (op.gate != kNone) t.reads.push_back(op.gate);
    return t;
  }
  Touched operator()(const SiluMul& op) const { return {{op.gate, op.up}, {op.out}}; }
  Touched operator()(const Scale& op) const { return {{op.in}, {op.out}}; }
  Touched operator()(const Slice& op) const { return {{op.in}, {op.out}}; }
  Touched operator()(const Join& op) const { return {{op.x, op.y}, {op.out}}; }
  Touched operator()(const Tap& op) const { return {{op.in}, {}}; }
  Touched operator()(const Add& op) const { return {{op.x, op.y}, {op.out}}; }
  Touched operator()(const Rows& op) const { return {{op.in}, {op.out}}; }
  Touched operator()(const Logits& op) const { return {{op.in}, {}}; }
};

template <class... Ops>
bool is(const Op& op) {
  return (std::holds_alternative<Ops>(op) || ...);
}

bool crosses(const Op& op) { return is<Attend, Experts, Logits>(op); }

class Check {
 public:
  explicit Check(const std::vector<Slot>& slots)
      : slots_(slots), written_(slots.size(), 0), routes_(slots.size(), nullptr) {}

  void take(const Op& op) {
    const Touched touched = std::visit(Touches{}, op);
    if (crosses(op) || is<Rows>(op)) ++stage_;
    rows(op, touched);
    lives(op, touched);
    if (const auto* experts = std::get_if<Experts>(&op)) goes(*experts);
    for (size_t slot : touched.writes) routes_[slot] = std::get_if<Route>(&op);
    keeps(op);
    if (crosses(op)) ++stage_;
  }
  void end() const { require(!kept_, "latents are kept, and nobody attends to them"); }

 private:
  // Before the wanted rows are chosen all values have a row a token, after it a row a wanted one.
  void rows(const Op& op, const Touched& touched) {
    for (size_t slot : touched.reads)
      require(slots_[slot].wanted == wanted_, "an op reads rows of the other kind");
    if (is<Rows>(op)) {
      require(!wanted_, "the wanted rows are chosen twice");
      wanted_ = true;
    }
    for (size_t slot : touched.writes)
      require(slots_[slot].wanted == wanted_, "an op writes rows of the other kind");
    require(!wanted_ || !is<Embed, Angles, Attend, Keep, Route, Experts, Tap>(op),
            "an op of all tokens stands behind the choice of rows");
    if (!is<Logits>(op)) return;
    require(wanted_ && !head_, "logits are made once, of the wanted rows");
    head_ = true;
  }

  // A value that does not cross stages is a thread's own, and gone when the stage ends.
  void lives(const Op& op, const Touched& touched) {
    const bool crossing = crosses(op) || is<Rows>(op);
    for (size_t slot : touched.reads)
      require(slots_[slot].crossing || (!crossing && written_[slot] == stage_),
              "a value is read in another stage than it was made in, and does not cross them");
    for (size_t slot : touched.writes) {
      require(slots_[slot].crossing || !crosses(op), "what all threads make must cross stages");
      require(!slots_[slot].small || !(is<Linear>(op) || crosses(op)),
              "what all threads make together is no thread's own");
      written_[slot] = stage_;
    }
  }

  void goes(const Experts& op) const {
    const Route* route = routes_[op.routed];
    require(route && route->router.experts == op.experts && route->router.top_k == op.top_k,
            "experts must read what a router of as many wrote before them");
  }

  void keeps(const Op& op) {
    if (const auto* keep = std::get_if<Keep>(&op)) {
      require(!kept_, "latents are kept twice before anybody attends to them");
      kept_ = keep;
      met_ = false;
    }
    if (is<Linear>(op)) met_ = true;
    const auto* attend = std::get_if<Attend>(&op);
    if (!attend || !attend->latent) return;
    require(kept_ && kept_->layer == attend->layer && kept_->width == attend->width,
            "no latents of this layer and width are kept");
    require(met_, "no linear stands between keeping latents and attending");
    kept_ = nullptr;
  }

  const std::vector<Slot>& slots_;
  size_t stage_ = 1;
  std::vector<size_t> written_;       // the stage, or 0
  std::vector<const Route*> routes_;  // who wrote a slot last, if a router did
  bool wanted_ = false, head_ = false, met_ = false;
  const Keep* kept_ = nullptr;
};

}  // namespace

void check_ops(const std::vector<Op>& ops, const std::vector<Slot>& slots) {
  Check check(slots);
  for (const Op& op : ops) check.take(op);
  check.end();
}

}  // namespace farthing
