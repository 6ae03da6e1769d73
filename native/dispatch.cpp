// Which tables this processor runs. Every flag a file was compiled with is asked for.
#include <iterator>

#include "kernels.h"

namespace farthing {

extern const Kernels portable;

#if defined(__x86_64__)
extern const Kernels avx2, avx2vnni, avx512vnni, avx512bf16;

namespace {

const char* lacks_avx2() {
  if (!__builtin_cpu_supports("avx2")) return "avx2";
  if (!__builtin_cpu_supports("fma")) return "fma";
  if (!__builtin_cpu_supports("f16c")) return "f16c";
  return nullptr;
}
const char* lacks_avx2vnni() {
  if (const char* missing = lacks_avx2()) return missing;
  return __builtin_cpu_supports("avxvnni") ? nullptr : "avxvnni";
}
const char* lacks_avx512vnni() {
  if (const char* missing = lacks_avx2()) return missing;
  if (!__builtin_cpu_supports("avx512f")) return "avx512f";
  if (!__builtin_cpu_supports("avx512bw")) return "avx512bw";
  if (!__builtin_cpu_supports("avx512vl")) return "avx512vl";
  if (!__builtin_cpu_supports("avx512dq")) return "avx512dq";
  return __builtin_cpu_supports("avx512vnni") ? nullptr : "avx512vnni";
}
const char* lacks_avx512bf16() {
  if (const char* missing = lacks_avx512vnni()) return missing;
  return __builtin_cpu_supports("avx512bf16") ? nullptr : "avx512bf16";
}

}  // namespace

const Compiled* compiled(size_t* count) {
  static const Compiled all[] = {
      {&avx512bf16, lacks_avx512bf16()},
      {&avx512vnni, lacks_avx512vnni()},
      {&avx2vnni, lacks_avx2vnni()},
      {&avx2, lacks_avx2()},
      {&portable, nullptr},
  };
  *count = std::size(all);
  return all;
}
#else
const Compiled* compiled(size_t* count) {
  static const Compiled all[] = {{&portable, nullptr}};
  *count = std::size(all);
  return all;
}
#endif

}  // namespace farthing
