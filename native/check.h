// Whether a program's ops and slots fit one another: what no single op shows.
#pragma once

#include <vector>

#include "program.h"

namespace farthing {

// Throws std::invalid_argument where a step would read or write beside its rows, or read what
// nobody has written.
void check_ops(const std::vector<Op>& ops, const std::vector<Slot>& slots);

}  // namespace farthing
