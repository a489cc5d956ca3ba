#define DISTILL_LANES 8
#define DISTILL_KERNEL attention_kernel_avx2_f32
#include "attention_kernel_f32.h"
