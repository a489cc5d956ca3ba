#define DISTILL_LANES 16
#define DISTILL_KERNEL attention_kernel_avx512_f32
#include "attention_kernel_f32.h"
