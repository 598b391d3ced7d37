/* Tenon: an embeddable inference engine for ONNX models. This is the C API; every other surface is built on it.
 *
 * Conventions
 *  1. Flat functions on opaque handles. All names begin with tenon_ or TENON_. The header is C11 and compiles as C++.
 *  2. A function that can fail returns tenon_status and takes, last, a nullable `tenon_error** error`. On failure *error receives an
 *     error object that the caller frees with tenon_error_free(); on success it receives NULL. There is no global or per-thread error.
 *  3. NULL for an argument that is not said to be nullable gives TENON_ARGUMENT; nothing is dereferenced. Accessors that return a value
 *     instead of a status give zero, NULL or an empty string for a NULL handle. Every *_free() takes NULL.
 *  4. On failure no output argument but *error is written, unless said otherwise.
 *  5. A string is pointer + length (tenon_string), UTF-8, and may hold NUL bytes. Strings the library gives out are, except for elements
 *     of string tensors, also followed by a NUL byte. {NULL, 0} is the empty string.
 *  6. Ownership: what a function gives through `T** out` belongs to the caller and is freed by tenon_<T>_free(). A pointer or string
 *     inside a returned struct, or returned directly, belongs to the handle it came from and lives as long as that handle unless said
 *     otherwise. A tenon_string written through `tenon_string* text` is the caller's: tenon_string_free().
 *  7. Structs that cross the boundary begin with `size_t size`: the caller sets it to sizeof the struct it was compiled with. Fields are
 *     only ever appended; a field beyond `size` is neither read nor written. Zero in any field of an options struct means the default, so
 *     `tenon_load_options o = {.size = sizeof o};` is a complete initialisation.
 *  8. Enum values and struct fields are never renumbered, reordered or reused.
 *  9. Thread safety: handles are independent of each other. Functions that take a handle as pointer-to-const may be called on it from any
 *     number of threads at once; others need the caller to keep the handle to one thread at a time. What differs is said at the function.
 *     *_free() must come after every other call on the handle returned.
 * 10. Callbacks run on a thread of the call they were passed to and must not call back into the handle of that call. An exception thrown
 *     by a callback is caught and becomes an error; no exception leaves a function of this header.
 */
#ifndef TENON_TENON_H_
#define TENON_TENON_H_

#include <stddef.h>
#include <stdint.h>

#define TENON_VERSION_MAJOR 0
#define TENON_VERSION_MINOR 1
#define TENON_VERSION_PATCH 0

#if defined(__GNUC__)
#define TENON_API __attribute__((visibility("default"), nothrow))
#else
#define TENON_API
#endif

