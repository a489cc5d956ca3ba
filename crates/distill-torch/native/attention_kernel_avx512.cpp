#define DISTILL_LANES 16
#define DISTILL_KERNEL attention_kernel_avx512
#include "attention_kernel_impl.h"
