// Dropout masks on libtorch's threads: each number depends on its position alone, so how many threads share the work
// does not show in it.

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

#include "splitmix.h"

namespace {

// Numbers that one mixed word decides.
constexpr int64_t kLanes = 4;
// Words below which handing out work takes longer than doing it.
constexpr int64_t kGrain = 8192;

}  // namespace

// Fills `mask`, `count` numbers: 0 where 16 bits of the position's are below `threshold`, else `scale`. `start` is the
// position of the first word, each of which decides four numbers.
extern "C" void distill_dropout_mask(float* mask, int64_t count, uint64_t seed, uint64_t start, uint16_t threshold,
                                     float scale) noexcept {
  at::parallel_for(0, (count + kLanes - 1) / kLanes, kGrain, [&](int64_t first, int64_t last) {
    for (int64_t word = first; word < last; ++word) {
      const uint64_t bits = splitmix64(seed, start + static_cast<uint64_t>(word));
      const int64_t left = std::min(kLanes, count - word * kLanes);
      for (int64_t lane = 0; lane < left; ++lane)
        mask[word * kLanes + lane] = static_cast<uint16_t>(bits >> (16 * lane)) >= threshold ? scale : 0.f;
    }
  });
}
