#define FARTHING_ISA_NAME "avx2"
#include <immintrin.h>
#include "kernels.h"

// Nothing of the standard library's inline code may be used in here: compiled with these
// instructions, it could be the copy that the linker keeps for everybody.
#define MEMBER inline __attribute__((always_inline))
#define INLINE static MEMBER

namespace farthing {
namespace {
#include "simd/avx2.h"
#include "simd/turn.h"
#include "kernels/linear.inl"
#include "kernels/rows.inl"
#include "kernels/attention.inl"
#include "kernels/cache.inl"
#include "kernels/train_rows.inl"
#include "kernels/table.inl"
}  // namespace

extern const Kernels avx2;
const Kernels avx2 = kTable;

}  // namespace farthing
