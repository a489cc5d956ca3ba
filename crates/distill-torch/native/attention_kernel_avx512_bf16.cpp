// The kernel for bf16 on processors that multiply it (AVX-512 BF16), in the plan of attention_kernel_f32.h.
//
// The processor's product takes two neighbours of each side and adds both to a sum in f32. So the left matrix is read two
// numbers at a time, along what is summed over, and the right one holds such pairs side by side: `[depth / 2, columns]`.
// Attention weights, and in the backward pass their gradients, are rounded to bf16 before they are multiplied, as flash
// attention does on a GPU; maxima, sums and exponentials are in f32.
//
// Legend: S keys, d size of a head, dp the same rounded up to lanes, M queries of a block, Mp the same rounded up.

#define DISTILL_LANES 16

// GCC 12 finds fault with its own intrinsics, which begin with a register of no value (GCC's bug 105593), wherever they are
// used, so for the whole file.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "attention_parts.h"

namespace distill {
namespace {

constexpr float kLog2E = 1.44269504f;

// bf16 read two numbers at a time; strides are in numbers, `column` from one pair to the next.
struct Pairs {
  using Right = uint32_t;
  const Bf16* data;
  int64_t row, column;

  uint32_t at(int64_t r, int64_t k) const {
    uint32_t pair;
    std::memcpy(&pair, data + r * row + k * column, sizeof pair);
    return pair;
  }
  void skip(int64_t rows) { data += rows * row; }
  static Floats accumulate(Floats sum, uint32_t left, Words right) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int32_t>(left))),
                            reinterpret_cast<__m512bh>(right));
  }
};

// A matrix of pairs as the left side, whose row is the pair's own column: turned.
Pairs turned(const uint32_t* pairs, int64_t stride) {
  return Pairs{reinterpret_cast<const Bf16*>(pairs), 2, 2 * stride};
}

// Each lane of two registers as a pair.
inline Words paired(Floats first, Floats second) {
  alignas(64) static constexpr uint16_t kOrder[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                      8,  24, 9,  25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
  return reinterpret_cast<Words>(_mm512_permutexvar_epi16(_mm512_load_si512(kOrder), both));
}

inline void store_rounded(Bf16* to, Floats x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}

inline __mmask16 first_lanes(int64_t count) {
  return count >= L ? __mmask16(0xffff) : static_cast<__mmask16>((1u << count) - 1);
}

// Up to L numbers, each the lower half of its lane; zeros behind them.
inline Words load_halves(const Bf16* from, int64_t count) {
  const __m256i halves = _mm256_maskz_loadu_epi16(first_lanes(count), from);
  return reinterpret_cast<Words>(_mm512_cvtepu16_epi32(halves));
}

inline Floats load_wide(const Bf16* from, int64_t count) { return reinterpret_cast<Floats>(load_halves(from, count) << 16); }

// 2^x, to one part in 300,000, as it is rounded to one in 256 (a minimax polynomial of degree 4). 0 far below; what is not
// a number stays so. At minus infinity `r` is none, and the last line makes 0 of it: scalef is defined so.
inline Floats exp2_of(Floats x) {
  const Floats n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const Floats r = x - n;
  Floats p = all(9.57010183e-3f);
  p = p * r + 5.59178603e-2f;
  p = p * r + 2.40247448e-1f;
  p = p * r + 6.93121815e-1f;
  p = p * r + 9.99999261e-1f;
  return _mm512_scalef_ps(p, n);
}

// Tokens `[rows, size]` to pairs of neighbouring numbers `[size / 2, columns]`, a token in each column; `columns` is
// a multiple of the lanes, of which those behind the last token are 0.
void pairs_along_size(const Bf16* from, int64_t stride, int64_t rows, int64_t size, uint32_t* to, int64_t columns) {
  for (int64_t r = 0; r < columns; r += L)
    for (int64_t c = 0; c < size; c += 2 * L) {
      Floats block[L];
      const int64_t pairs = std::min<int64_t>(L, (size - c) / 2);
      for (int i = 0; i < L; ++i)
        block[i] = r + i < rows ? _mm512_maskz_loadu_ps(first_lanes(pairs), from + (r + i) * stride + c) : _mm512_setzero_ps();
      turn(block);
      for (int64_t i = 0; i < pairs; ++i) _mm512_storeu_ps(to + (c / 2 + i) * columns + r, block[i]);
    }
}

// Tokens `[rows, size]` to pairs of neighbouring tokens `[ceil(rows / 2), dp]`, zeros behind the last.
void pairs_along_tokens(const Bf16* from, int64_t stride, int64_t rows, int64_t size, uint32_t* to, int64_t dp) {
  for (int64_t r = 0; r < rows; r += 2, from += 2 * stride, to += dp)
    for (int64_t c = 0; c < dp; c += L) {
      Words pair = load_halves(from + c, size - c);
      if (r + 1 < rows) pair |= load_halves(from + stride + c, size - c) << 16;
      store(to + c, pair);
    }
}

// `[rows, dp]` times `factor` to tokens `[rows, size]`.
void write_rounded(const float* from, int64_t dp, int64_t rows, int64_t size, float factor, Bf16* to, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r, from += dp, to += stride)
    for (int64_t c = 0; c < size; c += L) {
      const __m256i rounded = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(load(from + c) * factor));
      _mm256_mask_storeu_epi16(to + c, first_lanes(size - c), rounded);
    }
}

