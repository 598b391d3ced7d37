/* The C API as a C11 program meets it: every function with NULL in every place, contents of errors, ownership of borrowed memory.
 *   c_api_test DIRECTORY        the models of tests/data */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tenon/tenon.h"

static int failures = 0;
static const char* directory = ".";

#define EXPECT(condition)                                             \
  do {                                                                \
    if (!(condition)) {                                               \
      ++failures;                                                     \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                 \
  } while (0)

/* The call must give this status, and an error object with that code whose message holds `word`. */
#define EXPECT_ERROR(status_, word, call)                                                                      \
  do {                                                                                                         \
    tenon_error* error = (tenon_error*)&failures; /* must be overwritten */                                    \
    tenon_status got_ = (call);                                                                                \
    if (got_ != (status_) || !holds(error, got_, word)) {                                                      \
      ++failures;                                                                                              \
      fprintf(stderr, "%s:%d: %s gave %d '%s', expected %d with '%s'\n", __FILE__, __LINE__, #call, (int)got_, \
              got_ ? tenon_error_message(error).data : "", (int)(status_), word);                              \
    }                                                                                                          \
    if (got_ != TENON_OK) tenon_error_free(error);                                                             \
  } while (0)

#define EXPECT_OK(call)                                                                                                               \
  do {                                                                                                                                \
    tenon_error* error = (tenon_error*)&failures;                                                                                     \
    tenon_status got_ = (call);                                                                                                       \
    if (got_ != TENON_OK || error != NULL) {                                                                                          \
      ++failures;                                                                                                                     \
      fprintf(stderr, "%s:%d: %s gave %d '%s'\n", __FILE__, __LINE__, #call, (int)got_, got_ ? tenon_error_message(error).data : ""); \
      if (got_ != TENON_OK) tenon_error_free(error);                                                                                  \
    }                                                                                                                                 \
  } while (0)

static int same(tenon_string s, const char* text) { return s.size == strlen(text) && memcmp(s.data, text, s.size) == 0; }

static int contains(tenon_string s, const char* word) { return s.data != NULL && strstr(s.data, word) != NULL; }

static int holds(const tenon_error* error, tenon_status status, const char* word) {
  return status == TENON_OK ? error == NULL : tenon_error_code(error) == status && contains(tenon_error_message(error), word);
}

static tenon_model* load(const char* name, const tenon_load_options* options) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  tenon_model* model = NULL;
  EXPECT_OK(tenon_model_load(tenon_str(path), options, &model, &error));
  return model;
}

static void* read_file(const char* name, size_t* size) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE* file = fopen(path, "rb");
  if (!file) exit(2);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  void* data = malloc(*size);
  if (!data || fread(data, 1, *size, file) != *size) exit(2);
  fclose(file);
  return data;
}

static tenon_tensor* floats(const int64_t* dims, size_t rank, const float* values) {
  size_t count = 1;
  for (size_t i = 0; i < rank; ++i) count *= (size_t)dims[i];
  tenon_tensor* t = NULL;
  EXPECT_OK(tenon_tensor_copy(TENON_FLOAT32, dims, rank, values, count * sizeof(float), &t, &error));
  return t;
}

static void test_versions(void) {
  EXPECT(tenon_version() == (TENON_VERSION_MAJOR << 16 | TENON_VERSION_MINOR << 8 | TENON_VERSION_PATCH));
  EXPECT(same(tenon_version_string(), "0.1.0"));
  tenon_build_info info = {.size = sizeof info};
  EXPECT_OK(tenon_get_build_info(&info, &error));
  EXPECT(info.size == sizeof info && info.cpu.size > 0 && info.cpus >= 1 && info.opset_min == 7 && info.opset_max == 28 &&
         info.ir_max == 13);
  size_t n = tenon_operator_count();
  EXPECT(n > 50);
  tenon_operator_info before = {.size = sizeof before}, op = {.size = sizeof op};
  for (size_t i = 0; i < n; ++i) {
    EXPECT_OK(tenon_get_operator(i, &op, &error));
    EXPECT(op.name.size > 0 && op.opset_min <= op.opset_max && op.min_inputs <= op.max_inputs && op.max_outputs >= 1);
    EXPECT(i == 0 || strcmp(before.domain.data, op.domain.data) < 0 ||
           (strcmp(before.domain.data, op.domain.data) == 0 && strcmp(before.name.data, op.name.data) < 0));
    before = op;
  }
  EXPECT_ERROR(TENON_ARGUMENT, "index", tenon_get_operator(n, &op, &error));
}

static void test_enums(void) {
  EXPECT(tenon_dtype_size(TENON_FLOAT32) == 4 && tenon_dtype_size(TENON_STRING) == sizeof(tenon_string) &&
         tenon_dtype_size(TENON_INT4) == 1);
  EXPECT(tenon_dtype_size((tenon_dtype)99) == 0 && tenon_dtype_size((tenon_dtype)-1) == 0 && tenon_dtype_size(TENON_UNDEFINED) == 0);
  EXPECT(same(tenon_dtype_name(TENON_BFLOAT16), "bfloat16") && same(tenon_dtype_name((tenon_dtype)99), "undefined"));
  EXPECT(same(tenon_status_name(TENON_CANCELLED), "cancelled") && same(tenon_status_name((tenon_status)99), "unknown"));
  EXPECT(same(tenon_status_name((tenon_status)-1), "unknown"));
}

