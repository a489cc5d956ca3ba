// The kernel itself, included by one file for each instruction set, with DISTILL_LANES floats in a register and
// DISTILL_KERNEL as the name that it is exported by.
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

#include "attention_kernel.h"
#include "splitmix.h"

namespace distill {
namespace {

constexpr int64_t L = DISTILL_LANES;
typedef float Floats __attribute__((vector_size(DISTILL_LANES * 4), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(DISTILL_LANES * 4), aligned(4), may_alias));
typedef uint32_t Words __attribute__((vector_size(DISTILL_LANES * 4), aligned(4), may_alias));

constexpr int64_t kQueryBlock = 48;

inline int64_t rounded_up(int64_t n) { return (n + L - 1) / L * L; }
inline Floats load(const float* p) { return *reinterpret_cast<const Floats*>(p); }
inline void store(float* p, Floats v) { *reinterpret_cast<Floats*>(p) = v; }
inline Floats all(float x) { return x - Floats{}; }
// Drops a NaN: where one is lost from a maximum, exp_of brings it back into the sum.
inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }

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

// Which weights of a block of queries are dropped.
struct Dropping {
  Words low[kQueryBlock / L], high[kQueryBlock / L];  // 64 random bits of each query
  int32_t threshold;
  float scale;

  Dropping(const AttentionDropout& dropout, int64_t first) {
    threshold = static_cast<int32_t>(dropout.threshold);
    scale = dropout.scale;
    if (threshold == 0) return;
    for (int64_t q = 0; q < kQueryBlock; ++q) {
      const uint64_t position = dropout.position + static_cast<uint64_t>(first + q);
      const uint64_t z = splitmix64(dropout.seed, position);
      low[q / L][q % L] = static_cast<uint32_t>(z);
      high[q / L][q % L] = static_cast<uint32_t>(z >> 32);
    }
  }

