// SPDX-License-Identifier: MIT
// What ggml's reference code does with the same values on one core: one line of JSON per operation. scripts/bench.sh
// compiles it with ggml's own ggml-quants.c, from a copy of ggml that the user names; nothing of ggml is in this repository.
// usage: ggml_rates VALUES    VALUES: a file of floats, a multiple of 64 of them
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ggml-quants.h"

// What ggml-quants.c needs of the rest of ggml, and the functions called here never reach.
void ggml_abort(const char* file, int line, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s:%d: ", file, line);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  exit(70);
}
size_t ggml_type_size(enum ggml_type type) {
  (void)type;
  exit(70);
}
size_t ggml_row_size(enum ggml_type type, int64_t count) {
  (void)count;
  return ggml_type_size(type);
}
const char* ggml_type_name(enum ggml_type type) {
  (void)type;
  return "";
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float* values;
static float* back;
static long count;
static block_nvfp4* nvfp4;
static block_mxfp4* mxfp4;

static void quantize_nvfp4_rows(void) { quantize_row_nvfp4_ref(values, nvfp4, count); }
static void quantize_mxfp4_rows(void) { quantize_row_mxfp4_ref(values, mxfp4, count); }
static void dequantize_nvfp4_rows(void) { dequantize_row_nvfp4(nvfp4, back, count); }
static void dequantize_mxfp4_rows(void) { dequantize_row_mxfp4(mxfp4, back, count); }

// The fastest call of a second's.
static void measure(const char* operation, const char* format, void (*work)(void)) {
  double best = 1e9;
  const double end = now() + 1.0;
  double begin;
  do {
    begin = now();
    work();
    const double seconds = now() - begin;
    if (seconds < best) best = seconds;
  } while (begin < end);
  printf("{\"operation\": \"%s\", \"format\": \"%s\", \"elements_per_second\": %.6g}\n", operation, format,
         (double)count / best);
}

int main(int argc, char** argv) {
  FILE* file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (file == NULL) {
    fprintf(stderr, "usage: ggml_rates VALUES\n");
    return 2;
  }
  const long most = 1L << 22;
  values = malloc(sizeof(float) * (size_t)most);
  back = malloc(sizeof(float) * (size_t)most);
  count = values != NULL ? (long)fread(values, sizeof(float), (size_t)most, file) : 0;
  fclose(file);
  nvfp4 = malloc(sizeof(block_nvfp4) * (size_t)(count / QK_NVFP4 + 1));
  mxfp4 = malloc(sizeof(block_mxfp4) * (size_t)(count / QK_MXFP4 + 1));
  if (back == NULL || nvfp4 == NULL || mxfp4 == NULL || count == 0 || count % 64 != 0) {
    fprintf(stderr, "ggml_rates: %s holds no multiple of 64 floats\n", argv[1]);
    return 3;
  }
  measure("quantize", "nvfp4", quantize_nvfp4_rows);
  measure("quantize", "mxfp4", quantize_mxfp4_rows);
  measure("dequantize", "nvfp4", dequantize_nvfp4_rows);
  measure("dequantize", "mxfp4", dequantize_mxfp4_rows);
  return 0;
}
