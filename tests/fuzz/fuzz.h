/* fuzz.h - what a fuzz target is: one function that takes any bytes and must not crash, leak, hang
 * or break the properties it asserts.  libFuzzer drives it (`make fuzz T=labels`), and replay.c
 * runs its whole corpus in the ordinary `make check`. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#endif
