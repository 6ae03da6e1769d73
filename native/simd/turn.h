// The word `turn_block` without vector instructions. See portable.h.
// Included inside an anonymous namespace.

// Keys of 16 positions and 16 numbers become values: from pairs of numbers to pairs of positions.
INLINE void turn_block(const uint16_t* keys, size_t stride, uint16_t* values, size_t width) {
  for (size_t j = 0; j < 8; ++j)
    for (size_t p = 0; p < 8; ++p) {
      const uint16_t* from = keys + j * stride + 4 * p;
      uint16_t* to = values + p * width + 4 * j;
      to[0] = from[0], to[1] = from[2], to[2] = from[1], to[3] = from[3];
    }
}
