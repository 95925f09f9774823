// Random numbers that are the same everywhere: the distributions of the
// standard library are not, its engines are.
#ifndef TF_PATCHES_TESTS_NATIVE_RANDOM_H_
#define TF_PATCHES_TESTS_NATIVE_RANDOM_H_

#include <cstdint>
#include <initializer_list>
#include <random>
#include <utility>
#include <vector>

namespace tf_patches {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t Bits() { return engine_(); }

  // Both ends included.
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Bits() % (high - low + 1));
  }

  bool OneIn(int64_t n) { return Between(1, n) == 1; }

  template <typename T>
  T Of(std::initializer_list<T> choices) {
    return choices.begin()[Between(0, choices.size() - 1)];
  }

  template <typename T>
  void Shuffle(std::vector<T>* items) {
    for (int64_t i = items->size() - 1; i > 0; --i) {
      std::swap((*items)[i], (*items)[Between(0, i)]);
    }
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_RANDOM_H_
