// What this machine can do at most: read bytes, multiply and add, and nothing else in the loop.
// Knows no model and no kernel of ours: it is what they are held against. (Not limits.h: with
// -I native, that name would hide the C library's.)
#pragma once

#include <cstddef>
#include <string>

namespace nanobind {
class module_;
}

namespace farthing {

// Bytes a second that `threads` threads read together, each its own part of one buffer, again and
// again. The buffer is anonymous memory (huge pages advised), or the first `bytes` of the file
// `path`, mapped. Throws std::invalid_argument if there is less of it than a few lines a thread.
double limits_read(size_t bytes, int threads, double seconds, const std::string& path);

// Operations a second (a multiply-add is two) of `kind`: "int8", "bf16" or "fp32", by the best
// instruction of this processor. Where bf16 has none, it is what fp32 gives.
double limits_arithmetic(const std::string& kind, int threads, double seconds);

// The instruction that limits_arithmetic uses for a kind.
std::string limits_instruction(const std::string& kind);

}  // namespace farthing

void bind_limits(nanobind::module_& m);
