#define FARTHING_ISA_NAME "avx512bf16"
#include <immintrin.h>
#include "kernels.h"
#include "train_attention.h"

// Nothing of the standard library's inline code may be used in here: compiled with these
// instructions, it could be the copy that the linker keeps for everybody.
#define MEMBER inline __attribute__((always_inline))
#define INLINE static MEMBER

namespace farthing {
namespace {
#include "simd/avx512.h"
#include "kernels/linear.inl"
#include "kernels/rows.inl"
#include "kernels/attention.inl"
#include "kernels/cache.inl"
#include "kernels/train_rows.inl"
#include "kernels/table.inl"
#include "kernels/train_attention.inl"
#include "kernels/train_attention_forward.inl"
#include "kernels/train_attention_back.inl"
}  // namespace

extern const Kernels avx512bf16;
const Kernels avx512bf16 = kTable;
extern const TrainKernels avx512bf16_attention;
const TrainKernels avx512bf16_attention{train_attend, train_attend_back};

}  // namespace farthing
