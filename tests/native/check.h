// Counts what was checked and tells of what failed.
#ifndef TF_PATCHES_TESTS_NATIVE_CHECK_H_
#define TF_PATCHES_TESTS_NATIVE_CHECK_H_

#include <cstdint>
#include <iostream>

namespace tf_patches {

class Check {
 public:
  // `cases` is how many random cases a sweep should try.
  explicit Check(int64_t cases) : cases_(cases) {}

  int64_t cases() const { return cases_; }
  int64_t checks() const { return checks_; }
  int64_t failures() const { return failures_; }

  // The context is printed, piece after piece, where `ok` is false.
  template <typename... Context>
  void That(bool ok, const Context&... context) {
    ++checks_;
    if (ok) return;
    if (++failures_ > kToldOf) return;
    std::cout << "  ";
    (std::cout << ... << context) << std::endl;
  }

  template <typename Value, typename... Context>
  void Equal(const Value& actual, const Value& expected,
             const Context&... context) {
    That(actual == expected, context..., ": got ", actual, ", want ", expected);
  }

 private:
  static constexpr int64_t kToldOf = 10;

  const int64_t cases_;
  int64_t checks_ = 0;
  int64_t failures_ = 0;
};

}  // namespace tf_patches

#endif  // TF_PATCHES_TESTS_NATIVE_CHECK_H_
