#define DISTILL_LANES 8
#define DISTILL_KERNEL attention_kernel_avx2
#include "attention_kernel_impl.h"