void forward(const AttentionForward<Bf16>& pass, Scratch& scratch) {
  const AttentionHead<Bf16>& h = pass.head;
  const int64_t S = h.keys, d = h.size, dp = rounded_up(d), block = rounded_up(std::min(kQueryBlock, h.queries));
  const int64_t key_pairs = (S + 1) / 2;
  float* scores = scratch.at_least(S * block + block * dp + d / 2 * block + key_pairs * dp);  // [S, Mp]
  float* out = scores + S * block;                                                            // [M, dp]
  uint32_t* query = reinterpret_cast<uint32_t*>(out + block * dp);                            // [d / 2, Mp]
  uint32_t* value = query + d / 2 * block;                                                    // [S / 2, dp]
  uint32_t* weights = reinterpret_cast<uint32_t*>(scores);  // [S / 2, Mp], where the scores were read
  const float to_base_2 = kLog2E / std::sqrt(static_cast<float>(d));
  pairs_along_tokens(h.value, h.value_stride, S, d, value, dp);
  if (pass.next) prefetch(pass.next->head, pass.next->out);
  for (int64_t first = 0; first < h.queries; first += block) {
    const int64_t M = std::min(block, h.queries - first), Mp = rounded_up(M);
    const Seen seen(h, first, M, 2);
    pairs_along_size(h.query + first * h.query_stride, h.query_stride, M, d, query, Mp);
    multiply<false>(seen.count, Mp, d / 2, Pairs{h.key + seen.from * h.key_stride, h.key_stride, 2}, query, Mp, scores, Mp);
    seen.set_unseen(h, first, M, Mp, kUnseen, scores);
    const Dropping dropping(h.dropout, first);
    float shares[kQueryBlock];  // what each query's sum of e^score is divided by, or rather multiplied with
    for (int64_t q = 0; q < Mp; q += L) {
      const float* column = scores + q;
      Floats most = load(column);
      for (int64_t k = 1; k < seen.count; ++k) most = larger(most, load(column + k * Mp));
      most = most * to_base_2;
      Floats sum = all(0.f);
      const auto weight = [&](int64_t k) {
        const Floats e = exp2_of(load(column + k * Mp) * to_base_2 - most);
        sum += e;
        return dropping.threshold == 0 ? e : dropping.kept(e, q / L, seen.from + k);
      };
      int64_t k = 0;
      for (; k + 1 < seen.count; k += 2) {
        const Floats one = weight(k);
        store(weights + k / 2 * Mp + q, paired(one, weight(k + 1)));
      }
      if (k < seen.count) store(weights + k / 2 * Mp + q, paired(weight(k), all(0.f)));
      store(shares + q, dropping.scale / sum);
      if (pass.log_sum_exp)  // in base 2
        for (int64_t i = 0; i < L && q + i < M; ++i)
          pass.log_sum_exp[(first + q + i) * pass.log_sum_stride] = most[i] + std::log2(static_cast<float>(sum[i]));
    }
    multiply<false>(M, dp, (seen.count + 1) / 2, turned(weights, Mp), value + seen.from / 2 * dp, dp, out, dp);
    for (int64_t q = 0; q < M; ++q)
      write_rounded(out + q * dp, dp, 1, d, shares[q], pass.out + (first + q) * h.out_stride, h.out_stride);
  }
}