  // `x` where the weight of `key` stays for the queries of one register, 0 where it is dropped.
  // Mixing: Wellons 2018, "lowbias32", with the other half of the bits in the middle.
  Floats kept(Floats x, int64_t queries, int64_t key) const {
    Words bits = low[queries] + static_cast<uint32_t>(key) * 0x9E3779B9u;
    bits ^= bits >> 16;
    bits *= 0x7feb352du;
    bits ^= (bits >> 15) ^ high[queries];
    bits *= 0x846ca68bu;
    bits ^= bits >> 16;
    // Both sides are below 2^31: a signed comparison is one instruction on every x86.
    const Ints stays = reinterpret_cast<Ints>(bits >> (32 - kDropoutBits)) >= threshold;
    return reinterpret_cast<Floats>(reinterpret_cast<Ints>(x) & stays);
  }
};

// A matrix read by row and column, also transposed.
struct View {
  const float* data;
  int64_t row, column;
};

// C[R, V·L] (+)= A[R, depth] · B[depth, V·L], all sums held in registers.
template <bool kAdd, int R, int V>
inline void tile(View a, const float* b, int64_t b_stride, float* c, int64_t c_stride, int64_t depth) {
  Floats sums[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sums[r][v] = kAdd ? load(c + r * c_stride + v * L) : Floats{};
  for (int64_t k = 0; k < depth; ++k) {
    Floats right[V];
    for (int v = 0; v < V; ++v) right[v] = load(b + k * b_stride + v * L);
    for (int r = 0; r < R; ++r) {
      const float left = a.data[r * a.row + k * a.column];
      for (int v = 0; v < V; ++v) sums[r][v] += left * right[v];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(c + r * c_stride + v * L, sums[r][v]);
}

// The last rows of a column of tiles, fewer than R.
template <bool kAdd, int R, int V>
inline void last_rows(int64_t rows, View a, const float* b, int64_t bs, float* c, int64_t cs, int64_t depth) {
  if constexpr (R > 1) {
    if (rows == R - 1) return tile<kAdd, R - 1, V>(a, b, bs, c, cs, depth);
    last_rows<kAdd, R - 1, V>(rows, a, b, bs, c, cs, depth);
  }
}

template <bool kAdd, int R, int V>
void column_of_tiles(int64_t rows, View a, const float* b, int64_t bs, float* c, int64_t cs, int64_t depth) {
  for (; rows >= R; rows -= R, a.data += R * a.row, c += R * cs) tile<kAdd, R, V>(a, b, bs, c, cs, depth);
  if (rows > 0) last_rows<kAdd, R, V>(rows, a, b, bs, c, cs, depth);
}

// Rows of a tile whose sums, with one row of B and a number of A, fill the registers: 32 with 16 lanes, else 16.
constexpr int tile_rows(int columns) {
  return L == 16 ? (columns == 1 ? 16 : columns == 2 ? 12 : columns == 3 ? 8 : 6)
                 : (columns == 1 ? 8 : columns == 2 ? 6 : columns == 3 ? 4 : 3);
}

// C[rows, columns] (+)= A[rows, depth] · B[depth, columns]; `columns` is a multiple of the lanes.
template <bool kAdd>
void multiply(int64_t rows, int64_t columns, int64_t depth, View a, const float* b, int64_t b_stride, float* c,
              int64_t c_stride) {
  while (columns > 0) {
    const int64_t left = columns / L;
    const int64_t wide = left == 3 || left == 6 ? 3 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    switch (wide) {
      case 4: column_of_tiles<kAdd, tile_rows(4), 4>(rows, a, b, b_stride, c, c_stride, depth); break;
      case 3: column_of_tiles<kAdd, tile_rows(3), 3>(rows, a, b, b_stride, c, c_stride, depth); break;
      case 2: column_of_tiles<kAdd, tile_rows(2), 2>(rows, a, b, b_stride, c, c_stride, depth); break;
      default: column_of_tiles<kAdd, tile_rows(1), 1>(rows, a, b, b_stride, c, c_stride, depth);
    }
    columns -= wide * L, b += wide * L, c += wide * L;
  }
}

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

// Asks for the tokens of one head before they are needed. They are a few cache lines each, far apart, which no processor
// foresees: this took a third off the time of short rows.
void prefetch(const float* from, int64_t stride, int64_t rows, int64_t size) {
  for (int64_t r = 0; r < rows; ++r, from += stride)
    for (int64_t c = 0; c < size; c += 16) __builtin_prefetch(from + c);
}

void prefetch(const AttentionHead& h, const float* out) {
  prefetch(h.key, h.key_stride, h.keys, h.size);
  prefetch(h.value, h.value_stride, h.keys, h.size);
  prefetch(h.query, h.query_stride, h.queries, h.size);
  prefetch(out, h.out_stride, h.queries, h.size);
}

// L rows of L numbers, turned: each step shuffles the first half of the rows into the second like a deck of cards.
inline void turn(Floats (&x)[L]) {
  Ints first, second;
  for (int i = 0; i < L; ++i) {
    first[i] = i / 2 + (i % 2) * L;
    second[i] = L / 2 + i / 2 + (i % 2) * L;
  }
  for (int64_t step = 1; step < L; step *= 2) {
    Floats y[L];
    for (int i = 0; i < L / 2; ++i) {
      y[2 * i] = __builtin_shuffle(x[i], x[i + L / 2], first);
      y[2 * i + 1] = __builtin_shuffle(x[i], x[i + L / 2], second);
    }
    for (int i = 0; i < L; ++i) x[i] = y[i];
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

// The keys that any query of a block sees.
struct Seen {
  int64_t from, count;

  Seen(const AttentionHead& h, int64_t first, int64_t queries) : from(0), count(h.keys) {
    if (h.reach < 0) return;
    from = std::max<int64_t>(0, first - h.reach);
    count = std::min(h.keys, first + queries + h.reach) - from;
  }

  // Sets what stands in [count, padded] for a key that its query does not see.
  void set_unseen(const AttentionHead& h, int64_t first, int64_t queries, int64_t padded, float value, float* of) const {
    if (h.reach < 0) return;
    for (int64_t k = 0; k < count; ++k) {
      const int64_t key = from + k, least = key - h.reach - first, most = key + h.reach - first;
      for (int64_t q = 0; q < std::min(least, queries); ++q) of[k * padded + q] = value;
      for (int64_t q = std::max<int64_t>(0, most + 1); q < queries; ++q) of[k * padded + q] = value;
    }
  }
};

// The score of a key that is not seen. What exp_of makes of it is no 0 but so small that its products are denormal, which
// processors take a hundred cycles for: such weights are set to 0.
constexpr float kUnseen = -1e30f;

void forward(const AttentionForward& pass, Scratch& scratch) {
  const AttentionHead& h = pass.head;
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

void backward(const AttentionBackward& pass, Scratch& scratch) {
  const AttentionHead& h = pass.head;
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
  if (const AttentionBackward* next = pass.next) {
    prefetch(next->head, next->out);
    prefetch(next->grad_out, next->head.out_stride, next->head.queries, d);
  }
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
        if (dropping.threshold != 0) {
          g = dropping.kept(g * dropping.scale, q / L, seen.from + k);
          shown = dropping.kept(w * dropping.scale, q / L, seen.from + k);
        }
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

const AttentionKernel DISTILL_KERNEL = {forward, backward};

}  // namespace distill