/* NULL in every place of every function: a status or an empty answer, never a crash. */
static void test_null(void) {
  const int64_t dims[] = {2};
  float data[2] = {1, 2};
  tenon_tensor* t = floats(dims, 1, data);
  tenon_tensor* made = NULL;
  tenon_model* model = load("add.onnx", NULL);
  tenon_session* session = NULL;
  EXPECT_OK(tenon_session_new(model, &session, &error));
  tenon_string text = {NULL, 0};
  size_t index = 0;

  EXPECT_ERROR(TENON_ARGUMENT, "info", tenon_get_build_info(NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "info", tenon_get_operator(0, NULL, &error));
  EXPECT(tenon_get_build_info(NULL, NULL) == TENON_ARGUMENT);
  EXPECT(tenon_error_code(NULL) == TENON_OK && tenon_error_message(NULL).size == 0);
  tenon_error_info error_info = {.size = sizeof error_info};
  EXPECT(tenon_error_get_info(NULL, &error_info) == TENON_ARGUMENT);
  tenon_error_free(NULL);
  tenon_string_free(NULL);
  tenon_string_free(&text);

  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_tensor_new(TENON_FLOAT32, dims, 1, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "dims", tenon_tensor_new(TENON_FLOAT32, NULL, 1, &made, &error));
  EXPECT(tenon_tensor_new(TENON_FLOAT32, NULL, 1, NULL, NULL) == TENON_ARGUMENT);
  EXPECT_ERROR(TENON_ARGUMENT, "data", tenon_tensor_borrow(TENON_FLOAT32, dims, 1, NULL, 8, NULL, NULL, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_tensor_borrow(TENON_FLOAT32, dims, 1, data, 8, NULL, NULL, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "data", tenon_tensor_copy(TENON_FLOAT32, dims, 1, NULL, 8, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_tensor_copy(TENON_FLOAT32, dims, 1, data, 8, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "data", tenon_tensor_parse(NULL, 4, NULL, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_tensor_parse(data, 4, NULL, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "tensor", tenon_tensor_share(NULL, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_tensor_share(t, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "tensor", tenon_tensor_reshape(NULL, dims, 1, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "dims", tenon_tensor_reshape(t, NULL, 1, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_tensor_reshape(t, dims, 1, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "tensor", tenon_tensor_clone(NULL, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_tensor_clone(t, NULL, &error));
  tenon_tensor_info tensor_info = {.size = sizeof tensor_info};
  EXPECT(tenon_tensor_get_info(NULL, &tensor_info) == TENON_ARGUMENT && tenon_tensor_get_info(t, NULL) == TENON_ARGUMENT);
  EXPECT(tenon_tensor_dtype(NULL) == TENON_UNDEFINED && tenon_tensor_rank(NULL) == 0 && tenon_tensor_dims(NULL) == NULL);
  EXPECT(tenon_tensor_count(NULL) == 0 && tenon_tensor_bytes(NULL) == 0 && tenon_tensor_data(NULL) == NULL);
  EXPECT(tenon_tensor_string(NULL, 0).data == NULL && tenon_tensor_string(t, 0).data == NULL);
  tenon_tensor_free(NULL);

  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_cancel_new(NULL, &error));
  tenon_cancel_set(NULL);
  tenon_cancel_reset(NULL);
  EXPECT(tenon_cancel_is_set(NULL) == 0);
  tenon_cancel_free(NULL);

  tenon_model* none = NULL;
  EXPECT_ERROR(TENON_ARGUMENT, "path", tenon_model_load(text, NULL, &none, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_model_load(tenon_str("x"), NULL, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "data", tenon_model_load_memory(NULL, 4, NULL, &none, &error));
  EXPECT_ERROR(TENON_LOAD, "empty", tenon_model_load_memory(NULL, 0, NULL, &none, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_model_load_memory(data, 4, NULL, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "read", tenon_model_load_stream(NULL, NULL, NULL, &none, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_model_load_stream(NULL, NULL, NULL, NULL, &error));
  tenon_model_free(NULL);

  tenon_model_info model_info = {.size = sizeof model_info};
  tenon_value_info value = {.size = sizeof value};
  tenon_node_info node = {.size = sizeof node};
  tenon_pass_info pass = {.size = sizeof pass};
  tenon_stats stats = {.size = sizeof stats};
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_get_info(NULL, &model_info, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "info", tenon_model_get_info(model, NULL, &error));
  EXPECT(tenon_model_input_count(NULL) == 0 && tenon_model_output_count(NULL) == 0);
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_input(NULL, 0, &value, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "info", tenon_model_input(model, 0, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_output(NULL, 0, &value, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "info", tenon_model_output(model, 0, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_find_input(NULL, text, &index, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "index", tenon_model_find_input(model, text, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "'a', 'b'", tenon_model_find_input(model, text, &index, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_find_output(NULL, text, &index, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "index", tenon_model_find_output(model, text, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_metadata(NULL, 0, &text, &text, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "key", tenon_model_metadata(model, 0, NULL, &text, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "value", tenon_model_metadata(model, 0, &text, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_node(NULL, 0, &node, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "info", tenon_model_node(model, 0, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_explain(NULL, NULL, 0, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "dims", tenon_model_explain(model, NULL, 1, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_pass(NULL, 0, &pass, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "info", tenon_model_pass(model, 0, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_graph(NULL, TENON_GRAPH_DOT, &text, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "text", tenon_model_graph(model, TENON_GRAPH_DOT, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "format", tenon_model_graph(model, (tenon_graph_format)9, &text, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_get_stats(NULL, &stats, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "stats", tenon_model_get_stats(model, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_trim(NULL, &error));

  const tenon_tensor* inputs[2] = {t, NULL};
  tenon_string names[2] = {tenon_str("a"), tenon_str("b")};
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_run(NULL, inputs, 2, &made, 1, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "inputs", tenon_model_run(model, NULL, 2, &made, 1, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "outputs", tenon_model_run(model, inputs, 2, NULL, 1, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "'b' is missing", tenon_model_run(model, inputs, 2, &made, 1, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_model_run_named(NULL, names, inputs, 2, names, &made, 1, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "input_names", tenon_model_run_named(model, NULL, inputs, 2, names, &made, 1, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "inputs", tenon_model_run_named(model, names, NULL, 2, names, &made, 1, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "output_names", tenon_model_run_named(model, names, inputs, 2, NULL, &made, 1, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "outputs", tenon_model_run_named(model, names, inputs, 2, names, NULL, 1, NULL, &error));

  const tenon_tensor* seen = NULL;
  tenon_session* no_session = NULL;
  EXPECT_ERROR(TENON_ARGUMENT, "model", tenon_session_new(NULL, &no_session, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_session_new(model, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "session", tenon_session_bind_input(NULL, 0, t, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "session", tenon_session_bind_output(NULL, 0, t, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "index", tenon_session_bind_input(session, 9, t, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "index", tenon_session_bind_output(session, 9, t, &error));
  const size_t nowhere = 9;
  EXPECT_ERROR(TENON_ARGUMENT, "session", tenon_session_want_outputs(NULL, NULL, 0, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "NULL", tenon_session_want_outputs(session, NULL, 1, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "is 9", tenon_session_want_outputs(session, &nowhere, 1, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "session", tenon_session_run(NULL, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "missing", tenon_session_run(session, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "session", tenon_session_output(NULL, 0, &seen, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "tensor", tenon_session_output(session, 0, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "no run", tenon_session_output(session, 0, &seen, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "index", tenon_session_output(session, 9, &seen, &error));
  tenon_session_free(NULL);

  tenon_profile* profile = NULL;
  tenon_profile_event event = {.size = sizeof event};
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_profile_new(NULL, &error));
  EXPECT_OK(tenon_profile_new(&profile, &error));
  EXPECT(tenon_profile_event_count(NULL) == 0 && tenon_profile_event_count(profile) == 0);
  EXPECT_ERROR(TENON_ARGUMENT, "profile", tenon_profile_get_event(NULL, 0, &event, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "event", tenon_profile_get_event(profile, 0, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "index", tenon_profile_get_event(profile, 0, &event, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "profile", tenon_profile_json(NULL, &text, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "text", tenon_profile_json(profile, NULL, &error));
  tenon_profile_clear(NULL);
  tenon_profile_free(NULL);
  tenon_profile_free(profile);

  tenon_registry* registry = NULL;
  tenon_custom_op op = {.size = sizeof op};
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_registry_new(NULL, &error));
  EXPECT_OK(tenon_registry_new(&registry, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "registry", tenon_registry_add(NULL, &op, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "op", tenon_registry_add(registry, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "infer", tenon_registry_add(registry, &op, &error));
  tenon_registry_free(NULL);
  tenon_registry_free(registry);
  int64_t number = 0;
  float real = 0;
  const int64_t* numbers = NULL;
  const float* reals = NULL;
  EXPECT(tenon_infer_input_count(NULL) == 0 && tenon_infer_output_count(NULL) == 0 && tenon_infer_attributes(NULL) == NULL);
  EXPECT(tenon_infer_input(NULL, 0, &value) == TENON_ARGUMENT && tenon_infer_set_output_like(NULL, 0, 0) == TENON_ARGUMENT);
  EXPECT(tenon_infer_set_output(NULL, 0, TENON_FLOAT32, dims, 1) == TENON_ARGUMENT);
  tenon_infer_fail(NULL, text);
  EXPECT(tenon_compute_input_count(NULL) == 0 && tenon_compute_output_count(NULL) == 0 && tenon_compute_attributes(NULL) == NULL);
  EXPECT(tenon_compute_input(NULL, 0) == NULL && tenon_compute_bytes(NULL, 1) == NULL);
  EXPECT(tenon_compute_output_wanted(NULL, 0) == 0);
  EXPECT(tenon_compute_output(NULL, 0, TENON_FLOAT32, dims, 1, &made) == TENON_ARGUMENT);
  tenon_compute_fail(NULL, text);
  EXPECT(tenon_attribute_int(NULL, text, &number) == TENON_ARGUMENT && tenon_attribute_float(NULL, text, &real) == TENON_ARGUMENT);
  EXPECT(tenon_attribute_string(NULL, text, &text) == TENON_ARGUMENT);
  EXPECT(tenon_attribute_ints(NULL, text, &numbers, &index) == TENON_ARGUMENT);
  EXPECT(tenon_attribute_floats(NULL, text, &reals, &index) == TENON_ARGUMENT);

  EXPECT(made == NULL && none == NULL && no_session == NULL && seen == NULL);
  tenon_session_free(session);
  tenon_model_free(model);
  tenon_tensor_free(t);
}

static void count_release(void* user) { ++*(int*)user; }

static void test_tensors(void) {
  const int64_t dims[] = {2, 3};
  float data[6] = {1, 2, 3, 4, 5, 6};
  tenon_tensor *t = NULL, *other = NULL, *copy = NULL;

  EXPECT_OK(tenon_tensor_new(TENON_INT64, dims, 2, &t, &error));
  tenon_tensor_info info = {.size = sizeof info};
  EXPECT(tenon_tensor_get_info(t, &info) == TENON_OK && info.dtype == TENON_INT64 && info.rank == 2 && info.dims[1] == 3);
  EXPECT(info.count == 6 && info.bytes == 48 && ((int64_t*)info.data)[5] == 0 && (uintptr_t)info.data % 64 == 0);
  tenon_tensor_free(t);

  /* Scalars, empty tensors. */
  EXPECT_OK(tenon_tensor_new(TENON_FLOAT32, NULL, 0, &t, &error));
  EXPECT(tenon_tensor_count(t) == 1 && tenon_tensor_rank(t) == 0);
  tenon_tensor_free(t);
  const int64_t empty[] = {0, 5};
  EXPECT_OK(tenon_tensor_borrow(TENON_FLOAT32, empty, 2, NULL, 0, NULL, NULL, &t, &error));
  EXPECT(tenon_tensor_count(t) == 0 && tenon_tensor_bytes(t) == 0);
  tenon_tensor_free(t);

  /* Released once, when the last share goes; never on failure. */
  int released = 0;
  EXPECT_ERROR(TENON_ARGUMENT, "needs 24 bytes, given 20",
               tenon_tensor_borrow(TENON_FLOAT32, dims, 2, data, 20, count_release, &released, &t, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "aligned",
               tenon_tensor_borrow(TENON_FLOAT32, dims, 2, (char*)data + 1, 24, count_release, &released, &t, &error));
  EXPECT(released == 0);
  EXPECT_OK(tenon_tensor_borrow(TENON_FLOAT32, dims, 2, data, sizeof data, count_release, &released, &t, &error));
  EXPECT(tenon_tensor_data(t) == data);
  const int64_t flat[] = {6};
  EXPECT_OK(tenon_tensor_share(t, &other, &error));
  tenon_tensor_free(t);
  EXPECT(released == 0);
  EXPECT_OK(tenon_tensor_reshape(other, flat, 1, &t, &error));
  EXPECT_OK(tenon_tensor_clone(other, &copy, &error));
  tenon_tensor_free(other);
  EXPECT(released == 0 && tenon_tensor_data(t) == data && tenon_tensor_data(copy) != data);
  tenon_tensor_free(t);
  EXPECT(released == 1);
  EXPECT(((float*)tenon_tensor_data(copy))[5] == 6);
  tenon_tensor_free(copy);
  EXPECT(released == 1);

  /* What cannot be. */
  const int64_t negative[] = {2, -3}, huge[] = {INT64_MAX, 2}, big[] = {INT64_MAX / 4, 1};
  EXPECT_ERROR(TENON_ARGUMENT, "-3", tenon_tensor_new(TENON_FLOAT32, negative, 2, &t, &error));
  EXPECT_ERROR(TENON_LIMIT, "overflow", tenon_tensor_new(TENON_FLOAT32, huge, 2, &t, &error));
  EXPECT_ERROR(TENON_LIMIT, "overflow", tenon_tensor_new(TENON_FLOAT64, big, 2, &t, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "dtype", tenon_tensor_new((tenon_dtype)77, dims, 2, &t, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "dtype", tenon_tensor_new(TENON_UNDEFINED, dims, 2, &t, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "rank", tenon_tensor_new(TENON_FLOAT32, dims, 99, &t, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "20", tenon_tensor_copy(TENON_FLOAT32, dims, 2, data, 20, &t, &error));

  /* Strings are copied, NUL bytes and all. */
  tenon_string strings[2] = {{"a\0b", 3}, {NULL, 0}};
  const int64_t two[] = {2};
  EXPECT_OK(tenon_tensor_copy(TENON_STRING, two, 1, strings, sizeof strings, &t, &error));
  EXPECT(tenon_tensor_string(t, 0).size == 3 && memcmp(tenon_tensor_string(t, 0).data, "a\0b", 3) == 0);
  EXPECT(tenon_tensor_string(t, 1).size == 0 && tenon_tensor_string(t, 2).data == NULL);
  EXPECT_OK(tenon_tensor_clone(t, &copy, &error));
  tenon_tensor_free(t);
  EXPECT(tenon_tensor_string(copy, 0).size == 3 && tenon_tensor_string(copy, 0).data[2] == 'b');
  tenon_tensor_free(copy);

  /* A .pb file. */
  size_t size;
  void* proto = read_file("tensor.pb", &size);
  tenon_string name = {NULL, 0};
  EXPECT_OK(tenon_tensor_parse(proto, size, &name, &t, &error));
  EXPECT(same(name, "t") && tenon_tensor_rank(t) == 2 && ((float*)tenon_tensor_data(t))[3] == 4);
  tenon_string_free(&name);
  EXPECT(name.data == NULL);
  tenon_tensor_free(t);
  t = NULL;
  EXPECT_ERROR(TENON_LOAD, "", tenon_tensor_parse(proto, size - 3, NULL, &t, &error));
  EXPECT_ERROR(TENON_LOAD, "", tenon_tensor_parse("\xff\xff\xff\xff\xff", 5, NULL, &t, &error));
  EXPECT(t == NULL);
  free(proto);
}

static void test_inspection(void) {
  tenon_model* model = load("add.onnx", NULL);
  tenon_model_info info = {.size = sizeof info};
  EXPECT_OK(tenon_model_get_info(model, &info, &error));
  EXPECT(same(info.name, "add") && contains(info.producer, "make_models") && contains(info.source, "add.onnx"));
  EXPECT(info.input_count == 2 && info.output_count == 2 && info.metadata_count == 2 && info.parameter_count == 1 &&
         info.parameter_bytes == 4);
  EXPECT(info.node_count >= 1 && info.pass_count >= 1 && info.load_nanoseconds > 0);

  tenon_value_info value = {.size = sizeof value};
  EXPECT_OK(tenon_model_input(model, 1, &value, &error));
  EXPECT(same(value.name, "b") && value.dtype == TENON_FLOAT32 && value.rank == 2 && value.dims[0] == -1 && value.dims[1] == 3);
  EXPECT(same(value.dim_names[0], "batch") && value.dim_names[1].size == 0 && value.flags == 0);
  EXPECT_OK(tenon_model_output(model, 1, &value, &error));
  EXPECT(same(value.name, "twice"));
  EXPECT_ERROR(TENON_ARGUMENT, "index", tenon_model_input(model, 2, &value, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "index", tenon_model_output(model, 2, &value, &error));
  size_t index = 9;
  EXPECT_OK(tenon_model_find_output(model, tenon_str("twice"), &index, &error));
  EXPECT(index == 1);

  tenon_string key, text;
  EXPECT_OK(tenon_model_metadata(model, 0, &key, &text, &error));
  EXPECT(same(key, "author") && same(text, "Tenon"));
  EXPECT_ERROR(TENON_ARGUMENT, "index", tenon_model_metadata(model, 2, &key, &text, &error));

  tenon_build_info build = {.size = sizeof build};
  EXPECT_OK(tenon_get_build_info(&build, &error));
  EXPECT(build.onednn.size > 0);

  const tenon_dim_binding five[] = {{tenon_str("batch"), 5}};
  EXPECT_OK(tenon_model_explain(model, five, 1, &error));
  tenon_node_info node = {.size = sizeof node};
  for (size_t i = 0; i < info.node_count; ++i) {
    EXPECT_OK(tenon_model_node(model, i, &node, &error));
    EXPECT(node.op.size > 0 && node.kernel.size > 0 && node.input_count >= 1 && node.output_count >= 1 && node.shape.size > 0);
  }
  EXPECT_ERROR(TENON_ARGUMENT, "index", tenon_model_node(model, info.node_count, &node, &error));
  tenon_pass_info pass = {.size = sizeof pass};
  for (size_t i = 0; i < info.pass_count; ++i) {
    EXPECT_OK(tenon_model_pass(model, i, &pass, &error));
    EXPECT(pass.name.size > 0 && pass.nanoseconds >= 0 && pass.rewrites >= 0);
  }
  EXPECT_ERROR(TENON_ARGUMENT, "index", tenon_model_pass(model, info.pass_count, &pass, &error));
  EXPECT_OK(tenon_model_graph(model, TENON_GRAPH_DOT, &text, &error));
  EXPECT(contains(text, "digraph"));
  tenon_string_free(&text);
  EXPECT_OK(tenon_model_graph(model, TENON_GRAPH_TEXT, &text, &error));
  EXPECT(contains(text, "twice"));
  tenon_string_free(&text);
  tenon_stats stats = {.size = sizeof stats};
  EXPECT_OK(tenon_model_get_stats(model, &stats, &error));
  EXPECT_OK(tenon_model_trim(model, &error));
  tenon_model_free(model);
}

static void test_run(void) {
  tenon_model* model = load("add.onnx", NULL);
  const int64_t dims[] = {2, 3};
  float a[6] = {1, 2, 3, 4, 5, 6}, b[6] = {10, 20, 30, 40, 50, 60};
  tenon_tensor *ta = floats(dims, 2, a), *tb = floats(dims, 2, b);
  const tenon_tensor* inputs[] = {ta, tb};
  tenon_tensor* outputs[2] = {NULL, NULL};
  EXPECT_OK(tenon_model_run(model, inputs, 2, outputs, 2, NULL, &error));
  EXPECT(((float*)tenon_tensor_data(outputs[0]))[5] == 66 && ((float*)tenon_tensor_data(outputs[1]))[0] == 22);
  tenon_tensor_free(outputs[0]);
  tenon_tensor_free(outputs[1]);

  /* In place, chosen by index. */
  float mine[6] = {0};
  tenon_tensor* place = NULL;
  EXPECT_OK(tenon_tensor_borrow(TENON_FLOAT32, dims, 2, mine, sizeof mine, NULL, NULL, &place, &error));
  const size_t second[] = {1};
  tenon_run_options options = {.size = sizeof options, .output_indices = second};
  tenon_tensor* one[1] = {place};
  EXPECT_OK(tenon_model_run(model, inputs, 2, one, 1, &options, &error));
  EXPECT(one[0] == place && mine[5] == 132);
  const size_t beyond[] = {2};
  options.output_indices = beyond;
  EXPECT_ERROR(TENON_ARGUMENT, "output_indices", tenon_model_run(model, inputs, 2, one, 1, &options, &error));

  /* By name, in any order. */
  const tenon_string in_names[] = {tenon_str("b"), tenon_str("a")}, out_names[] = {tenon_str("twice"), tenon_str("sum")};
  outputs[0] = outputs[1] = NULL;
  EXPECT_OK(tenon_model_run_named(model, in_names, inputs, 2, out_names, outputs, 2, NULL, &error));
  EXPECT(((float*)tenon_tensor_data(outputs[0]))[0] == 22 && ((float*)tenon_tensor_data(outputs[1]))[0] == 11);
  tenon_tensor_free(outputs[0]);
  tenon_tensor_free(outputs[1]);

  /* What is refused, and that outputs stay as they were. */
  tenon_tensor* kept[2] = {NULL, NULL};
  const tenon_string twice[] = {tenon_str("sum"), tenon_str("sum")}, wrong[] = {tenon_str("a"), tenon_str("c")};
  EXPECT_ERROR(TENON_ARGUMENT, "twice", tenon_model_run_named(model, in_names, inputs, 2, twice, kept, 2, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "'c'", tenon_model_run_named(model, wrong, inputs, 2, twice, kept, 1, NULL, &error));
  const tenon_string repeated[] = {tenon_str("a"), tenon_str("a")};
  EXPECT_ERROR(TENON_ARGUMENT, "'a' is given twice", tenon_model_run_named(model, repeated, inputs, 2, twice, kept, 1, NULL, &error));
  const int64_t other[] = {2, 4};
  float wide[8] = {0};
  tenon_tensor* bad = floats(other, 2, wide);
  const tenon_tensor* mismatched[] = {ta, bad};
  EXPECT_ERROR(TENON_SHAPE, "'b'", tenon_model_run(model, mismatched, 2, kept, 2, NULL, &error));
  int64_t whole[6] = {0};
  tenon_tensor* integers = NULL;
  EXPECT_OK(tenon_tensor_copy(TENON_INT64, dims, 2, whole, sizeof whole, &integers, &error));
  mismatched[1] = integers;
  EXPECT_ERROR(TENON_SHAPE, "int64", tenon_model_run(model, mismatched, 2, kept, 2, NULL, &error));
  tenon_tensor* wrong_place[1] = {bad};
  EXPECT_ERROR(TENON_SHAPE, "output", tenon_model_run(model, inputs, 2, wrong_place, 1, NULL, &error));
  EXPECT(wrong_place[0] == bad);
  const tenon_tensor* three[] = {ta, tb, ta};
  EXPECT_ERROR(TENON_ARGUMENT, "2 inputs, given 3", tenon_model_run(model, three, 3, kept, 2, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "2 outputs", tenon_model_run(model, inputs, 2, kept, 3, NULL, &error));
  EXPECT(kept[0] == NULL && kept[1] == NULL);
  tenon_run_options unsized = {0};
  EXPECT_ERROR(TENON_ARGUMENT, "size", tenon_model_run(model, inputs, 2, kept, 2, &unsized, &error));
  one[0] = ta;
  EXPECT_ERROR(TENON_ARGUMENT, "overlaps that of input 'a'", tenon_model_run(model, inputs, 2, one, 1, NULL, &error));
  tenon_tensor* same_memory[2] = {place, place};
  EXPECT_ERROR(TENON_ARGUMENT, "overlaps that of output 'sum'", tenon_model_run(model, inputs, 2, same_memory, 2, NULL, &error));
  tenon_session* session = NULL;
  EXPECT_OK(tenon_session_new(model, &session, &error));
  EXPECT_OK(tenon_session_bind_input(session, 0, ta, &error));
  EXPECT_OK(tenon_session_bind_input(session, 1, tb, &error));
  EXPECT_OK(tenon_session_bind_output(session, 0, ta, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "overlaps", tenon_session_run(session, NULL, &error));
  EXPECT_OK(tenon_session_bind_output(session, 0, place, &error));
  EXPECT_OK(tenon_session_run(session, NULL, &error));
  EXPECT(mine[5] == 66);
  tenon_session_free(session);

  tenon_run_options odd = {.size = sizeof odd, .threads = -1};
  EXPECT_ERROR(TENON_ARGUMENT, "threads", tenon_model_run(model, inputs, 2, kept, 2, &odd, &error));
  odd.threads = 100000;
  EXPECT_ERROR(TENON_ARGUMENT, "threads", tenon_model_run(model, inputs, 2, kept, 2, &odd, &error));
  odd.threads = 0;
  odd.deadline_ms = -5;
  EXPECT_ERROR(TENON_ARGUMENT, "deadline", tenon_model_run(model, inputs, 2, kept, 2, &odd, &error));

  tenon_tensor_free(bad);
  tenon_tensor_free(integers);
  tenon_tensor_free(place);
  tenon_tensor_free(ta);
  tenon_tensor_free(tb);
  tenon_model_free(model);

  /* An error of the values names the node, its operator, its opset, the file. */
  model = load("gather.onnx", NULL);
  const int64_t table[] = {2, 3}, three_indices[] = {3};
  int64_t indices[] = {0, 1, 99};
  ta = floats(table, 2, a);
  tb = NULL;
  EXPECT_OK(tenon_tensor_copy(TENON_INT64, three_indices, 1, indices, sizeof indices, &tb, &error));
  inputs[0] = ta, inputs[1] = tb;
  tenon_error* error = NULL;
  EXPECT(tenon_model_run(model, inputs, 2, kept, 1, NULL, &error) == TENON_RUN);
  tenon_error_info info = {.size = sizeof info};
  EXPECT(tenon_error_get_info(error, &info) == TENON_OK);
  EXPECT(info.code == TENON_RUN && same(info.node, "pick") && same(info.op, "Gather") && info.opset == 17 && contains(info.text, "99"));
  EXPECT(contains(info.message, "pick") && contains(info.message, "gather.onnx") && contains(info.source, "gather.onnx"));
  tenon_error_free(error);
  tenon_tensor_free(ta);
  tenon_tensor_free(tb);
  tenon_model_free(model);
}

static int64_t read_slowly(void* user, void* buffer, size_t capacity) {
  struct {
    const char* data;
    size_t size;
  }* rest = user;
  size_t n = rest->size < 7 ? rest->size : 7;
  if (n > capacity) n = capacity;
  memcpy(buffer, rest->data, n);
  rest->data += n;
  rest->size -= n;
  return (int64_t)n;
}
static int64_t read_nothing(void* user, void* buffer, size_t capacity) {
  (void)user, (void)buffer, (void)capacity;
  return -1;
}
static int64_t read_too_much(void* user, void* buffer, size_t capacity) {
  (void)user, (void)buffer;
  return (int64_t)capacity + 1;
}

static int32_t stop(void* user, tenon_string stage, uint64_t done, uint64_t total) {
  ++*(int*)user;
  return stage.size == 0 || done > total || *(int*)user >= 1;
}
static int32_t go_on(void* user, tenon_string stage, uint64_t done, uint64_t total) {
  ++*(int*)user;
  return stage.size == 0 || done > total;
}

static void test_load(void) {
  tenon_model* model = NULL;
  EXPECT_ERROR(TENON_IO, "nowhere.onnx", tenon_model_load(tenon_str("nowhere.onnx"), NULL, &model, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "NUL", tenon_model_load((tenon_string){"a\0b", 3}, NULL, &model, &error));

  size_t size;
  void* bytes = read_file("add.onnx", &size);
  EXPECT_OK(tenon_model_load_memory(bytes, size, NULL, &model, &error));
  tenon_model_free(model);
  model = NULL;
  EXPECT_ERROR(TENON_LOAD, "<memory>", tenon_model_load_memory(bytes, size / 2, NULL, &model, &error));
  tenon_load_options options = {.size = sizeof options, .source = tenon_str("mine")};
  EXPECT_ERROR(TENON_LOAD, "mine", tenon_model_load_memory(bytes, size / 2, &options, &model, &error));
  EXPECT_ERROR(TENON_LOAD, "", tenon_model_load_memory("not a model", 11, NULL, &model, &error));

  struct {
    const char* data;
    size_t size;
  } rest = {bytes, size};
  EXPECT_OK(tenon_model_load_stream(read_slowly, &rest, NULL, &model, &error));
  EXPECT(tenon_model_input_count(model) == 2);
  tenon_model_free(model);
  model = NULL;
  EXPECT_ERROR(TENON_IO, "callback", tenon_model_load_stream(read_nothing, NULL, NULL, &model, &error));
  EXPECT_ERROR(TENON_IO, "callback", tenon_model_load_stream(read_too_much, NULL, NULL, &model, &error));

  /* Cancelled before it began, by progress, past its deadline. */
  tenon_cancel* cancel = NULL;
  EXPECT_OK(tenon_cancel_new(&cancel, &error));
  EXPECT(tenon_cancel_is_set(cancel) == 0);
  tenon_cancel_set(cancel);
  EXPECT(tenon_cancel_is_set(cancel) == 1);
  options = (tenon_load_options){.size = sizeof options, .cancel = cancel};
  EXPECT_ERROR(TENON_CANCELLED, "", tenon_model_load_memory(bytes, size, &options, &model, &error));
  tenon_cancel_reset(cancel);
  int calls = 0;
  options.progress = stop;
  options.progress_user = &calls;
  EXPECT_ERROR(TENON_CANCELLED, "", tenon_model_load_memory(bytes, size, &options, &model, &error));
  EXPECT(calls == 1 && tenon_cancel_is_set(cancel) == 0);
  options.progress = go_on;
  EXPECT_OK(tenon_model_load_memory(bytes, size, &options, &model, &error));
  EXPECT(calls > 1);
  tenon_model_free(model);
  model = NULL;
  tenon_cancel_free(cancel);

  /* Options that make no sense. */
  options = (tenon_load_options){0};
  EXPECT_ERROR(TENON_ARGUMENT, "size", tenon_model_load_memory(bytes, size, &options, &model, &error));
  options = (tenon_load_options){.size = sizeof options, .flags = 1u << 30};
  EXPECT_ERROR(TENON_ARGUMENT, "flags", tenon_model_load_memory(bytes, size, &options, &model, &error));
  options = (tenon_load_options){.size = sizeof options, .threads = -1};
  EXPECT_ERROR(TENON_ARGUMENT, "threads", tenon_model_load_memory(bytes, size, &options, &model, &error));
  options = (tenon_load_options){.size = sizeof options, .deadline_ms = -1};
  EXPECT_ERROR(TENON_ARGUMENT, "deadline", tenon_model_load_memory(bytes, size, &options, &model, &error));
  options = (tenon_load_options){.size = sizeof options, .extra_output_count = 1};
  EXPECT_ERROR(TENON_ARGUMENT, "extra_outputs", tenon_model_load_memory(bytes, size, &options, &model, &error));
  options = (tenon_load_options){.size = sizeof options, .disabled_pass_count = 1};
  EXPECT_ERROR(TENON_ARGUMENT, "disabled_passes", tenon_model_load_memory(bytes, size, &options, &model, &error));
  options = (tenon_load_options){.size = sizeof options, .dim_count = 1};
  EXPECT_ERROR(TENON_ARGUMENT, "dims", tenon_model_load_memory(bytes, size, &options, &model, &error));
  const tenon_string names[] = {tenon_str("nothing")};
  options = (tenon_load_options){.size = sizeof options, .disabled_passes = names, .disabled_pass_count = 1};
  EXPECT_ERROR(TENON_ARGUMENT, "nothing", tenon_model_load_memory(bytes, size, &options, &model, &error));
  options = (tenon_load_options){.size = sizeof options, .extra_outputs = names, .extra_output_count = 1};
  EXPECT_ERROR(TENON_ARGUMENT, "nothing", tenon_model_load_memory(bytes, size, &options, &model, &error));
  const tenon_dim_binding dims[] = {{tenon_str("nothing"), 1}}, batch[] = {{tenon_str("batch"), 4}}, minus[] = {{tenon_str("batch"), -4}};
  options = (tenon_load_options){.size = sizeof options, .dims = dims, .dim_count = 1};
  EXPECT_ERROR(TENON_ARGUMENT, "nothing", tenon_model_load_memory(bytes, size, &options, &model, &error));
  options.dims = minus;
  EXPECT_ERROR(TENON_ARGUMENT, "-4", tenon_model_load_memory(bytes, size, &options, &model, &error));
  options.dims = batch;
  EXPECT_OK(tenon_model_load_memory(bytes, size, &options, &model, &error));
  tenon_value_info value = {.size = sizeof value};
  EXPECT_OK(tenon_model_output(model, 1, &value, &error));
  EXPECT(value.dims[0] == 4);
  tenon_model_free(model);
  free(bytes);

  /* An operator that nobody has. */
  char path[4096];
  snprintf(path, sizeof path, "%s/unknown.onnx", directory);
  tenon_error* error = NULL;
  model = NULL;
  EXPECT(tenon_model_load(tenon_str(path), NULL, &model, &error) == TENON_LOAD && model == NULL);
  tenon_error_info info = {.size = sizeof info};
  EXPECT(tenon_error_get_info(error, &info) == TENON_OK);
  EXPECT(same(info.node, "odd") && same(info.op, "Frobnicate") && same(info.domain, "com.example"));
  /* A caller of an older version knows a smaller struct: the rest of its memory is left alone. */
  struct {
    tenon_error_info info;
  } old;
  memset(&old, 0x5a, sizeof old);
  old.info.size = offsetof(tenon_error_info, text);
  EXPECT(tenon_error_get_info(error, &old.info) == TENON_OK && contains(old.info.message, "odd"));
  EXPECT(old.info.text.size == (size_t)0x5a5a5a5a5a5a5a5a);
  tenon_error_free(error);
}

static tenon_tensor* item_of(const tenon_tensor* sequence, size_t index) {
  tenon_tensor* item = NULL;
  EXPECT_OK(tenon_sequence_item(sequence, index, &item, &error));
  return item;
}

/* A handle that holds no tensor answers every accessor of tensors as an empty vector, and every function that needs one with an error. */
static void expect_no_tensor(const tenon_tensor* t, tenon_kind kind) {
  EXPECT(tenon_tensor_kind(t) == kind);
  tenon_tensor_info info = {.size = sizeof info};
  EXPECT(tenon_tensor_get_info(t, &info) == TENON_OK && info.kind == kind && info.item_count == tenon_sequence_count(t));
  EXPECT(info.rank == 1 && info.dims[0] == 0 && info.count == 0 && info.bytes == 0 && info.data == NULL);
  EXPECT(tenon_tensor_rank(t) == 1 && tenon_tensor_count(t) == 0 && tenon_tensor_bytes(t) == 0 && tenon_tensor_data(t) == NULL);
  EXPECT(tenon_tensor_string(t, 0).data == NULL);
  const int64_t dims[] = {0};
  tenon_tensor* made = NULL;
  EXPECT_ERROR(TENON_ARGUMENT, "expected a tensor", tenon_tensor_reshape(t, dims, 1, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "expected a tensor", tenon_sequence_new(TENON_FLOAT32, &t, 1, &made, &error));
  tenon_model* add = load("add.onnx", NULL);
  tenon_session* session = NULL;
  const tenon_tensor* inputs[] = {t, t};
  tenon_tensor* outputs[] = {NULL};
  EXPECT_ERROR(TENON_SHAPE, "expected float32[batch, 3]", tenon_model_run(add, inputs, 2, outputs, 1, NULL, &error));
  EXPECT_OK(tenon_session_new(add, &session, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "to write into, expected a tensor", tenon_session_bind_output(session, 0, t, &error));
  tenon_session_free(session);
  tenon_model_free(add);
}

static void test_sequences(void) {
  const int64_t dims[] = {2};
  float data[2] = {1, 2};
  int released = 0;
  tenon_tensor* first = NULL;
  EXPECT_OK(tenon_tensor_borrow(TENON_FLOAT32, dims, 1, data, sizeof data, count_release, &released, &first, &error));
  const int64_t row[] = {1, 3};
  tenon_tensor* second = floats(row, 2, (const float[]){3, 4, 5});
  tenon_tensor *sequence = NULL, *made = NULL;
  const tenon_tensor* items[] = {first, second};
  EXPECT_OK(tenon_sequence_new(TENON_FLOAT32, items, 2, &sequence, &error));
  expect_no_tensor(sequence, TENON_KIND_SEQUENCE);
  EXPECT(tenon_tensor_kind(first) == TENON_KIND_TENSOR && tenon_tensor_kind(NULL) == TENON_KIND_NONE);
  EXPECT(tenon_sequence_count(sequence) == 2 && tenon_sequence_count(first) == 0 && tenon_sequence_count(NULL) == 0);
  EXPECT(tenon_tensor_dtype(sequence) == TENON_FLOAT32);
  tenon_tensor* item = item_of(sequence, 0);
  EXPECT(tenon_tensor_data(item) == data);
  tenon_tensor_free(item);

  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_sequence_new(TENON_FLOAT32, items, 2, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "items", tenon_sequence_new(TENON_FLOAT32, NULL, 2, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "item 0 is float32[2], expected a tensor of int64",
               tenon_sequence_new(TENON_INT64, items, 2, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "dtype", tenon_sequence_new((tenon_dtype)99, items, 2, &made, &error));
  const tenon_tensor* holes[] = {first, NULL};
  EXPECT_ERROR(TENON_ARGUMENT, "item 1 is NULL", tenon_sequence_new(TENON_FLOAT32, holes, 2, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "index 2 of 2", tenon_sequence_item(sequence, 2, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "expected a sequence", tenon_sequence_item(first, 0, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "sequence", tenon_sequence_item(NULL, 0, &made, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_sequence_item(sequence, 0, NULL, &error));
  EXPECT(made == NULL);

  /* The sequence keeps its items alive; a clone has its own. */
  tenon_tensor_free(first);
  tenon_tensor_free(second);
  tenon_tensor *clone = NULL, *share = NULL, *empty = NULL;
  EXPECT_OK(tenon_tensor_clone(sequence, &clone, &error));
  EXPECT_OK(tenon_tensor_share(sequence, &share, &error));
  tenon_tensor_free(sequence);
  EXPECT(released == 0);
  tenon_tensor_free(share);
  EXPECT(released == 1);
  data[0] = 9;
  item = item_of(clone, 0);
  EXPECT(((const float*)tenon_tensor_data(item))[0] == 1);
  tenon_tensor_free(item);
  EXPECT_OK(tenon_sequence_new(TENON_FLOAT32, NULL, 0, &empty, &error));
  expect_no_tensor(empty, TENON_KIND_SEQUENCE);

  /* sequence.onnx: chosen = cond ? a : b, same = maybe. */
  tenon_model* model = load("sequence.onnx", NULL);
  tenon_value_info value = {.size = sizeof value};
  EXPECT_OK(tenon_model_input(model, 1, &value, &error));
  EXPECT(same(value.name, "a") && value.flags == TENON_VALUE_SEQUENCE && value.dtype == TENON_FLOAT32 && value.rank == 1 &&
         value.dims[0] == -1);
  EXPECT_OK(tenon_model_input(model, 3, &value, &error));
  EXPECT(same(value.name, "maybe") && value.flags == (TENON_VALUE_NULLABLE | TENON_VALUE_OPTIONAL) && value.dims[0] == 2);
  EXPECT_OK(tenon_model_output(model, 0, &value, &error));
  EXPECT(value.flags == TENON_VALUE_SEQUENCE);
  EXPECT_OK(tenon_model_output(model, 1, &value, &error));
  EXPECT(value.flags == TENON_VALUE_NULLABLE);

  const uint8_t yes = 1;
  tenon_tensor* cond = NULL;
  EXPECT_OK(tenon_tensor_copy(TENON_BOOL, NULL, 0, &yes, 1, &cond, &error));
  tenon_tensor* vector = floats(dims, 1, data);
  const int64_t one[] = {1};
  tenon_tensor* last = floats(one, 1, (const float[]){6});
  const tenon_tensor* vectors[] = {vector, last};
  tenon_tensor* a = NULL;
  EXPECT_OK(tenon_sequence_new(TENON_FLOAT32, vectors, 2, &a, &error));
  const tenon_tensor* inputs[] = {cond, a, empty, NULL};
  tenon_tensor* outputs[] = {NULL, NULL};
  EXPECT_OK(tenon_model_run(model, inputs, 4, outputs, 2, NULL, &error));
  EXPECT(tenon_tensor_kind(outputs[0]) == TENON_KIND_SEQUENCE && tenon_sequence_count(outputs[0]) == 2);
  item = item_of(outputs[0], 1);
  EXPECT(tenon_tensor_count(item) == 1 && ((const float*)tenon_tensor_data(item))[0] == 6);
  tenon_tensor_free(item);
  expect_no_tensor(outputs[1], TENON_KIND_NONE);
  /* An input of an optional type may be left out, or given the none that a run gave. */
  tenon_tensor* again[] = {NULL, NULL};
  EXPECT_OK(tenon_model_run(model, inputs, 3, again, 2, NULL, &error));
  EXPECT(tenon_tensor_kind(again[1]) == TENON_KIND_NONE);
  tenon_tensor_free(again[0]), tenon_tensor_free(again[1]);
  again[0] = again[1] = NULL;
  inputs[3] = outputs[1];
  EXPECT_OK(tenon_model_run(model, inputs, 4, again, 2, NULL, &error));
  EXPECT(tenon_tensor_kind(again[1]) == TENON_KIND_NONE);
  tenon_tensor_free(again[0]), tenon_tensor_free(again[1]);
  again[0] = again[1] = NULL;
  inputs[3] = vector;
  EXPECT_OK(tenon_model_run(model, inputs, 4, again, 2, NULL, &error));
  EXPECT(tenon_tensor_kind(again[1]) == TENON_KIND_TENSOR && tenon_tensor_data(again[1]) != tenon_tensor_data(vector));
  EXPECT(((const float*)tenon_tensor_data(again[1]))[0] == 9);

  const tenon_tensor* wrong[] = {cond, clone, empty, NULL};
  EXPECT_ERROR(TENON_SHAPE, "input 'a' is a sequence of 2 float32 tensors, of which item 1 is float32[1, 3], expected sequence(float32[n])",
               tenon_model_run(model, wrong, 4, (tenon_tensor* [2]){NULL, NULL}, 2, NULL, &error));
  wrong[1] = vector;
  EXPECT_ERROR(TENON_SHAPE, "input 'a' is float32[2], expected sequence",
               tenon_model_run(model, wrong, 4, (tenon_tensor* [2]){NULL, NULL}, 2, NULL, &error));
  wrong[1] = NULL;
  EXPECT_ERROR(TENON_ARGUMENT, "input 'a' is missing", tenon_model_run(model, wrong, 4, (tenon_tensor* [2]){NULL, NULL}, 2, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "output 'chosen' is a sequence", tenon_model_run(model, inputs, 4, again, 2, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "output 'same' is optional",
               tenon_model_run(model, inputs, 4, (tenon_tensor* [2]){NULL, again[1]}, 2, NULL, &error));

  /* A session: bound once, run on what the memory then holds; what it gave last stays when it is shared. */
  tenon_session* session = NULL;
  EXPECT_OK(tenon_session_new(model, &session, &error));
  for (size_t i = 0; i < 3; ++i) EXPECT_OK(tenon_session_bind_input(session, i, inputs[i], &error));
  EXPECT_OK(tenon_session_run(session, NULL, &error));
  const tenon_tensor* chosen = NULL;
  tenon_tensor* kept = NULL;
  EXPECT_OK(tenon_session_output(session, 0, &chosen, &error));
  EXPECT_OK(tenon_tensor_share(chosen, &kept, &error));
  ((float*)tenon_tensor_data(last))[0] = 8;
  EXPECT_OK(tenon_session_run(session, NULL, &error));
  EXPECT_OK(tenon_session_output(session, 0, &chosen, &error));
  tenon_tensor *now = item_of(chosen, 1), *before = item_of(kept, 1);
  EXPECT(((const float*)tenon_tensor_data(now))[0] == 8 && ((const float*)tenon_tensor_data(before))[0] == 6);
  EXPECT_OK(tenon_session_bind_input(session, 2, kept, &error));
  EXPECT_OK(tenon_session_run(session, NULL, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "output 'chosen' is a sequence", tenon_session_bind_output(session, 0, kept, &error));
  tenon_session_free(session);

  tenon_tensor* all[] = {clone, empty, cond, vector, last, a, outputs[0], outputs[1], again[0], again[1], kept, now, before};
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i) tenon_tensor_free(all[i]);
  tenon_model_free(model);
}

/* Values serialized by onnx's own Python package. */
static void test_parse(void) {
  tenon_tensor* t = NULL;
  tenon_string name = {NULL, 0};
  size_t size = 0;
  void* proto = read_file("sequence.pb", &size);
  EXPECT_OK(tenon_sequence_parse(proto, size, TENON_UNDEFINED, &name, &t, &error));
  EXPECT(same(name, "s") && tenon_sequence_count(t) == 2);
  tenon_string_free(&name);
  tenon_tensor* item = item_of(t, 1);
  EXPECT(tenon_tensor_count(item) == 1 && ((const float*)tenon_tensor_data(item))[0] == 4);
  tenon_tensor_free(item);
  tenon_tensor_free(t);
  t = NULL;
  EXPECT_ERROR(TENON_ARGUMENT, "expected a tensor of int64", tenon_sequence_parse(proto, size, TENON_INT64, NULL, &t, &error));
  for (size_t cut = 1; cut < size; ++cut) {
    if (tenon_sequence_parse(proto, cut, TENON_FLOAT32, NULL, &t, NULL) == TENON_OK) tenon_tensor_free(t);
  }
  t = NULL;
  free(proto);
  proto = read_file("optional.pb", &size);
  EXPECT_OK(tenon_optional_parse(proto, size, TENON_FLOAT32, NULL, &t, &error));
  EXPECT(tenon_sequence_count(t) == 2);
  tenon_tensor_free(t);
  free(proto);
  t = NULL;
  EXPECT_OK(tenon_optional_parse("", 0, TENON_FLOAT32, NULL, &t, &error));
  EXPECT(tenon_tensor_kind(t) == TENON_KIND_NONE);
  tenon_tensor_free(t);
  t = NULL;
  EXPECT_OK(tenon_sequence_parse("", 0, TENON_INT64, NULL, &t, &error));
  EXPECT(tenon_tensor_kind(t) == TENON_KIND_SEQUENCE && tenon_sequence_count(t) == 0 && tenon_tensor_dtype(t) == TENON_INT64);
  tenon_tensor_free(t);
  t = NULL;
  EXPECT_ERROR(TENON_ARGUMENT, "dtype", tenon_sequence_parse("", 0, TENON_UNDEFINED, NULL, &t, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "dtype", tenon_sequence_parse("", 0, (tenon_dtype)99, NULL, &t, &error));
  EXPECT_ERROR(TENON_LOAD, "SequenceProto", tenon_sequence_parse("\xff\xff", 2, TENON_FLOAT32, NULL, &t, &error));
  EXPECT_ERROR(TENON_LOAD, "no tensors", tenon_sequence_parse("\x2a\x00", 2, TENON_FLOAT32, NULL, &t, &error));
  EXPECT_ERROR(TENON_LOAD, "OptionalProto", tenon_optional_parse("\x3a\x00", 2, TENON_FLOAT32, NULL, &t, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "data", tenon_sequence_parse(NULL, 4, TENON_FLOAT32, NULL, &t, &error));
  EXPECT_ERROR(TENON_ARGUMENT, "out", tenon_optional_parse("", 0, TENON_FLOAT32, NULL, NULL, &error));
}

int main(int argc, char** argv) {
  if (argc > 1) directory = argv[1];
  test_versions();
  test_enums();
  test_null();
  test_tensors();
  test_inspection();
  test_run();
  test_load();
  test_sequences();
  test_parse();
  if (failures == 0) puts("all well");
  return failures != 0;
}
