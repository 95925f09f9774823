// Fuzzes where there is no libFuzzer: changes the files of a corpus at random.
// It does not see which code a change reaches; a corpus found with libFuzzer
// brings it near.
// Usage: PROGRAM SECONDS FAILURE FILE...
// FAILURE is a file that has the last bytes if the process dies of them.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t count);

namespace {

using Bytes = std::vector<uint8_t>;
using Clock = std::chrono::steady_clock;

constexpr size_t kMostBytes = 256;

Bytes Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

void Run(const Bytes& bytes, const std::string& failure) {
  std::ofstream(failure, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

// Some other bytes, and sometimes the end of another input.
Bytes Changed(Bytes bytes, const Bytes& other, std::mt19937_64& random) {
  if (random() % 4 == 0 && !other.empty()) {
    bytes.resize(random() % (bytes.size() + 1));
    bytes.insert(bytes.end(), other.begin() + random() % other.size(),
                 other.end());
  }
  bytes.resize(std::min(bytes.size() + random() % 4, kMostBytes));
  for (uint64_t changes = random() % 4; !bytes.empty() && changes > 0;
       --changes) {
    uint8_t& byte = bytes[random() % bytes.size()];
    byte = random() % 2 == 0 ? random() : byte ^ (1 << random() % 8);
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: " << argv[0] << " SECONDS FAILURE FILE...\n";
    return 2;
  }
  const auto end = Clock::now() + std::chrono::seconds(std::atoll(argv[1]));
  const std::string failure = argv[2];
  std::vector<Bytes> corpus = {{}};
  for (int i = 3; i < argc; ++i) corpus.push_back(Read(argv[i]));
  for (const Bytes& bytes : corpus) Run(bytes, failure);
  std::mt19937_64 random{std::random_device{}()};
  int64_t runs = 0;
  for (; Clock::now() < end; ++runs) {
    const Bytes& bytes = corpus[random() % corpus.size()];
    Run(Changed(bytes, corpus[random() % corpus.size()], random), failure);
  }
  std::remove(failure.c_str());
  std::cout << "fuzzed: the " << corpus.size() - 1 << " files of the corpus, "
            << runs << " changes of them\n";
}
