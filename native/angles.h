// Rotary angles of one position, by arithmetic alone: libm's bits differ from machine to machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace farthing {

// out: cos [count], then sin [count], of fp32(position * frequency), times the magnitude.
void angles_of(const float* frequencies, size_t count, int32_t position, float magnitude,
               float* out);

}  // namespace farthing
