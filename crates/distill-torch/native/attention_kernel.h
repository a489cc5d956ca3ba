// Attention of one head over one row, without padding between rows and without a [rows, heads, S, S] tensor in memory.
//
// There is one kernel for each instruction set and number format (attention_kernel_*.cpp), chosen at run time. It knows nothing
// of libtorch. Layouts: row-major; "stride" is the distance of two tokens.
#pragma once

#include <cstdint>

namespace distill {

// The upper half of a float.
using Bf16 = uint16_t;

// What drops attention weights: the same numbers for the same key, in any order of computing.
struct AttentionDropout {
  uint32_t threshold = 0;  // a weight is dropped where its random number is below; 0: nothing is dropped
  float scale = 1.f;       // of the weights that stay
  uint64_t seed = 0;
  uint64_t position = 0;  // of this head's first query; a query's is `position + its number`
};

// One head of one row: `queries` tokens ask, `keys` tokens are asked, each `size` wide. The first query is the first token.
struct AttentionShape {
  int64_t queries, keys, size;
  int64_t reach;  // how many tokens away a query sees; below 0: the whole row
  int64_t query_stride, key_stride, value_stride, out_stride;
  AttentionDropout dropout;
};

// `Number` is float, or Bf16. Sums are in f32.
template <typename Number>
struct AttentionHead : AttentionShape {
  const Number *query, *key, *value;
};

template <typename Number>
struct AttentionForward {
  AttentionHead<Number> head;
  Number* out;
  float* log_sum_exp;  // of each query's scores, as the same kernel's backward pass takes it; may be null
  int64_t log_sum_stride;
  const AttentionForward<Number>* next;  // what comes after this, so that its numbers are on their way; may be null
};

template <typename Number>
struct AttentionBackward {
  AttentionHead<Number> head;
  const Number *out, *grad_out;  // both with out_stride
  const float* log_sum_exp;
  int64_t log_sum_stride;
  Number *grad_query, *grad_key, *grad_value;
  int64_t grad_query_stride, grad_key_stride, grad_value_stride;
  const AttentionBackward<Number>* next;
};

// Grows on demand; one for each thread.
struct Scratch {
  float* data = nullptr;
  int64_t capacity = 0;
  float* at_least(int64_t floats);
  ~Scratch();
};

template <typename Number>
struct AttentionKernel {
  void (*forward)(const AttentionForward<Number>&, Scratch&);
  void (*backward)(const AttentionBackward<Number>&, Scratch&);
};

// Bits per weight that a dropout probability is rounded to.
constexpr int kDropoutBits = 24;

extern const AttentionKernel<float> attention_kernel_baseline_f32;
#if defined(__x86_64__)
extern const AttentionKernel<float> attention_kernel_avx2_f32;
extern const AttentionKernel<float> attention_kernel_avx512_f32;
extern const AttentionKernel<Bf16> attention_kernel_avx512_bf16;
#endif

}  // namespace distill
