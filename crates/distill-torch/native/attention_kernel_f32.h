// The kernel for f32, included by one file for each instruction set, with DISTILL_LANES floats in a register and
// DISTILL_KERNEL as the name that it is exported by. That for bf16 is attention_kernel_avx512_bf16.cpp.
//
// softmax(q·kᵀ/√d)·v over blocks of queries (Dao et al. 2022, arXiv:2205.14135, without tiles over the keys: a block of
// scores fits the second-level cache for the lengths that encoders read). The backward pass computes the scores again.
//
// The queries of a block lie side by side in a register, so scores are [keys, queries]: a query's maximum and sum go
// down a column, no register is summed across, and no key needs padding.
//
// Legend: S keys, d size of a head, dp the same rounded up to lanes, M queries of a block, Mp the same rounded up.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "attention_parts.h"

namespace distill {
namespace {

// e^x for x <= 0, to about one unit in the last place; below -87 it is as good as 0. What is not a number stays so,
// also an infinity above, which a score less an infinite maximum or sum is: a comparison with NaN is false, so the
// clamp asks for what it replaces.
inline Floats exp_of(Floats x) {
  const Floats least = all(-87.f);
  x = x < least ? least : x;
  // Adding and taking away 1.5 * 2^23 rounds to a whole number.
  const Floats magic = all(12582912.f);
  const Floats shifted = x * 1.44269504f + magic;
  const Floats n = shifted - magic;
  Floats r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  Floats p = all(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.f;
  const Ints exponent = __builtin_convertvector(n, Ints) + 127;
  return p * reinterpret_cast<Floats>(exponent << 23);
}

// A matrix read by row and column, also transposed.
struct View {
  using Right = float;
  const float* data;
  int64_t row, column;

  float at(int64_t r, int64_t k) const { return data[r * row + k * column]; }
  void skip(int64_t rows) { data += rows * row; }
  static Floats accumulate(Floats sum, float left, Floats right) { return sum + left * right; }
};

// Tokens `[rows, size]` to `[rows, padded]`, zeros behind each.
void copy_rows(const float* from, int64_t stride, int64_t rows, int64_t size, int64_t padded, float* to) {
  for (int64_t r = 0; r < rows; ++r, from += stride, to += padded) {
    int64_t c = 0;
    for (; c + L <= size; c += L) store(to + c, load(from + c));
    for (; c < size; ++c) to[c] = from[c];
    for (; c < padded; ++c) to[c] = 0.f;
  }
}

void write_rows(const float* from, int64_t padded, int64_t rows, int64_t size, float factor, float* to, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r, from += padded, to += stride) {
    int64_t c = 0;
    for (; c + L <= size; c += L) store(to + c, load(from + c) * factor);
    for (; c < size; ++c) to[c] = from[c] * factor;
  }
}

// Up to L numbers, zeros behind them.
inline Floats load_some(const float* from, int64_t count) {
  if (count >= L) return load(from);
  Floats out = all(0.f);
  for (int64_t i = 0; i < count; ++i) out[i] = from[i];
  return out;
}

inline void store_some(float* to, Floats x, int64_t count) {
  if (count >= L) return store(to, x);
  for (int64_t i = 0; i < count; ++i) to[i] = x[i];
}

// `[rows, columns]` to `[columns, rows]`, whose rows are `to_stride` apart and of which `writable` columns may be written;
// each number times `factor`. With `writable` a multiple of the lanes, zeros fill it.
void transpose(const float* from, int64_t stride, int64_t rows, int64_t columns, float factor, float* to,
               int64_t to_stride, int64_t writable) {
  for (int64_t r = 0; r < rows; r += L)
    for (int64_t c = 0; c < columns; c += L) {
      Floats block[L];
      for (int i = 0; i < L; ++i)
        block[i] = r + i < rows ? load_some(from + (r + i) * stride + c, columns - c) * factor : all(0.f);
      turn(block);
      for (int i = 0; i < L && c + i < columns; ++i) store_some(to + (c + i) * to_stride + r, block[i], writable - r);
    }
}

// What exp_of makes of kUnseen is no 0 but so small that its products are denormal, which processors take a hundred cycles
// for: such weights are set to 0 themselves.
void forward(const AttentionForward<float>& pass, Scratch& scratch) {
  const AttentionHead<float>& h = pass.head;
  const int64_t S = h.keys, d = h.size, block = rounded_up(std::min(kQueryBlock, h.queries));
  float* query = scratch.at_least(d * block + S * d + S * block + d * block);  // [d, Mp]
  float* value = query + d * block;                                            // [S, d]
  float* weights = value + S * d;                                              // [S, Mp]
  float* out = weights + S * block;                                            // [d, Mp]
  copy_rows(h.value, h.value_stride, S, d, d, value);
  if (pass.next) prefetch(pass.next->head, pass.next->out);
  for (int64_t first = 0; first < h.queries; first += block) {
    const int64_t M = std::min(block, h.queries - first), Mp = rounded_up(M);
    const float scale = 1.f / std::sqrt(static_cast<float>(d));
    const Seen seen(h, first, M);
    transpose(h.query + first * h.query_stride, h.query_stride, M, d, scale, query, Mp, Mp);
    multiply<false>(seen.count, Mp, d, View{h.key + seen.from * h.key_stride, h.key_stride, 1}, query, Mp, weights, Mp);
    seen.set_unseen(h, first, M, Mp, kUnseen, weights);
    const Dropping dropping(h.dropout, first);
    float shares[kQueryBlock];  // what each query's sum of e^score is divided by, or rather multiplied with
    for (int64_t q = 0; q < Mp; q += L) {
      float* column = weights + q;
      Floats most = load(column);
      for (int64_t k = 1; k < seen.count; ++k) most = larger(most, load(column + k * Mp));
      Floats sum = all(0.f);
      for (int64_t k = 0; k < seen.count; ++k) {
        const Floats e = exp_of(load(column + k * Mp) - most);
        sum += e;
        store(column + k * Mp, dropping.threshold == 0 ? e : dropping.kept(e, q / L, seen.from + k));
      }
      store(shares + q, dropping.scale / sum);
      if (pass.log_sum_exp)
        for (int64_t i = 0; i < L && q + i < M; ++i)
          pass.log_sum_exp[(first + q + i) * pass.log_sum_stride] = most[i] + std::log(static_cast<float>(sum[i]));
    }
    seen.set_unseen(h, first, M, Mp, 0.f, weights);
    multiply<false>(d, Mp, seen.count, View{value + seen.from * d, 1, d}, weights, Mp, out, Mp);
    for (int64_t c = 0; c < d; ++c)
      for (int64_t q = 0; q < Mp; q += L) store(out + c * Mp + q, load(out + c * Mp + q) * load(shares + q));
    transpose(out, Mp, d, M, 1.f, pass.out + first * h.out_stride, h.out_stride, d);
  }
}

void backward(const AttentionBackward<float>& pass, Scratch& scratch) {
  const AttentionHead<float>& h = pass.head;
  const int64_t S = h.keys, d = h.size, dp = rounded_up(d), block = rounded_up(std::min(kQueryBlock, h.queries));
  const float scale = 1.f / std::sqrt(static_cast<float>(d));
  float* keys = scratch.at_least(S * d + 2 * S * dp + 2 * S * block + 4 * d * block + 2 * block * dp);  // [S, d]
  float* grad_key = keys + S * d;                  // [S, dp]
  float* grad_value = grad_key + S * dp;           // [S, dp]
  float* weights = grad_value + S * dp;            // [S, Mp]
  float* grad_scores = weights + S * block;        // [S, Mp]
  float* query = grad_scores + S * block;          // [d, Mp]
  float* grad_out = query + d * block;             // [d, Mp]
  float* out = grad_out + d * block;               // [d, Mp]
  float* grad_query = out + d * block;             // [d, Mp]
  float* query_rows = grad_query + d * block;      // [M, dp]
  float* grad_out_rows = query_rows + block * dp;  // [M, dp]
  copy_rows(h.key, h.key_stride, S, d, d, keys);
  if (pass.next) prefetch(*pass.next);
  std::memset(grad_key, 0, 2 * S * dp * sizeof(float));
  for (int64_t first = 0; first < h.queries; first += block) {
    const int64_t M = std::min(block, h.queries - first), Mp = rounded_up(M), place = first * h.out_stride;
    const float* asking = h.query + first * h.query_stride;
    copy_rows(asking, h.query_stride, M, d, dp, query_rows);
    copy_rows(pass.grad_out + place, h.out_stride, M, d, dp, grad_out_rows);
    transpose(query_rows, dp, M, d, scale, query, Mp, Mp);
    transpose(grad_out_rows, dp, M, d, 1.f, grad_out, Mp, Mp);
    transpose(pass.out + place, h.out_stride, M, d, 1.f, out, Mp, Mp);
    const Seen seen(h, first, M);
    const float* seen_keys = keys + seen.from * d;
    const float* seen_values = h.value + seen.from * h.value_stride;
    multiply<false>(seen.count, Mp, d, View{seen_keys, d, 1}, query, Mp, weights, Mp);
    multiply<false>(seen.count, Mp, d, View{seen_values, h.value_stride, 1}, grad_out, Mp, grad_scores, Mp);
    seen.set_unseen(h, first, M, Mp, kUnseen, weights);
    const Dropping dropping(h.dropout, first);
    float log_sums[kQueryBlock] = {};
    for (int64_t q = 0; q < M; ++q) log_sums[q] = pass.log_sum_exp[(first + q) * pass.log_sum_stride];
    for (int64_t q = 0; q < Mp; q += L) {
      Floats along = all(0.f);  // Σ gradient·weight of each query
      for (int64_t c = 0; c < d; ++c) along += load(grad_out + c * Mp + q) * load(out + c * Mp + q);
      const Floats log_sum = load(log_sums + q);
      for (int64_t k = 0; k < seen.count; ++k) {
        float *weight = weights + k * Mp + q, *grad = grad_scores + k * Mp + q;
        const Floats w = exp_of(load(weight) - log_sum);
        Floats g = load(grad), shown = w;
        dropping.drop(shown, g, q / L, seen.from + k);
        store(weight, shown);
        store(grad, w * (g - along));
      }
    }
    seen.set_unseen(h, first, M, Mp, 0.f, weights);
    seen.set_unseen(h, first, M, Mp, 0.f, grad_scores);
    multiply<false>(d, Mp, seen.count, View{seen_keys, 1, d}, grad_scores, Mp, grad_query, Mp);
    transpose(grad_query, Mp, d, M, scale, pass.grad_query + first * pass.grad_query_stride, pass.grad_query_stride, d);
    multiply<true>(seen.count, dp, M, View{grad_scores, Mp, 1}, query_rows, dp, grad_key + seen.from * dp, dp);
    multiply<true>(seen.count, dp, M, View{weights, Mp, 1}, grad_out_rows, dp, grad_value + seen.from * dp, dp);
  }
  write_rows(grad_key, dp, S, d, scale, pass.grad_key, pass.grad_key_stride);
  write_rows(grad_value, dp, S, d, 1.f, pass.grad_value, pass.grad_value_stride);
}

}  // namespace

const AttentionKernel<float> DISTILL_KERNEL = {forward, backward};

}  // namespace distill
