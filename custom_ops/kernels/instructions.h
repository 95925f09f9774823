// Which instructions of the processor may be used, found when the library runs.
// Code for every x86-64 moves only 16 bytes at a time.
#ifndef TF_PATCHES_KERNELS_INSTRUCTIONS_H_
#define TF_PATCHES_KERNELS_INSTRUCTIONS_H_

#include <type_traits>

// Tests define TF_PATCHES_PORTABLE to run what other processors run.
#if defined(__x86_64__) && !defined(TF_PATCHES_PORTABLE)
#define TF_PATCHES_X86
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace tf_patches {

// Each level includes the levels before it. AVX2 includes F16C, AVX-512
// includes VBMI.
enum class Instructions { kBase, kSsse3, kAvx2, kAvx512 };

#ifdef TF_PATCHES_X86
// clang 14 has no __builtin_cpu_supports("f16c").
inline bool HasF16c() {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

inline Instructions InstructionsOfProcessor() {
#ifdef TF_PATCHES_X86
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("ssse3")) return Instructions::kBase;
  if (!__builtin_cpu_supports("avx2") || !HasF16c()) {
    return Instructions::kSsse3;
  }
  // Processors that AVX-512 slows down do not have VBMI2.
  const bool is_quick = __builtin_cpu_supports("avx512vbmi2") &&
                        __builtin_cpu_supports("avx512vbmi") &&
                        __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512vl");
  return is_quick ? Instructions::kAvx512 : Instructions::kAvx2;
#else
  return Instructions::kBase;
#endif
}

// A variable, so that tests can choose less.
inline Instructions usable_instructions = InstructionsOfProcessor();

inline bool MayUse(Instructions instructions) {
  return usable_instructions >= instructions;
}

template <int kBytes>
using VectorBytes = std::integral_constant<int, kBytes>;

#ifdef TF_PATCHES_X86
template <typename Run>
[[gnu::target("avx512f,avx512bw,avx512vl"), gnu::flatten]] void RunOnAvx512(
    const Run& run) {
  run(VectorBytes<64>());
}

template <typename Run>
[[gnu::target("avx2"), gnu::flatten]] void RunOnAvx2(const Run& run) {
  run(VectorBytes<32>());
}
#endif

// Calls `run` with the width of vectors, for each of which there is one:
// compiled with what it calls, as far as that is inlined (by g++ all of it, by
// clang only what `run` itself calls). With 64 bytes at a time, folding patches
// from memory takes up to a third less, and extracting them a tenth.
template <typename Run>
void WithWidestVectors(const Run& run) {
#ifdef TF_PATCHES_X86
  if (MayUse(Instructions::kAvx512)) return RunOnAvx512(run);
  if (MayUse(Instructions::kAvx2)) return RunOnAvx2(run);
#endif
  run(VectorBytes<16>());
}

}  // namespace tf_patches

#endif  // TF_PATCHES_KERNELS_INSTRUCTIONS_H_
