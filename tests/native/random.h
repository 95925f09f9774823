// Random numbers that are the same everywhere: the distributions of the
// standard library are not, its engines are. Or numbers that a fuzzer chooses.
#ifndef TF_PATCHES_TESTS_NATIVE_RANDOM_H_
#define TF_PATCHES_TESTS_NATIVE_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <random>
#include <utility>
#include <vector>

namespace tf_patches {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // Numbers made of bytes, each of as few as hold it, so that a change of one
  // byte changes little else. After the last byte, numbers of a seed.
  Random(const uint8_t* bytes, size_t count)
      : engine_(count), next_(bytes), end_(bytes + count) {}

  uint64_t Bits() { return Bits(sizeof(uint64_t)); }

  // Both ends included.
  int64_t Between(int64_t low, int64_t high) {
    const uint64_t count = high - low + 1;
    return low + static_cast<int64_t>(Bits(BytesBelow(count)) % count);
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
  // How many bytes hold every number below `count`.
  static size_t BytesBelow(uint64_t count) {
    size_t bytes = 1;
    while (bytes < sizeof(count) && count > uint64_t{1} << (8 * bytes)) ++bytes;
    return bytes;
  }

  uint64_t Bits(size_t bytes) {
    if (static_cast<size_t>(end_ - next_) < bytes) return engine_();
    uint64_t bits = 0;
    std::memcpy(&bits, next_, bytes);
    next_ += bytes;
    return bits;
  }

  std::mt19937_64 engine_;
  const uint8_t* next_ = nullptr;
  const uint8_t* end_ = nullptr;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_RANDOM_H_
