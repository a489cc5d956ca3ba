// Random bits that depend on a seed and a position alone, for dropout.
#pragma once

#include <cstdint>

// 64 of them: SplitMix64, Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators". `dropout.rs` has
// the same. Static: files of several instruction sets include it.
static inline uint64_t splitmix64(uint64_t seed, uint64_t position) {
  uint64_t z = seed + (position + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}
