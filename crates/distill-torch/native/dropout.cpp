// Dropout masks on libtorch's threads: each number depends on its position alone, so how many threads share the work
// does not show in it.

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

namespace {

// Numbers that one mixed word decides.
constexpr int64_t kLanes = 4;
// Words below which handing out work takes longer than doing it.
constexpr int64_t kGrain = 8192;

// 64 random bits of a position: SplitMix64, Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
inline uint64_t mixed(uint64_t seed, uint64_t position) {
  uint64_t z = seed + (position + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

}  // namespace

// Fills `mask`, `count` numbers: 0 where 16 bits of the position's are below `threshold`, else `scale`. `start` is the
// position of the first word, each of which decides four numbers.
extern "C" void distill_dropout_mask(float* mask, int64_t count, uint64_t seed, uint64_t start, uint16_t threshold,
                                     float scale) noexcept {
  at::parallel_for(0, (count + kLanes - 1) / kLanes, kGrain, [&](int64_t first, int64_t last) {
    for (int64_t word = first; word < last; ++word) {
      const uint64_t bits = mixed(seed, start + static_cast<uint64_t>(word));
      const int64_t left = std::min(kLanes, count - word * kLanes);
      for (int64_t lane = 0; lane < left; ++lane)
        mask[word * kLanes + lane] = static_cast<uint16_t>(bits >> (16 * lane)) >= threshold ? scale : 0.f;
    }
  });
}
