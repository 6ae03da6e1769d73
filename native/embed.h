// One row of a packed matrix, as fp32.
#pragma once

#include "program.h"

namespace farthing {

// out [columns up to 16]: the weights of `row`, exact but for the sum with a minimum.
void embed_row(const Weight& w, size_t row, float* out);

}  // namespace farthing
