// The memory of a kernel's pass.

#include <cstdlib>
#include <new>

#include "attention_kernel.h"

namespace distill {

float* Scratch::at_least(int64_t floats) {
  if (floats > capacity) {
    std::free(data);
    // Whole cache lines, as aligned_alloc asks for.
    const size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
    data = static_cast<float*>(std::aligned_alloc(64, bytes));
    capacity = data ? floats : 0;
    if (!data) throw std::bad_alloc();
  }
  return data;
}

Scratch::~Scratch() { std::free(data); }

}  // namespace distill
