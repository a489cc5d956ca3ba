#define DISTILL_LANES 4
#define DISTILL_KERNEL attention_kernel_baseline
#include "attention_kernel_impl.h"
