// A program being built, or finished, as Python holds it: every slot and width is checked here.
#pragma once

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "program.h"
#include "step_arrays.h"

namespace farthing {

const Kernels& kernels_named(const std::string& isa);

// Beyond these sizes, sums of bytes could wrap; and positions are int32.
constexpr size_t kMost = (size_t{1} << 31) - 1;

inline size_t within(size_t value, size_t most, const char* what) {
  require(value > 0 && value <= most, what);
  return value;
}

// Where the tokens of a step go, whatever the routers say: [routers][tokens][top_k], checked. A
// copy, for Python may write to its array later.
struct Given {
  std::vector<int32_t> ids;
  size_t tokens;
};

// Keeps the arrays that weights point into alive.
struct Model {
  Program program;
  std::vector<Row<uint8_t>> held;
  size_t tapped = 0, routers = 0;
  std::optional<Given> given;
  size_t embeddable = kMost;  // tokens that every table has a row for
  Model(const std::string& isa, size_t threads, size_t max_tokens, size_t max_context)
      : program(kernels_named(isa), within(threads, 1024, "threads must be 1 to 1024"),
                within(max_tokens, kMost, "a step must have room for a token"),
                within(max_context, kMost, "a context must have room for a token")) {}

  std::atomic<bool> running{false};
  // Without the interpreter's lock: another Python thread may be at the door meanwhile.
  void run(Step step) {
    if (given) {
      require(given->tokens == step.token_count, "routes were given for another number of tokens");
      step.routes = given->ids.data();
    }
    require(!running.exchange(true), "a step of this program is running");
    {
      nanobind::gil_scoped_release unlocked;
      program.run(step);
    }
    running = false;
  }

  // What a step reads or writes must not change under it.
  void resting() const { require(!running, "a step of this program is running"); }
  void building() const { require(!program.finished(), "the program is finished"); }
  // A slot wide enough for that many floats.
  size_t floats(size_t slot, size_t width, size_t heads = 1) const {
    building();
    require(width <= kMost && heads <= kMost && width * heads <= kMost, "a value is too wide");
    require(slot < program.slots(), "no such slot");
    require(program.slot_at(slot).stride >= round_up(heads * width, 16) * 4,
            "a slot is too narrow");
    return slot;
  }
  // A slot wide enough for what a weight's linear reads.
  size_t quantized(size_t slot, const Weight& w, Rounding whole = Rounding::kInt8) const {
    building();
    const size_t bytes = rounded_bytes(w.form == Form::kBf16 ? Rounding::kBf16 : whole, w.columns);
    return holds(slot, bytes);
  }
  size_t holds(size_t slot, size_t bytes) const {
    building();
    require(slot < program.slots(), "no such slot");
    require(program.slot_at(slot).stride >= bytes, "the input of a linear is too narrow");
    return slot;
  }
  const Weight& weight(size_t i) const {
    require(i < program.weights(), "no such weight");
    return program.weight_at(i);
  }
};

inline std::vector<float> vector_of(const Row<float>& row) {
  // Padded to 16 lanes with zeros: the kernels read whole vectors.
  std::vector<float> v(round_up(row.shape(0), 16), 0.f);
  std::copy(row.data(), row.data() + row.shape(0), v.begin());
  return v;
}

// Attention in training.
void bind_train_attention(nanobind::module_& module);

// Ops of mixtures of experts and latent attention.
void bind_mixture(nanobind::class_<Model>& program);

// Rows of a training step.
void bind_train_rows(nanobind::module_& module);

}  // namespace farthing
