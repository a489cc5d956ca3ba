// Attention written down as it is defined, in double precision, and numbers that look drawn.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "../../crates/distill-torch/native/attention_kernel.h"
#include "../../crates/distill-torch/native/splitmix.h"

namespace check {

using distill::AttentionShape;
using distill::Bf16;

class Random {
 public:
  explicit Random(uint64_t seed) : seed_(seed) {}
  uint64_t next() { return splitmix64(seed_, position_++); }
  int64_t below(int64_t bound) { return static_cast<int64_t>(next() % static_cast<uint64_t>(bound)); }
  double share() { return static_cast<double>(next() >> 11) / 9007199254740992.0; }
  // Roughly normal.
  double normal() {
    double sum = 0;
    for (int i = 0; i < 12; ++i) sum += share();
    return sum - 6;
  }
  template <typename T, size_t N>
  T one_of(const T (&choices)[N]) {
    return choices[below(N)];
  }

 private:
  uint64_t seed_, position_ = 0;
};

inline double wide(float x) { return x; }
inline double wide(Bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

inline void narrow(double x, float& out) { out = static_cast<float>(x); }
inline void narrow(double x, Bf16& out) {
  const float as_float = static_cast<float>(x);
  uint32_t bits;
  std::memcpy(&bits, &as_float, sizeof bits);
  // Ties go to the even number; a number that is none stays so.
  out = std::isnan(as_float) ? 0x7fc0 : static_cast<Bf16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Tokens of one head, `stride` numbers apart, in memory that ends with the last of them. What lies between two tokens is
// not the head's and must stay as it is.
template <typename Number>
struct Tokens {
  int64_t count, size, stride;
  std::vector<Number> numbers;

  Tokens(int64_t count, int64_t size, int64_t stride)
      : count(count), size(size), stride(stride), numbers((count - 1) * stride + size) {
    std::memset(numbers.data(), 0x5a, numbers.size() * sizeof(Number));
  }
  void draw(Random& random) {
    for (int64_t t = 0; t < count; ++t)
      for (int64_t c = 0; c < size; ++c) narrow(random.normal(), at(t, c));
  }
  Number& at(int64_t t, int64_t c) { return numbers[t * stride + c]; }
  double get(int64_t t, int64_t c) const { return wide(numbers[t * stride + c]); }
  bool gaps_are_untouched() const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(numbers.data());
    for (int64_t t = 0; t + 1 < count; ++t)
      for (size_t at = (t * stride + size) * sizeof(Number); at < (t + 1) * stride * sizeof(Number); ++at)
        if (bytes[at] != 0x5a) return false;
    return true;
  }
};

// 1 / (1 - p) where a weight stays, 0 where it is dropped: the definition in attention_parts.h, a key at a time.
inline double kept(const distill::AttentionDropout& dropout, int64_t query, int64_t key) {
  if (dropout.threshold == 0) return 1;
  const uint64_t z = splitmix64(dropout.seed, dropout.position + static_cast<uint64_t>(query));
  uint32_t bits = static_cast<uint32_t>(z) + static_cast<uint32_t>(key) * 0x9E3779B9u;
  bits ^= bits >> 16;
  bits *= 0x7feb352du;
  bits ^= (bits >> 15) ^ static_cast<uint32_t>(z >> 32);
  bits *= 0x846ca68bu;
  bits ^= bits >> 16;
  return (bits >> (32 - distill::kDropoutBits)) >= dropout.threshold ? dropout.scale : 0;
}

struct Result {
  std::vector<double> out, log_sum_exp, grad_query, grad_key, grad_value;
};

template <typename Number>
Result attention(const AttentionShape& h, const Tokens<Number>& query, const Tokens<Number>& key,
                 const Tokens<Number>& value, const Tokens<Number>& grad_out) {
  Result r;
  const double scale = 1 / std::sqrt(static_cast<double>(h.size));
  r.out.assign(h.queries * h.size, 0), r.grad_query = r.out, r.log_sum_exp.assign(h.queries, 0);
  r.grad_key.assign(h.keys * h.size, 0), r.grad_value = r.grad_key;
  for (int64_t q = 0; q < h.queries; ++q) {
    std::vector<double> weights(h.keys, 0), grads(h.keys, 0);
    double most = -std::numeric_limits<double>::infinity(), sum = 0, along = 0;
    const auto sees = [&](int64_t k) { return h.reach < 0 || std::abs(k - q) <= h.reach; };
    for (int64_t k = 0; k < h.keys; ++k) {
      for (int64_t c = 0; c < h.size; ++c) weights[k] += query.get(q, c) * key.get(k, c) * scale;
      if (sees(k)) most = std::max(most, weights[k]);
    }
    for (int64_t k = 0; k < h.keys; ++k) sum += weights[k] = sees(k) ? std::exp(weights[k] - most) : 0;
    r.log_sum_exp[q] = most + std::log(sum);
    for (int64_t k = 0; k < h.keys; ++k) {
      weights[k] /= sum;
      for (int64_t c = 0; c < h.size; ++c) {
        r.out[q * h.size + c] += kept(h.dropout, q, k) * weights[k] * value.get(k, c);
        r.grad_value[k * h.size + c] += kept(h.dropout, q, k) * weights[k] * grad_out.get(q, c);
        grads[k] += kept(h.dropout, q, k) * grad_out.get(q, c) * value.get(k, c);
      }
      along += grads[k] * weights[k];
    }
    for (int64_t k = 0; k < h.keys; ++k)
      for (int64_t c = 0; c < h.size; ++c) {
        const double score = weights[k] * (grads[k] - along) * scale;
        r.grad_query[q * h.size + c] += score * key.get(k, c);
        r.grad_key[k * h.size + c] += score * query.get(q, c);
      }
  }
  return r;
}

}  // namespace check
