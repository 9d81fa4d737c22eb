#pragma once
#include <stddef.h>
#include <stdint.h>

/// libFuzzer's loop (compiler-rt, FuzzerInterface.h); no header of the toolchain has it.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*target)(const uint8_t *data, size_t size));
