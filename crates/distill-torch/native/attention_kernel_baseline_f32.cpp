#define DISTILL_LANES 4
#define DISTILL_KERNEL attention_kernel_baseline_f32
#include "attention_kernel_f32.h"
