// What training's functions have in common as Python sees them.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <utility>

namespace farthing {

// Takes arrays as they are, or not at all: a silent copy would lose what is written to it.
template <size_t... kAt, class Function>
void define(nanobind::module_& m, const char* name, Function f, std::index_sequence<kAt...>) {
  m.def(name, f, (static_cast<void>(kAt), nanobind::arg().noconvert())...);
}

}  // namespace farthing