/* Enums are 32 bits wide, and in C++ too any 32-bit value may be passed where one is taken: unknown ones are errors, not undefined. */
#ifdef __cplusplus
#define TENON_ENUM_INT : int32_t
extern "C" {
#else
#define TENON_ENUM_INT
#endif

/* ------------------------------------------------------------------------------------------------------------------ basic types -- */

typedef struct tenon_error tenon_error;       /* why a call failed */
typedef struct tenon_model tenon_model;       /* an immutable compiled model; shared by any number of threads */
typedef struct tenon_session tenon_session;   /* the bound inputs, outputs and buffers of one caller */
typedef struct tenon_tensor tenon_tensor;     /* a counted reference to memory with a dtype and dims; or a sequence of these, or none */
typedef struct tenon_cancel tenon_cancel;     /* an atomic flag that stops loads and runs */
typedef struct tenon_profile tenon_profile;   /* what runs recorded about their steps */
typedef struct tenon_registry tenon_registry; /* custom operators */

/** Bytes of text: see convention 5. */
typedef struct tenon_string {
  const char* data;
  size_t size;
} tenon_string;

/** A tenon_string over a NUL-terminated one, which must outlive it. */
static inline tenon_string tenon_str(const char* text) {
  tenon_string s = {text, 0};
  if (text)
    while (text[s.size]) ++s.size;
  return s;
}

typedef enum tenon_status TENON_ENUM_INT {
  TENON_OK = 0,
  TENON_ARGUMENT = 1,  /* the caller broke the contract: NULL, an unknown name, an input left out */
  TENON_LOAD = 2,      /* the model file is malformed or uses something this build does not have */
  TENON_SHAPE = 3,     /* shapes, dtypes or attribute values do not fit together, those of given inputs and outputs included */
  TENON_RUN = 4,       /* the values of a tensor make the operation impossible */
  TENON_LIMIT = 5,     /* a limit (nodes, rank, depth, memory, deadline) was reached */
  TENON_CANCELLED = 6, /* the cancel token was set */
  TENON_NOMEM = 7,     /* an allocation failed */
  TENON_IO = 8,        /* a file could not be opened or read, or a read callback reported failure */
  TENON_INTERNAL = 9   /* a broken invariant of the library: please report */
} tenon_status;

/** Element types; the values are those of ONNX's TensorProto.DataType. 2- and 4-bit types take one byte an element in memory. */
typedef enum tenon_dtype TENON_ENUM_INT {
  TENON_UNDEFINED = 0,
  TENON_FLOAT32 = 1,
  TENON_UINT8 = 2,
  TENON_INT8 = 3,
  TENON_UINT16 = 4,
  TENON_INT16 = 5,
  TENON_INT32 = 6,
  TENON_INT64 = 7,
  TENON_STRING = 8, /* elements are tenon_string */
  TENON_BOOL = 9,   /* one byte, 0 or 1 */
  TENON_FLOAT16 = 10,
  TENON_FLOAT64 = 11,
  TENON_UINT32 = 12,
  TENON_UINT64 = 13,
  TENON_COMPLEX64 = 14,
  TENON_COMPLEX128 = 15,
  TENON_BFLOAT16 = 16,
  TENON_FLOAT8E4M3FN = 17,
  TENON_FLOAT8E4M3FNUZ = 18,
  TENON_FLOAT8E5M2 = 19,
  TENON_FLOAT8E5M2FNUZ = 20,
  TENON_UINT4 = 21,
  TENON_INT4 = 22,
  TENON_FLOAT4E2M1 = 23,
  TENON_FLOAT8E8M0 = 24,
  TENON_UINT2 = 25,
  TENON_INT2 = 26
} tenon_dtype;

/** Bytes of one element in memory; 0 for a value outside the enum. Thread-safe. */
TENON_API size_t tenon_dtype_size(tenon_dtype dtype);
/** "float32", "int64", "bfloat16"...: numpy's and ml_dtypes' names; "undefined" for a value outside the enum. Static storage.
 *  Thread-safe. */
TENON_API tenon_string tenon_dtype_name(tenon_dtype dtype);
/** "ok", "argument", "load"...; static storage. Thread-safe. */
TENON_API tenon_string tenon_status_name(tenon_status status);

/** Frees the bytes of a string written through a `tenon_string* text` argument, and empties it. NULL and empty strings are fine. */
TENON_API void tenon_string_free(tenon_string* text);

/* ------------------------------------------------------------------------------------------------------------- version and build -- */

/** major << 16 | minor << 8 | patch of the library that is running (TENON_VERSION_* are those of the header). Thread-safe. */
TENON_API uint32_t tenon_version(void);
/** "0.1.0"; static storage. Thread-safe. */
TENON_API tenon_string tenon_version_string(void);

typedef struct tenon_build_info {
  size_t size;
  tenon_string version;
  tenon_string compiler;        /* "gcc 12.2.0, release" */
  tenon_string cpu;             /* instruction sets usable on this CPU, best first: "AVX3 AVX2 SSE4" */
  int32_t cpus;                 /* CPUs this process may use: affinity mask and cgroup quota */
  int32_t ir_min, ir_max;       /* ONNX IR versions known; a newer one is tried */
  int32_t opset_min, opset_max; /* ai.onnx opsets known; a newer one is tried */
  int32_t openmp;               /* 1 when OpenMP can provide the threads */
  tenon_string onednn;          /* the second provider of kernels: "oneDNN 2.6.3", or why its module cannot be used */
} tenon_build_info;

/** Fills *info (static storage); opens the oneDNN module to see whether it is there. Thread-safe. */
TENON_API tenon_status tenon_get_build_info(tenon_build_info* info, tenon_error** error);

/** An operator that a model may use. */
typedef struct tenon_operator_info {
  size_t size;
  tenon_string domain; /* "" for ai.onnx */
  tenon_string name;
  int64_t opset_min; /* first opset of the domain with which it may be used */
  int64_t opset_max; /* last opset for which its meaning is known */
  int32_t min_inputs;
  int32_t max_inputs; /* INT32_MAX when variadic */
  int32_t max_outputs;
} tenon_operator_info;

/** How many operators this build supports. Thread-safe. */
TENON_API size_t tenon_operator_count(void);
/** Fills *info for operator `index` in [0, tenon_operator_count()), sorted by domain and name (static storage). Thread-safe. */
TENON_API tenon_status tenon_get_operator(size_t index, tenon_operator_info* info, tenon_error** error);

/* ------------------------------------------------------------------------------------------------------------------------ errors -- */

typedef struct tenon_error_info {
  size_t size;
  tenon_status code;
  tenon_string message; /* everything below in one line */
  tenon_string text;    /* what was expected and what came */
  tenon_string node;    /* empty fields: not known, or not about a node */
  tenon_string op;
  tenon_string domain;
  tenon_string tensor;
  tenon_string source; /* file name */
  int64_t opset;       /* 0: not known */
} tenon_error_info;

TENON_API tenon_status tenon_error_code(const tenon_error* error);
TENON_API tenon_string tenon_error_message(const tenon_error* error);
/** Fills *info with everything known; the strings live as long as `error`. TENON_ARGUMENT when either is NULL. */
TENON_API tenon_status tenon_error_get_info(const tenon_error* error, tenon_error_info* info);
TENON_API void tenon_error_free(tenon_error* error);

/* ----------------------------------------------------------------------------------------------------------------------- tensors -- */

/** Called once when the last reference to borrowed memory goes, on whichever thread that happens. */
typedef void (*tenon_release_fn)(void* user);

/** What a tenon_tensor handle holds. */
typedef enum tenon_kind TENON_ENUM_INT {
  TENON_KIND_TENSOR = 0,
  TENON_KIND_SEQUENCE = 1, /* any number of tensors of one dtype, each with dims of its own */
  TENON_KIND_NONE = 2      /* the empty value of an ONNX optional */
} tenon_kind;

/** Of a sequence or none, `dtype` is that of the items (of none perhaps TENON_UNDEFINED) and the rest describes a vector without
 *  elements. */
typedef struct tenon_tensor_info {
  size_t size;
  tenon_dtype dtype;
  int32_t rank;
  const int64_t* dims; /* rank of them; lives as long as the handle */
  int64_t count;       /* product of dims: 1 for a scalar */
  size_t bytes;        /* count * tenon_dtype_size(dtype) */
  void* data;          /* contiguous, row-major; may be NULL when bytes is 0 */
  tenon_kind kind;
  size_t item_count; /* of a sequence */
} tenon_tensor_info;

/** New memory, 64-byte aligned, filled with zeros (strings: empty). `dims` may be NULL when rank is 0.
 *  Errors: TENON_ARGUMENT (dtype, negative dim, rank over 16), TENON_LIMIT (size overflows), TENON_NOMEM. */
TENON_API tenon_status tenon_tensor_new(tenon_dtype dtype, const int64_t* dims, size_t rank, tenon_tensor** out, tenon_error** error);

/** A tensor over the caller's memory, without a copy. `bytes` must be at least what dtype and dims need; any alignment of at least the
 *  element's own works, 64 is fastest. The memory stays valid until `release(user)` is called (nullable: then until every tensor, session
 *  and model output that shares it is freed). On failure release is not called. Models read borrowed memory, and write it only where it is
 *  given as an output. Data of a TENON_STRING tensor is an array of tenon_string. Errors: as tenon_tensor_new. */
TENON_API tenon_status tenon_tensor_borrow(tenon_dtype dtype, const int64_t* dims, size_t rank, void* data, size_t bytes,
                                           tenon_release_fn release, void* user, tenon_tensor** out, tenon_error** error);

/** A tensor with a copy of `bytes` bytes at `data`, which must be exactly what dtype and dims need. For TENON_STRING the bytes of the
 *  strings are copied too, and `data` is an array of tenon_string. */
TENON_API tenon_status tenon_tensor_copy(tenon_dtype dtype, const int64_t* dims, size_t rank, const void* data, size_t bytes,
                                         tenon_tensor** out, tenon_error** error);

/** The tensor in a serialized onnx.TensorProto (a .pb file). `name`, nullable, receives its name. Errors: TENON_LOAD, TENON_NOMEM. */
TENON_API tenon_status tenon_tensor_parse(const void* data, size_t size, tenon_string* name, tenon_tensor** out, tenon_error** error);

/** A sequence of `count` tensors, which must be of this dtype. It shares their memory, which stays valid as for tensors that are shared,
 *  and should not be written any more; the handles of `items` stay the caller's. `items` may be NULL when count is 0.
 *  Errors: TENON_ARGUMENT (dtype, a NULL item, one of another dtype or kind), TENON_NOMEM. */
TENON_API tenon_status tenon_sequence_new(tenon_dtype dtype, const tenon_tensor* const* items, size_t count, tenon_tensor** out,
                                          tenon_error** error);
/** The sequence in a serialized onnx.SequenceProto of tensors (a .pb file). `dtype` is that of its items; TENON_UNDEFINED: that of the
 *  first, which must be there. `name`, nullable, receives its name. Errors: TENON_LOAD, TENON_ARGUMENT (items of another dtype),
 *  TENON_NOMEM. */
TENON_API tenon_status tenon_sequence_parse(const void* data, size_t size, tenon_dtype dtype, tenon_string* name, tenon_tensor** out,
                                            tenon_error** error);
/** The value in a serialized onnx.OptionalProto: a tensor, a sequence (`dtype`, `name` and errors as above), or none. */
TENON_API tenon_status tenon_optional_parse(const void* data, size_t size, tenon_dtype dtype, tenon_string* name, tenon_tensor** out,
                                            tenon_error** error);
/** How many tensors a sequence holds; 0 for the other kinds. */
TENON_API size_t tenon_sequence_count(const tenon_tensor* sequence);
/** A new handle on item `index`. Errors: TENON_ARGUMENT (not a sequence, index out of range). */
TENON_API tenon_status tenon_sequence_item(const tenon_tensor* sequence, size_t index, tenon_tensor** out, tenon_error** error);
/** TENON_KIND_NONE for NULL too. */
TENON_API tenon_kind tenon_tensor_kind(const tenon_tensor* tensor);

/** Another handle on the same memory. */
TENON_API tenon_status tenon_tensor_share(const tenon_tensor* tensor, tenon_tensor** out, tenon_error** error);
/** Another handle on the same memory, under dims of the same product. TENON_ARGUMENT for a sequence or none. */
TENON_API tenon_status tenon_tensor_reshape(const tenon_tensor* tensor, const int64_t* dims, size_t rank, tenon_tensor** out,
                                            tenon_error** error);
/** A deep copy in new memory, of every item of a sequence too. */
TENON_API tenon_status tenon_tensor_clone(const tenon_tensor* tensor, tenon_tensor** out, tenon_error** error);

/** Everything about the tensor in one call. TENON_ARGUMENT when either is NULL. */
TENON_API tenon_status tenon_tensor_get_info(const tenon_tensor* tensor, tenon_tensor_info* info);
TENON_API tenon_dtype tenon_tensor_dtype(const tenon_tensor* tensor);
TENON_API size_t tenon_tensor_rank(const tenon_tensor* tensor);
TENON_API const int64_t* tenon_tensor_dims(const tenon_tensor* tensor);
TENON_API int64_t tenon_tensor_count(const tenon_tensor* tensor);
TENON_API size_t tenon_tensor_bytes(const tenon_tensor* tensor);
/** The elements, readable and writable. The caller keeps concurrent readers and writers apart. */
TENON_API void* tenon_tensor_data(const tenon_tensor* tensor);
/** Element `index` of a TENON_STRING tensor; empty for another dtype or an index out of range. */
TENON_API tenon_string tenon_tensor_string(const tenon_tensor* tensor, size_t index);
TENON_API void tenon_tensor_free(tenon_tensor* tensor);

/* ------------------------------------------------------------------------------------------------------------------------ cancel -- */

/** A flag that stops the loads and runs it was given to, with TENON_CANCELLED, within milliseconds. It must live until they have
 *  returned. */
TENON_API tenon_status tenon_cancel_new(tenon_cancel** out, tenon_error** error);
/** Thread-safe, also beside every other use of the token; async-signal-safe. */
TENON_API void tenon_cancel_set(tenon_cancel* cancel);
/** Makes the token usable again. Thread-safe; the caller sees to it that no load or run it was set for is still going. */
TENON_API void tenon_cancel_reset(tenon_cancel* cancel);
/** 1 when set. Thread-safe. */
TENON_API int32_t tenon_cancel_is_set(const tenon_cancel* cancel);
TENON_API void tenon_cancel_free(tenon_cancel* cancel);

/* ----------------------------------------------------------------------------------------------------------------- thread pools -- */

/** The host application's threads. `run` calls fn(arg, i) for i in [0, n) at once, i = 0 on the calling thread, and returns when all
 *  returned. When fewer threads are free it may call fn for fewer i, but always for 0. Called by several threads at once. */
typedef struct tenon_thread_pool {
  size_t size;
  void* user;
  void (*run)(void* user, int32_t n, void (*fn)(void* arg, int32_t index), void* arg);
} tenon_thread_pool;

/* ------------------------------------------------------------------------------------------------------------------------- load -- */

/** Tells how far a load is: `done` of `total` bytes or steps of `stage`. Returning nonzero cancels the load (TENON_CANCELLED). */
typedef int32_t (*tenon_progress_fn)(void* user, tenon_string stage, uint64_t done, uint64_t total);

/** Reads up to `capacity` bytes into `buffer`: the number read, 0 at the end, negative on failure (the load fails with TENON_IO). */
typedef int64_t (*tenon_read_fn)(void* user, void* buffer, size_t capacity);

/** A size for every dim of the model's inputs that has this symbolic name. */
typedef struct tenon_dim_binding {
  tenon_string name;
  int64_t value;
} tenon_dim_binding;

enum tenon_load_flags {
  TENON_LOAD_MAP_WEIGHTS = 1 << 0, /* map the file and view weights in place. Only for a file that nobody changes while the model lives */
  TENON_LOAD_NO_OPTIMIZE = 1 << 1, /* run the graph as the file has it: no pass */
  TENON_LOAD_OVERRIDABLE = 1 << 2, /* initializers that the file also lists as graph inputs become optional inputs; otherwise constants */
  TENON_LOAD_NO_ONEDNN = 1 << 3,   /* never choose a kernel of oneDNN, and do not open its module */
  TENON_LOAD_OPENMP = 1 << 4,      /* take threads from OpenMP instead of the library's own pool */
  /* compare files of external data with the SHA-1 the model gives, where it does: takes seconds a gigabyte */
  TENON_LOAD_VERIFY_CHECKSUMS = 1 << 5,
  /* only methods of convolution whose rounding error is that of the direct sum: no Winograd */
  TENON_LOAD_STRICT = 1 << 6
};

typedef struct tenon_load_options {
  size_t size;
  uint32_t flags;  /* tenon_load_flags */
  int32_t threads; /* threads of a run unless its options say otherwise, at most 1024; 0: every CPU the process may use */
  /* most bytes of weights, and most of intermediate values and outputs over all runs; 0: 8 GiB of the latter */
  uint64_t memory_limit;
  int64_t deadline_ms; /* the load fails with TENON_LIMIT after this long; 0: never */
  const tenon_cancel* cancel;
  tenon_progress_fn progress;
  void* progress_user;
  tenon_string base_directory;         /* where external data lies; default: the model's own directory (none for memory and streams) */
  tenon_string source;                 /* what error messages call the model; default: the path or "<memory>" */
  const tenon_string* disabled_passes; /* names as in tenon_pass_info */
  size_t disabled_pass_count;
  int64_t pass_step_limit; /* most rewrites in all, for bisecting a bad one; 0: no limit */
  /* values inside the model that become outputs after its own, in this order. Values of function bodies and of branches decided at load are
     "node/value"; those inside bodies of If, Loop and Scan cannot be named */
  const tenon_string* extra_outputs;
  size_t extra_output_count;
  const tenon_dim_binding* dims;
  size_t dim_count;
  const tenon_registry* registry; /* custom operators; the model keeps what it needs of it */
  const tenon_thread_pool* pool;  /* copied; its user pointer must outlive the model */
  size_t max_plans;               /* plans (one an input-shape signature) kept at once; 0: 16, of small graphs up to 64 */
  /* where weights in the form kernels read are kept from one load to the next, for models loaded from a path; default: nowhere. Made when
     missing. The next load of the same files maps what this one wrote instead of reading and packing them, and processes that do so share
     the memory. Kept apart by model, options, version and instruction set; nothing is removed, and everything may be at any time, but
     files must not be changed while a model lives. Whoever can write there decides about results. What cannot be written does not fail
     the load: see tenon_model_info.cache_note */
  tenon_string cache_directory;
} tenon_load_options;

/** Loads a model from a file. `options` is nullable. Nothing depends on the file afterwards unless TENON_LOAD_MAP_WEIGHTS is set
 *  (and on that of options->cache_directory, where it was taken from there).
 *  Thread-safe. Errors: TENON_IO, TENON_LOAD, TENON_SHAPE, TENON_LIMIT, TENON_CANCELLED, TENON_NOMEM, TENON_ARGUMENT. */
TENON_API tenon_status tenon_model_load(tenon_string path, const tenon_load_options* options, tenon_model** out, tenon_error** error);
/** Loads a model from memory, which is not used after the call. External data needs options->base_directory. Otherwise as above. */
TENON_API tenon_status tenon_model_load_memory(const void* data, size_t size, const tenon_load_options* options, tenon_model** out,
                                               tenon_error** error);
/** Loads a model from a callback that is called, on this thread, until it returns 0. Otherwise as above. */
TENON_API tenon_status tenon_model_load_stream(tenon_read_fn read, void* user, const tenon_load_options* options, tenon_model** out,
                                               tenon_error** error);
/** Sessions of the model stay usable; memory goes when the last of them is freed. */
TENON_API void tenon_model_free(tenon_model* model);

/* ------------------------------------------------------------------------------------------------------------------------ inspect -- */

enum tenon_value_flags {
  TENON_VALUE_OPTIONAL = 1 << 0, /* an input that may be left out: pass NULL for its default, or for none when it is TENON_VALUE_NULLABLE */
  TENON_VALUE_SEQUENCE = 1 << 1, /* a sequence: dtype and dims are those of its items, which may differ where a dim is not constant */
  TENON_VALUE_NULLABLE = 1 << 2  /* of ONNX's optional types: it may be none */
};

/** An input or output. */
typedef struct tenon_value_info {
  size_t size;
  tenon_string name;
  tenon_dtype dtype;
  int32_t rank;                  /* -1 when not even the rank is known */
  const int64_t* dims;           /* rank of them; -1 where not constant */
  const tenon_string* dim_names; /* rank of them; "" for constants, "?" for unknown, else a symbol or expression: "batch", "2*seq + 1" */
  uint32_t flags;                /* tenon_value_flags */
} tenon_value_info;

typedef struct tenon_model_info {
  size_t size;
  tenon_string name;
  tenon_string producer; /* "pytorch 2.4.0" */
  tenon_string source;   /* path or "<memory>" */
  size_t input_count;
  size_t output_count; /* extra outputs included */
  size_t metadata_count;
  size_t node_count; /* after optimisation, bodies of control-flow operators included */
  size_t pass_count;
  uint64_t parameter_count; /* elements of all constants */
  uint64_t parameter_bytes;
  int64_t load_nanoseconds;
  tenon_string cache_file; /* where the weights are kept for the next load; "" without options->cache_directory */
  uint64_t cache_bytes;    /* of weights that this load took from there */
  tenon_string cache_note; /* why nothing, or not all, is kept for the next load; "" when all is well */
} tenon_model_info;

/** Everything below returns strings and arrays that live as long as the model. */
TENON_API tenon_status tenon_model_get_info(const tenon_model* model, tenon_model_info* info, tenon_error** error);
TENON_API size_t tenon_model_input_count(const tenon_model* model);
TENON_API size_t tenon_model_output_count(const tenon_model* model);
TENON_API tenon_status tenon_model_input(const tenon_model* model, size_t index, tenon_value_info* info, tenon_error** error);
TENON_API tenon_status tenon_model_output(const tenon_model* model, size_t index, tenon_value_info* info, tenon_error** error);
/** The index of the input or output of that name. TENON_ARGUMENT, naming those that exist, when there is none. */
TENON_API tenon_status tenon_model_find_input(const tenon_model* model, tenon_string name, size_t* index, tenon_error** error);
TENON_API tenon_status tenon_model_find_output(const tenon_model* model, tenon_string name, size_t* index, tenon_error** error);

/** Entry `index` of the model's metadata, sorted by key. */
TENON_API tenon_status tenon_model_metadata(const tenon_model* model, size_t index, tenon_string* key, tenon_string* value,
                                            tenon_error** error);

/** One node of the optimised graph. */
typedef struct tenon_node_info {
  size_t size;
  tenon_string name;
  tenon_string op;     /* operator as the model file names it */
  tenon_string domain; /* "" for ai.onnx */
  int64_t opset;
  tenon_string kernel;        /* chosen kernel: that of the latest plan, or as tenon_model_explain() found it; "" while there is none */
  tenon_string refusals;      /* after tenon_model_explain(): better kernels that could not be taken, as lines of "kernel: reason" */
  tenon_string shape;         /* types of its outputs: "float32[batch, 64, 56, 56]" */
  const tenon_string* inputs; /* value names, "" where left out */
  size_t input_count;
  const tenon_string* outputs;
  size_t output_count;
  int32_t depth;     /* of how many bodies of control-flow operators it is inside */
  tenon_string note; /* after tenon_model_explain(): why no kernel can be told, "chosen while running: 'x' is float32[?]" */
} tenon_node_info;

/** Node `index` in [0, tenon_model_info.node_count), in the order of execution. */
TENON_API tenon_status tenon_model_node(const tenon_model* model, size_t index, tenon_node_info* info, tenon_error** error);

/** Plans the declared inputs with these sizes for symbolic dims, and 1 for the rest, so that tenon_model_node() tells the kernels and why
 *  better ones were refused. Bodies of control-flow operators are planned for their first turn. Thread-safe. Errors: TENON_SHAPE,
 *  TENON_LIMIT, TENON_NOMEM. */
TENON_API tenon_status tenon_model_explain(const tenon_model* model, const tenon_dim_binding* dims, size_t dim_count, tenon_error** error);

/** One optimisation pass: how long it took and how much it rewrote. Disabled passes are listed with zeros. */
typedef struct tenon_pass_info {
  size_t size;
  tenon_string name;
  int64_t nanoseconds;
  int64_t rewrites;
} tenon_pass_info;
TENON_API tenon_status tenon_model_pass(const tenon_model* model, size_t index, tenon_pass_info* info, tenon_error** error);

typedef enum tenon_graph_format TENON_ENUM_INT {
  TENON_GRAPH_TEXT = 0, /* one line a node */
  TENON_GRAPH_DOT = 1   /* Graphviz */
} tenon_graph_format;
/** The optimised graph as text: *text is freed with tenon_string_free(). */
TENON_API tenon_status tenon_model_graph(const tenon_model* model, tenon_graph_format format, tenon_string* text, tenon_error** error);

typedef struct tenon_stats {
  size_t size;
  uint64_t weight_bytes; /* constants, in their packed form */
  uint64_t run_bytes;    /* intermediate values and outputs alive now */
  uint64_t run_bytes_peak;
  uint64_t plans;         /* cached now */
  uint64_t sessions_idle; /* kept for the next tenon_model_run */
  uint64_t runs;          /* begun, those of sessions included */
} tenon_stats;
TENON_API tenon_status tenon_model_get_stats(const tenon_model* model, tenon_stats* stats, tenon_error** error);
/** Gives back the memory of idle sessions and of all cached plans but the one used last. Thread-safe. */
TENON_API tenon_status tenon_model_trim(const tenon_model* model, tenon_error** error);

/* --------------------------------------------------------------------------------------------------------------------------- run -- */

typedef struct tenon_run_options {
  size_t size;
  int32_t threads;     /* 0: as the model was loaded with */
  int64_t deadline_ms; /* the run fails with TENON_LIMIT after this long; 0: never */
  const tenon_cancel* cancel;
  tenon_profile* profile;       /* records every step of the run */
  const size_t* output_indices; /* tenon_model_run only: which outputs, n_outputs of them; NULL: the first n_outputs */
} tenon_run_options;

/** Runs the model once. Thread-safe: any number of threads may call it on one model.
 *  inputs: n_inputs tensors in the order of tenon_model_input(); NULL, or leaving out the last ones, takes an optional input's default.
 *  outputs: n_outputs places, in the order of tenon_model_output() or of options->output_indices. What only other outputs need is not run.
 *  A place that holds NULL receives a new value owned by the caller, which shares no memory with the inputs; one that holds a tensor of the
 *  right dtype and dims is written in place (not for strings, sequences and optionals) and may not overlap an input or another output. An
 *  input's memory must not change during the call.
 *  `options` is nullable.
 *  Errors: TENON_ARGUMENT, TENON_SHAPE, TENON_RUN, TENON_LIMIT, TENON_CANCELLED, TENON_NOMEM. On error no place of `outputs` is changed;
 *  the memory of given tensors may hold part of the result. */
TENON_API tenon_status tenon_model_run(const tenon_model* model, const tenon_tensor* const* inputs, size_t n_inputs, tenon_tensor** outputs,
                                       size_t n_outputs, const tenon_run_options* options, tenon_error** error);

/** The same by name: inputs in any order, any of the outputs, each named once. */
TENON_API tenon_status tenon_model_run_named(const tenon_model* model, const tenon_string* input_names, const tenon_tensor* const* inputs,
                                             size_t n_inputs, const tenon_string* output_names, tenon_tensor** outputs, size_t n_outputs,
                                             const tenon_run_options* options, tenon_error** error);

/** A session holds bound tensors and everything a run needs, so that a run with unchanged shapes allocates nothing. It keeps the model's
 *  memory alive. One thread at a time. */
TENON_API tenon_status tenon_session_new(const tenon_model* model, tenon_session** out, tenon_error** error);
/** Binds (a share of) `tensor` to input `index`; later runs read its memory as it then is. NULL unbinds. Errors: TENON_ARGUMENT. */
TENON_API tenon_status tenon_session_bind_input(tenon_session* session, size_t index, const tenon_tensor* tensor, tenon_error** error);
/** Binds (a share of) `tensor` to output `index`; later runs write there. NULL: the session's own memory. Errors: TENON_ARGUMENT. */
TENON_API tenon_status tenon_session_bind_output(tenon_session* session, size_t index, const tenon_tensor* tensor, tenon_error** error);
/** Says which outputs later runs compute: `count` indices, or all when `outputs` is NULL, as it is at first. What only the others need is
 *  not run, and they have no tensor. Errors: TENON_ARGUMENT. */
TENON_API tenon_status tenon_session_want_outputs(tenon_session* session, const size_t* outputs, size_t count, tenon_error** error);
/** Runs on what is bound; computes every output, or those of tenon_session_want_outputs(). Errors: as tenon_model_run. After an error the
 *  session is usable again. */
TENON_API tenon_status tenon_session_run(tenon_session* session, const tenon_run_options* options, tenon_error** error);
/** Output `index` of the last run: *tensor belongs to the session and is valid until the next bind, run or free (share or clone it to
 *  keep it; a share's memory is overwritten by the next run). TENON_ARGUMENT before a run. */
TENON_API tenon_status tenon_session_output(const tenon_session* session, size_t index, const tenon_tensor** tensor, tenon_error** error);
TENON_API void tenon_session_free(tenon_session* session);

/* ----------------------------------------------------------------------------------------------------------------------- profile -- */

/** One step of a run. */
typedef struct tenon_profile_event {
  size_t size;
  tenon_string node;
  tenon_string op;
  tenon_string kernel;
  tenon_string shapes;       /* types of the outputs */
  int64_t start_nanoseconds; /* since the profile was made or cleared */
  int64_t nanoseconds;
  int32_t parallel; /* 1 when the step was shared out to threads */
} tenon_profile_event;

/** An empty recording. May be given to several runs at once; it is read when none of them is going. */
TENON_API tenon_status tenon_profile_new(tenon_profile** out, tenon_error** error);
TENON_API size_t tenon_profile_event_count(const tenon_profile* profile);
/** Event `index`, in order of recording; its strings live until the profile is cleared or freed. */
TENON_API tenon_status tenon_profile_get_event(const tenon_profile* profile, size_t index, tenon_profile_event* event, tenon_error** error);
/** Everything as Chrome trace JSON (chrome://tracing, Perfetto): *text is freed with tenon_string_free(). */
TENON_API tenon_status tenon_profile_json(const tenon_profile* profile, tenon_string* text, tenon_error** error);
TENON_API void tenon_profile_clear(tenon_profile* profile);
TENON_API void tenon_profile_free(tenon_profile* profile);

/* -------------------------------------------------------------------------------------------------------------- custom operators -- */

typedef struct tenon_infer_context tenon_infer_context;
typedef struct tenon_compute_context tenon_compute_context;
typedef struct tenon_attributes tenon_attributes;

/** An operator of the host application, from tensors to tensors. The callbacks may be called by several threads at once and return TENON_OK
 *  or the class of the failure. */
typedef struct tenon_custom_op {
  size_t size;
  tenon_string domain; /* not "" */
  tenon_string name;
  int32_t min_inputs;
  int32_t max_inputs;  /* INT32_MAX for variadic */
  int32_t max_outputs; /* at least 1 */
  void* user;
  /** Says the types of the outputs from those of the inputs, with tenon_infer_set_output() for each. Called while loading, and again when
   *  dims become known. */
  tenon_status (*infer)(void* user, tenon_infer_context* context);
  /** Computes the outputs: tenon_compute_input(), tenon_compute_output(). Called in every run. */
  tenon_status (*compute)(void* user, tenon_compute_context* context);
  /** Nullable: called once when the last model and registry that use the operator are freed. */
  void (*release)(void* user);
} tenon_custom_op;

TENON_API tenon_status tenon_registry_new(tenon_registry** out, tenon_error** error);
/** Adds a copy of *op. Errors: TENON_ARGUMENT (a missing callback, a name that exists already; release is not called). */
TENON_API tenon_status tenon_registry_add(tenon_registry* registry, const tenon_custom_op* op, tenon_error** error);
TENON_API void tenon_registry_free(tenon_registry* registry);

/** Inside infer: the contexts live until the callback returns. */
TENON_API size_t tenon_infer_input_count(const tenon_infer_context* context);
TENON_API size_t tenon_infer_output_count(const tenon_infer_context* context);
TENON_API const tenon_attributes* tenon_infer_attributes(const tenon_infer_context* context);
/** The type of input `index` (no name; dtype TENON_UNDEFINED when left out). */
TENON_API tenon_status tenon_infer_input(tenon_infer_context* context, size_t index, tenon_value_info* info);
/** rank -1: unknown. A dim of -1: unknown. */
TENON_API tenon_status tenon_infer_set_output(tenon_infer_context* context, size_t index, tenon_dtype dtype, const int64_t* dims,
                                              int32_t rank);
/** Gives output `index` the type of input `input`, symbolic dims included. */
TENON_API tenon_status tenon_infer_set_output_like(tenon_infer_context* context, size_t index, size_t input);
/** The text of the error when the callback returns a failure. */
TENON_API void tenon_infer_fail(tenon_infer_context* context, tenon_string text);

/** Inside compute. */
TENON_API size_t tenon_compute_input_count(const tenon_compute_context* context);
TENON_API size_t tenon_compute_output_count(const tenon_compute_context* context);
TENON_API const tenon_attributes* tenon_compute_attributes(const tenon_compute_context* context);
/** Input `index`, NULL when left out; valid until the callback returns. */
TENON_API const tenon_tensor* tenon_compute_input(tenon_compute_context* context, size_t index);
/** 1 when somebody reads output `index`; 0 when computing it would be in vain. */
TENON_API int32_t tenon_compute_output_wanted(const tenon_compute_context* context, size_t index);
/** Memory for output `index`; every wanted output must be asked for once. *tensor belongs to the run. */
TENON_API tenon_status tenon_compute_output(tenon_compute_context* context, size_t index, tenon_dtype dtype, const int64_t* dims,
                                            size_t rank, tenon_tensor** tensor);
/** Bytes for the strings of a TENON_STRING output, which live until the run ends. NULL when there is no memory. */
TENON_API char* tenon_compute_bytes(tenon_compute_context* context, size_t size);
TENON_API void tenon_compute_fail(tenon_compute_context* context, tenon_string text);

/** The node's attributes: TENON_ARGUMENT when there is none of that name and kind. Arrays and strings live as long as the context. */
TENON_API tenon_status tenon_attribute_int(const tenon_attributes* attributes, tenon_string name, int64_t* value);
TENON_API tenon_status tenon_attribute_float(const tenon_attributes* attributes, tenon_string name, float* value);
TENON_API tenon_status tenon_attribute_string(const tenon_attributes* attributes, tenon_string name, tenon_string* value);
TENON_API tenon_status tenon_attribute_ints(const tenon_attributes* attributes, tenon_string name, const int64_t** values, size_t* count);
TENON_API tenon_status tenon_attribute_floats(const tenon_attributes* attributes, tenon_string name, const float** values, size_t* count);

#ifdef __cplusplus
}
#endif
#endif /* TENON_TENON_H_ */
