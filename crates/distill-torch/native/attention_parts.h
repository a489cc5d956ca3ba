// What the attention kernels of all number formats and instruction sets are made of; included by one file for each
// instruction set, with DISTILL_LANES floats in a register.
//
// Legend: S keys, d size of a head, M queries of a block, Mp the same rounded up to lanes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "attention_kernel.h"
#include "splitmix.h"

namespace distill {
namespace {

constexpr int64_t L = DISTILL_LANES;
typedef float Floats __attribute__((vector_size(DISTILL_LANES * 4)));
typedef int32_t Ints __attribute__((vector_size(DISTILL_LANES * 4)));
typedef uint32_t Words __attribute__((vector_size(DISTILL_LANES * 4)));
// As they lie in memory, anywhere. Only to load and store: clang takes a local array of them for one of the types above.
typedef float FloatsThere __attribute__((vector_size(DISTILL_LANES * 4), aligned(4), may_alias));
typedef uint32_t WordsThere __attribute__((vector_size(DISTILL_LANES * 4), aligned(4), may_alias));

constexpr int64_t kQueryBlock = 48;

inline int64_t rounded_up(int64_t n) { return (n + L - 1) / L * L; }
inline Floats load(const float* p) { return *reinterpret_cast<const FloatsThere*>(p); }
inline Words load(const uint32_t* p) { return *reinterpret_cast<const WordsThere*>(p); }
inline void store(uint32_t* p, Words v) { *reinterpret_cast<WordsThere*>(p) = v; }
inline void store(float* p, Floats v) { *reinterpret_cast<FloatsThere*>(p) = v; }
inline Floats all(float x) { return x - Floats{}; }
// Drops a NaN: where one is lost from a maximum, exp_of brings it back into the sum.
inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }

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

  // Makes of a weight and its gradient what dropping leaves of both.
  void drop(Floats& weight, Floats& gradient, int64_t queries, int64_t key) const {
    if (threshold == 0) return;
    gradient = kept(gradient * scale, queries, key);
    weight = kept(weight * scale, queries, key);
  }
};