void backward(const AttentionBackward<Bf16>& pass, Scratch& scratch) {
  const AttentionHead<Bf16>& h = pass.head;
  const int64_t S = h.keys, d = h.size, dp = rounded_up(d), block = rounded_up(std::min(kQueryBlock, h.queries));
  const int64_t key_pairs = (S + 1) / 2;
  const float scale = 1.f / std::sqrt(static_cast<float>(d)), to_base_2 = scale * kLog2E;
  float* grad_key = scratch.at_least(2 * S * dp + 2 * S * block + block * dp + key_pairs * dp + d * block + block * dp +
                                     key_pairs * block + S * block);  // [S, dp]
  float* grad_value = grad_key + S * dp;                              // [S, dp]
  float* scores = grad_value + S * dp;                                // [S, Mp]
  float* grad_weights = scores + S * block;                           // [S, Mp]
  float* grad_query = grad_weights + S * block;                       // [M, dp]
  uint32_t* keys = reinterpret_cast<uint32_t*>(grad_query + block * dp);  // [S / 2, dp]
  uint32_t* query = keys + key_pairs * dp;                            // [d / 2, Mp]
  uint32_t* grad_out = query + d / 2 * block;                         // [d / 2, Mp]
  uint32_t* query_tokens = grad_out + d / 2 * block;                  // [M / 2, dp]
  uint32_t* grad_out_tokens = query_tokens + block / 2 * dp;          // [M / 2, dp]
  uint32_t* grad_score_pairs = grad_out_tokens + block / 2 * dp;      // [S / 2, Mp]
  Bf16* weights = reinterpret_cast<Bf16*>(grad_score_pairs + key_pairs * block);  // [S, Mp]
  Bf16* grad_scores = weights + S * block;                                        // [S, Mp]
  pairs_along_tokens(h.key, h.key_stride, S, d, keys, dp);
  if (pass.next) prefetch(*pass.next);
  std::memset(grad_key, 0, 2 * S * dp * sizeof(float));
  for (int64_t first = 0; first < h.queries; first += block) {
    const int64_t M = std::min(block, h.queries - first), Mp = rounded_up(M), place = first * h.out_stride;
    const Bf16 *asking = h.query + first * h.query_stride, *grads = pass.grad_out + place, *outs = pass.out + place;
    pairs_along_size(asking, h.query_stride, M, d, query, Mp);
    pairs_along_size(grads, h.out_stride, M, d, grad_out, Mp);
    pairs_along_tokens(asking, h.query_stride, M, d, query_tokens, dp);
    pairs_along_tokens(grads, h.out_stride, M, d, grad_out_tokens, dp);
    // The products below read whole pairs of queries up to Mp.
    for (int64_t pair = (M + 1) / 2; pair < Mp / 2; ++pair)
      for (uint32_t* tokens : {query_tokens, grad_out_tokens}) std::memset(tokens + pair * dp, 0, dp * sizeof(uint32_t));
    float log_sums[kQueryBlock] = {}, along[kQueryBlock] = {};  // along: Σ gradient·weight of each query
    for (int64_t q = 0; q < M; ++q) {
      log_sums[q] = pass.log_sum_exp[(first + q) * pass.log_sum_stride];
      Floats sum = all(0.f);
      for (int64_t c = 0; c < d; c += L)
        sum += load_wide(grads + q * h.out_stride + c, d - c) * load_wide(outs + q * h.out_stride + c, d - c);
      along[q] = _mm512_reduce_add_ps(sum);
    }
    const Seen seen(h, first, M, 2);
    const int64_t seen_pairs = (seen.count + 1) / 2;
    multiply<false>(seen.count, Mp, d / 2, Pairs{h.key + seen.from * h.key_stride, h.key_stride, 2}, query, Mp, scores, Mp);
    multiply<false>(seen.count, Mp, d / 2, Pairs{h.value + seen.from * h.value_stride, h.value_stride, 2}, grad_out, Mp,
                    grad_weights, Mp);
    seen.set_unseen(h, first, M, Mp, kUnseen, scores);
    const Dropping dropping(h.dropout, first);
    for (int64_t q = 0; q < Mp; q += L) {
      const Floats log_sum = load(log_sums + q), summed = load(along + q);
      const auto grad_score = [&](int64_t k) {
        const Floats w = exp2_of(load(scores + k * Mp + q) * to_base_2 - log_sum);
        Floats g = load(grad_weights + k * Mp + q), shown = w;
        dropping.drop(shown, g, q / L, seen.from + k);
        store_rounded(weights + k * Mp + q, shown);
        const Floats grad = w * (g - summed);
        store_rounded(grad_scores + k * Mp + q, grad);
        return grad;
      };
      int64_t k = 0;
      for (; k + 1 < seen.count; k += 2) {
        const Floats one = grad_score(k);
        store(grad_score_pairs + k / 2 * Mp + q, paired(one, grad_score(k + 1)));
      }
      if (k < seen.count) store(grad_score_pairs + k / 2 * Mp + q, paired(grad_score(k), all(0.f)));
    }
    multiply<false>(M, dp, seen_pairs, turned(grad_score_pairs, Mp), keys + seen.from / 2 * dp, dp, grad_query, dp);
    write_rounded(grad_query, dp, M, d, scale, pass.grad_query + first * pass.grad_query_stride, pass.grad_query_stride);
    const auto add = [&](const Bf16* left, const uint32_t* right, float* to) {
      multiply<true>(seen.count, dp, Mp / 2, Pairs{left, Mp, 2}, right, dp, to + seen.from * dp, dp);
    };
    add(grad_scores, query_tokens, grad_key);
    add(weights, grad_out_tokens, grad_value);
  }
  write_rounded(grad_key, dp, S, d, scale, pass.grad_key, pass.grad_key_stride);
  write_rounded(grad_value, dp, S, d, 1.f, pass.grad_value, pass.grad_value_stride);
}

}  // namespace

const AttentionKernel<Bf16> attention_kernel_avx512_bf16 = {forward, backward};

}  // namespace distill
