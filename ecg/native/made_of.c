/* What the loader asks first: which sources a library was made of, and which of the libraries this processor can run. */
#include "kernels.h"

#ifndef MADE_OF
#define MADE_OF "unknown"
#endif

KERNEL const char *ecg_made_of = MADE_OF;

/* The level of the x86-64 instruction set, as its vendors number them; 0 for what runs everywhere. */
KERNEL int ecg_level(void)
{
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("x86-64-v4") ? 4 : __builtin_cpu_supports("x86-64-v3") ? 3 : 0;
#else
    return 0;
#endif
}
