// The CPU kernels of crates/distill-torch/native against their definitions, without libtorch: scripts/check-kernels builds
// this with AddressSanitizer and UndefinedBehaviorSanitizer and runs it. Every buffer ends where its numbers do.
//
//     check-kernels [SHAPES [SEED]]

#include <cstdio>
#include <cstdlib>
#include <string>

#include "reference.h"

extern "C" void distill_dropout_mask(float* mask, int64_t count, uint64_t seed, uint64_t start, uint16_t threshold,
                                     float scale) noexcept;

namespace check {
namespace {

int failures = 0;

void fail(const std::string& what, const AttentionShape& h, double error) {
  std::fprintf(stderr, "%s: queries %lld keys %lld size %lld reach %lld dropped %u: error %.3g\n", what.c_str(),
               static_cast<long long>(h.queries), static_cast<long long>(h.keys), static_cast<long long>(h.size),
               static_cast<long long>(h.reach), h.dropout.threshold, error);
  ++failures;
}

// The distance of two tensors, in shares of the larger of the right one's length and `least`.
template <typename Number>
double distance(const Tokens<Number>& found, const std::vector<double>& expected, double least) {
  double wrong = 0, length = 0;
  for (int64_t t = 0; t < found.count; ++t)
    for (int64_t c = 0; c < found.size; ++c) {
      const double right = expected[t * found.size + c], off = found.get(t, c) - right;
      wrong += off * off, length += right * right;
    }
  return std::sqrt(wrong) / std::max(std::sqrt(length), least);
}

constexpr int64_t kQueries[] = {1, 2, 3, 5, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 95, 96, 97, 130};
constexpr int64_t kSizes[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 20, 24, 31, 32, 33, 48, 63, 64, 65, 80};
constexpr int64_t kEvenSizes[] = {2, 4, 6, 8, 14, 16, 18, 20, 24, 30, 32, 34, 48, 62, 64, 66, 80};
constexpr int64_t kReach[] = {-1, -1, 0, 1, 2, 7, 16, 64};

template <typename Number>
AttentionShape draw_shape(Random& random) {
  AttentionShape h{};
  h.keys = random.one_of(kQueries);
  // A row's first token may ask alone.
  h.queries = random.below(4) == 0 ? 1 : h.keys;
  h.size = sizeof(Number) == 2 ? random.one_of(kEvenSizes) : random.one_of(kSizes);
  h.reach = random.one_of(kReach);
  for (int64_t* stride : {&h.query_stride, &h.key_stride, &h.value_stride, &h.out_stride})
    *stride = h.size + random.below(3) * (random.below(2) ? h.size : 3);
  if (random.below(2)) {
    const uint32_t steps = 1u << distill::kDropoutBits;
    h.dropout.threshold = random.below(2) ? steps / 10 : steps / 2;
    h.dropout.scale = static_cast<float>(steps) / static_cast<float>(steps - h.dropout.threshold);
    h.dropout.seed = random.next(), h.dropout.position = random.next() >> 8;
  }
  return h;
}

// How far a kernel's results may be from the definition, as shares of a tensor's length.
template <typename Number>
constexpr double kTolerance = sizeof(Number) == 2 ? 2e-2 : 5e-5;

template <typename Number>
void check_shape(const std::string& name, const distill::AttentionKernel<Number>& kernel, Random& random, bool finite) {
  const AttentionShape h = draw_shape<Number>(random);
  Tokens<Number> query(h.queries, h.size, h.query_stride), key(h.keys, h.size, h.key_stride);
  Tokens<Number> value(h.keys, h.size, h.value_stride);
  Tokens<Number> out(h.queries, h.size, h.out_stride), grad_out(h.queries, h.size, h.out_stride);
  for (auto* tokens : {&query, &key, &value, &grad_out}) tokens->draw(random);
  const int64_t odd = random.below(h.queries);
  if (!finite) {
    const double odds[] = {std::nan(""), INFINITY, -INFINITY};
    narrow(random.one_of(odds), query.at(odd, random.below(h.size)));
  }
  const int64_t log_stride = 1 + random.below(3);
  std::vector<float> log_sum_exp((h.queries - 1) * log_stride + 1);
  distill::Scratch scratch;
  distill::AttentionForward<Number> forward{};
  static_cast<AttentionShape&>(forward.head) = h;
  forward.head.query = query.numbers.data(), forward.head.key = key.numbers.data();
  forward.head.value = value.numbers.data();
  forward.out = out.numbers.data();
  forward.log_sum_stride = log_stride;
  const distill::AttentionForward<Number> next = forward;
  forward.next = random.below(2) ? &next : nullptr;
  kernel.forward(forward, scratch);  // as inference does, without sums
  const std::vector<Number> without = out.numbers;
  forward.log_sum_exp = log_sum_exp.data();
  kernel.forward(forward, scratch);
  if (std::memcmp(without.data(), out.numbers.data(), without.size() * sizeof(Number)) != 0)
    fail(name + " with and without sums", h, 0);

  Tokens<Number> grad_query(h.queries, h.size, h.size), grad_key(h.keys, h.size, h.size + 3);
  Tokens<Number> grad_value(h.keys, h.size, 2 * h.size);
  distill::AttentionBackward<Number> backward{};
  backward.head = forward.head;
  backward.out = out.numbers.data(), backward.grad_out = grad_out.numbers.data();
  backward.log_sum_exp = log_sum_exp.data(), backward.log_sum_stride = log_stride;
  backward.grad_query = grad_query.numbers.data(), backward.grad_query_stride = grad_query.stride;
  backward.grad_key = grad_key.numbers.data(), backward.grad_key_stride = grad_key.stride;
  backward.grad_value = grad_value.numbers.data(), backward.grad_value_stride = grad_value.stride;
  const distill::AttentionBackward<Number> after = backward;
  backward.next = random.below(2) ? &after : nullptr;
  distill::Scratch fresh;
  kernel.backward(backward, random.below(2) ? scratch : fresh);

  for (const auto* tokens : {&out, &grad_query, &grad_key, &grad_value})
    if (!tokens->gaps_are_untouched()) fail(name + " writes between tokens", h, 0);
  if (!finite) {
    for (int64_t c = 0; c < h.size; ++c)
      if (!std::isnan(out.get(odd, c))) return fail(name + " hides a query that is no number", h, out.get(odd, c));
    return;
  }
  const Result expected = attention(h, query, key, value, grad_out);
  const double tolerance = kTolerance<Number>;
  const auto compare = [&](const char* what, const Tokens<Number>& found, const std::vector<double>& right, double least) {
    const double error = distance(found, right, least);
    if (!(error < tolerance)) fail(name + " " + what, h, error);
  };
  // What cancels to nothing, such as the gradient of a single key's score, has the length of its parts.
  const double least = (sizeof(Number) == 2 ? 0.5 : 0.1) * std::sqrt(static_cast<double>(h.queries * h.size));
  compare("out", out, expected.out, least);
  compare("grad_query", grad_query, expected.grad_query, least);
  compare("grad_key", grad_key, expected.grad_key, least);
  compare("grad_value", grad_value, expected.grad_value, least);
  for (int64_t q = 0; q < h.queries; ++q) {
    // In bf16 the kernel's own sums are in base 2.
    const double unit = sizeof(Number) == 2 ? std::log(2.0) : 1;
    const double error = std::abs(log_sum_exp[q * log_stride] * unit - expected.log_sum_exp[q]);
    if (!(error < 1e-4 * (1 + std::abs(expected.log_sum_exp[q])))) fail(name + " log_sum_exp", h, error);
  }
}

template <typename Number>
void check_kernel(const char* name, const distill::AttentionKernel<Number>& kernel, int shapes, uint64_t seed) {
  Random random(seed);
  for (int shape = 0; shape < shapes; ++shape) check_shape(name, kernel, random, true);
  for (int shape = 0; shape < shapes / 10 + 1; ++shape) check_shape(name, kernel, random, false);
  std::printf("%s: %d shapes\n", name, shapes + shapes / 10 + 1);
}

void check_dropout(int shapes, uint64_t seed) {
  Random random(seed);
  for (int shape = 0; shape < shapes; ++shape) {
    const int64_t count = 1 + random.below(200);
    const uint64_t from = random.next(), start = random.next() >> 8;
    const auto threshold = static_cast<uint16_t>(random.next());
    std::vector<float> mask(count);
    distill_dropout_mask(mask.data(), count, from, start, threshold, 2.f);
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t bits = splitmix64(from, start + static_cast<uint64_t>(i / 4)) >> (16 * (i % 4));
      if (mask[i] != ((bits & 0xffff) >= threshold ? 2.f : 0.f)) {
        std::fprintf(stderr, "dropout: number %lld of %lld\n", static_cast<long long>(i), static_cast<long long>(count));
        ++failures;
        break;
      }
    }
  }
  std::printf("dropout: %d masks\n", shapes);
}

// Whether DISTILL_REQUIRE, names between commas, has this one.
bool is_required(const std::string& name) {
  const char* asked = std::getenv("DISTILL_REQUIRE");
  return asked && ("," + std::string(asked) + ",").find("," + name + ",") != std::string::npos;
}

// Runs a check, or says that it was skipped; one that is required must not be.
template <typename Check>
void where(const char* name, bool is_there, Check&& check) {
  if (is_there) return check();
  std::printf("skipped: %s, which this processor does not have\n", name);
  if (is_required(name)) {
    std::fprintf(stderr, "DISTILL_REQUIRE names %s\n", name);
    ++failures;
  }
}

}  // namespace
}  // namespace check

int main(int count, char** arguments) {
  using namespace check;
  const int shapes = count > 1 ? std::atoi(arguments[1]) : 300;
  const uint64_t seed = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1;
  check_dropout(shapes, seed);
  check_kernel("baseline", distill::attention_kernel_baseline_f32, shapes, seed);
#if defined(__x86_64__)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  where("avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"),
        [&] { check_kernel("avx2", distill::attention_kernel_avx2_f32, shapes, seed); });
  where("avx512", avx512, [&] { check_kernel("avx512", distill::attention_kernel_avx512_f32, shapes, seed); });
  where("bf16", avx512 && __builtin_cpu_supports("avx512bf16"),
        [&] { check_kernel("bf16", distill::attention_kernel_avx512_bf16, shapes, seed); });
#endif
  if (failures > 0) std::fprintf(stderr, "%d failures\n", failures);
  return failures > 0;
}
