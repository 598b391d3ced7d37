/* Recognises the test images of the digits example, in C.
 *   digits DIRECTORY        where digits.onnx, images.npy and labels.npy are */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tenon/tenon.h"

enum { PIXELS = 8 * 8, CLASSES = 10 };

static void check(tenon_status status, tenon_error* error) {
  if (status == TENON_OK) return;
  tenon_string text = tenon_error_message(error);
  fprintf(stderr, "%.*s\n", (int)text.size, text.data);
  tenon_error_free(error);
  exit(1);
}

/* The elements of a .npy file: what follows its header. */
static void* read_npy(const char* directory, const char* name, size_t* bytes) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE* file = fopen(path, "rb");
  unsigned char head[10];
  if (!file || fread(head, 1, sizeof head, file) != sizeof head) {
    fprintf(stderr, "cannot read %s\n", path);
    exit(1);
  }
  long begin = 10 + head[8] + 256 * head[9];
  fseek(file, 0, SEEK_END);
  *bytes = (size_t)(ftell(file) - begin);
  fseek(file, begin, SEEK_SET);
  void* data = malloc(*bytes);
  if (!data || fread(data, 1, *bytes, file) != *bytes) exit(1);
  fclose(file);
  return data;
}

int main(int argc, char** argv) {
  const char* directory = argc > 1 ? argv[1] : "examples/digits";
  size_t bytes, label_bytes;
  float* images = read_npy(directory, "images.npy", &bytes);
  int64_t* labels = read_npy(directory, "labels.npy", &label_bytes);
  int64_t count = (int64_t)(bytes / (PIXELS * sizeof(float)));

  char path[4096];
  snprintf(path, sizeof path, "%s/digits.onnx", directory);
  tenon_error* error = NULL;
  tenon_model* model = NULL;
  check(tenon_model_load(tenon_str(path), NULL, &model, &error), error);

  /* The images as they lie; the engine reads them without a copy. */
  const int64_t dims[] = {count, 1, 8, 8};
  tenon_tensor* input = NULL;
  check(tenon_tensor_borrow(TENON_FLOAT32, dims, 4, images, bytes, NULL, NULL, &input, &error), error);
  const tenon_tensor* inputs[] = {input};
  tenon_tensor* output = NULL; /* NULL: allocated by the run */
  check(tenon_model_run(model, inputs, 1, &output, 1, NULL, &error), error);

  const float* probabilities = tenon_tensor_data(output);
  int right = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float* row = probabilities + i * CLASSES;
    int best = 0;
    for (int c = 1; c < CLASSES; ++c)
      if (row[c] > row[best]) best = c;
    right += best == labels[i];
    if (i < 5) printf("image %d: %d (%.0f %%), is %d\n", (int)i, best, row[best] * 100.0, (int)labels[i]);
  }
  printf("%d of %d right\n", right, (int)count);

  tenon_tensor_free(output);
  tenon_tensor_free(input);
  tenon_model_free(model);
  free(images);
  free(labels);
  return right * 10 > count * 9 ? 0 : 1;
}