// C[R, V·L] (+)= A[R, depth] · B[depth, V·L], all sums held in registers. `A` reads its numbers by row and column, says
// what B is made of, and how the two come together.
template <bool kAdd, int R, int V, typename A>
inline void tile(A a, const typename A::Right* b, int64_t b_stride, float* c, int64_t c_stride, int64_t depth) {
  Floats sums[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sums[r][v] = kAdd ? load(c + r * c_stride + v * L) : Floats{};
  for (int64_t k = 0; k < depth; ++k) {
    decltype(load(b)) right[V];
    for (int v = 0; v < V; ++v) right[v] = load(b + k * b_stride + v * L);
    for (int r = 0; r < R; ++r) {
      const auto left = a.at(r, k);
      for (int v = 0; v < V; ++v) sums[r][v] = A::accumulate(sums[r][v], left, right[v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(c + r * c_stride + v * L, sums[r][v]);
}

// The last rows of a column of tiles, fewer than R.
template <bool kAdd, int R, int V, typename A>
inline void last_rows(int64_t rows, A a, const typename A::Right* b, int64_t bs, float* c, int64_t cs, int64_t depth) {
  if constexpr (R > 1) {
    if (rows == R - 1) return tile<kAdd, R - 1, V>(a, b, bs, c, cs, depth);
    last_rows<kAdd, R - 1, V>(rows, a, b, bs, c, cs, depth);
  }
}

template <bool kAdd, int R, int V, typename A>
void column_of_tiles(int64_t rows, A a, const typename A::Right* b, int64_t bs, float* c, int64_t cs, int64_t depth) {
  for (; rows >= R; rows -= R, a.skip(R), c += R * cs) tile<kAdd, R, V>(a, b, bs, c, cs, depth);
  if (rows > 0) last_rows<kAdd, R, V>(rows, a, b, bs, c, cs, depth);
}

// Rows of a tile whose sums, with one row of B and a number of A, fill the registers: 32 with 16 lanes, else 16.
constexpr int tile_rows(int columns) {
  return L == 16 ? (columns == 1 ? 16 : columns == 2 ? 12 : columns == 3 ? 8 : 6)
                 : (columns == 1 ? 8 : columns == 2 ? 6 : columns == 3 ? 4 : 3);
}

// C[rows, columns] (+)= A[rows, depth] · B[depth, columns]; `columns` is a multiple of the lanes.
template <bool kAdd, typename A>
void multiply(int64_t rows, int64_t columns, int64_t depth, A a, const typename A::Right* b, int64_t b_stride, float* c,
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

// Asks for the tokens of one head before they are needed. They are a few cache lines each, far apart, which no processor
// foresees: this took a third off the time of short rows.
template <typename Number>
void prefetch(const Number* from, int64_t stride, int64_t rows, int64_t size) {
  for (int64_t r = 0; r < rows; ++r, from += stride)
    for (int64_t c = 0; c < size; c += 64 / static_cast<int64_t>(sizeof(Number))) __builtin_prefetch(from + c);
}

template <typename Number>
void prefetch(const AttentionHead<Number>& h, const Number* out) {
  prefetch(h.key, h.key_stride, h.keys, h.size);
  prefetch(h.value, h.value_stride, h.keys, h.size);
  prefetch(h.query, h.query_stride, h.queries, h.size);
  prefetch(out, h.out_stride, h.queries, h.size);
}

template <typename Number>
void prefetch(const AttentionBackward<Number>& pass) {
  prefetch(pass.head, pass.out);
  prefetch(pass.grad_out, pass.head.out_stride, pass.head.queries, pass.head.size);
}

#if defined(__clang__)
// The first or second halves of two registers, a number of each in turn; `kFrom` is 0 or L / 2.
template <int kFrom, int... kPlaces>
inline Floats in_turn(Floats a, Floats b, std::integer_sequence<int, kPlaces...>) {
  return __builtin_shufflevector(a, b, (kFrom + kPlaces / 2 + (kPlaces % 2) * L)...);
}

inline Floats first_in_turn(Floats a, Floats b) { return in_turn<0>(a, b, std::make_integer_sequence<int, L>{}); }
inline Floats second_in_turn(Floats a, Floats b) { return in_turn<L / 2>(a, b, std::make_integer_sequence<int, L>{}); }
#else
inline Floats shuffled(Floats a, Floats b, int from) {
  Ints places;
  for (int i = 0; i < L; ++i) places[i] = from + i / 2 + (i % 2) * L;
  return __builtin_shuffle(a, b, places);
}

inline Floats first_in_turn(Floats a, Floats b) { return shuffled(a, b, 0); }
inline Floats second_in_turn(Floats a, Floats b) { return shuffled(a, b, L / 2); }
#endif

// L rows of L numbers, turned: each step shuffles the first half of the rows into the second like a deck of cards.
inline void turn(Floats (&x)[L]) {
  for (int64_t step = 1; step < L; step *= 2) {
    Floats y[L];
    for (int i = 0; i < L / 2; ++i) {
      y[2 * i] = first_in_turn(x[i], x[i + L / 2]);
      y[2 * i + 1] = second_in_turn(x[i], x[i + L / 2]);
    }
    for (int i = 0; i < L; ++i) x[i] = y[i];
  }
}

// The keys that any query of a block sees.
struct Seen {
  int64_t from, count;

  // `from` is a multiple of `step`.
  Seen(const AttentionShape& h, int64_t first, int64_t queries, int64_t step = 1) : from(0), count(h.keys) {
    if (h.reach < 0) return;
    from = std::max<int64_t>(0, first - h.reach) / step * step;
    count = std::min(h.keys, first + queries + h.reach) - from;
  }

  // Sets what stands in [count, padded] for a key that its query does not see.
  void set_unseen(const AttentionShape& h, int64_t first, int64_t queries, int64_t padded, float value, float* of) const {
    if (h.reach < 0) return;
    for (int64_t k = 0; k < count; ++k) {
      const int64_t key = from + k, least = key - h.reach - first, most = key + h.reach - first;
      for (int64_t q = 0; q < std::min(least, queries); ++q) of[k * padded + q] = value;
      for (int64_t q = std::max<int64_t>(0, most + 1); q < queries; ++q) of[k * padded + q] = value;
    }
  }
};

// The score of a key that is not seen. Less than any that is seen: where all of these are as low, the query was no number.
constexpr float kUnseen = -std::numeric_limits<float>::infinity();

}  // namespace
}  // namespace distill
