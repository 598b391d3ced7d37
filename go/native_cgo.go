//go:build cgo

package tenon

// The bridge to tenon.h: every call into C is in this file. A run is one call.

/*
#include <stdlib.h>
#include <string.h>
#include "tenon/tenon.h"

typedef struct { tenon_status status; tenon_error* error; } go_result;

// A tensor with what Go wants to know of it, so that one call brings it all.
typedef struct { tenon_tensor* tensor; tenon_tensor_info info; } go_tensor;

static void go_describe(go_tensor* t) {
  t->info.size = sizeof t->info;
  tenon_tensor_get_info(t->tensor, &t->info);
}

static go_result go_tensor_new(tenon_dtype dtype, const int64_t* dims, size_t rank, go_tensor* out) {
  go_result r = {0, 0};
  r.status = tenon_tensor_new(dtype, dims, rank, &out->tensor, &r.error);
  if (r.status == TENON_OK) go_describe(out);
  return r;
}

static go_result go_tensor_copy(tenon_dtype dtype, const int64_t* dims, size_t rank, const char* data, size_t bytes, go_tensor* out) {
  go_result r = {0, 0};
  r.status = tenon_tensor_copy(dtype, dims, rank, data, bytes, &out->tensor, &r.error);
  if (r.status == TENON_OK) go_describe(out);
  return r;
}

extern void tenonGoRelease(void* user);

static go_result go_tensor_borrow(tenon_dtype dtype, const int64_t* dims, size_t rank, char* data, size_t bytes, uintptr_t user,
                                  go_tensor* out) {
  go_result r = {0, 0};
  r.status = tenon_tensor_borrow(dtype, dims, rank, data, bytes, tenonGoRelease, (void*)user, &out->tensor, &r.error);
  if (r.status == TENON_OK) go_describe(out);
  return r;
}

static go_result go_tensor_reshape(const tenon_tensor* t, const int64_t* dims, size_t rank, go_tensor* out) {
  go_result r = {0, 0};
  r.status = tenon_tensor_reshape(t, dims, rank, &out->tensor, &r.error);
  if (r.status == TENON_OK) go_describe(out);
  return r;
}

static go_result go_tensor_clone(const tenon_tensor* t, go_tensor* out) {
  go_result r = {0, 0};
  r.status = tenon_tensor_clone(t, &out->tensor, &r.error);
  if (r.status == TENON_OK) go_describe(out);
  return r;
}

static go_result go_sequence_new(tenon_dtype dtype, const tenon_tensor* const* items, size_t count, go_tensor* out) {
  go_result r = {0, 0};
  r.status = tenon_sequence_new(dtype, items, count, &out->tensor, &r.error);
  if (r.status == TENON_OK) go_describe(out);
  return r;
}

static go_result go_sequence_item(const tenon_tensor* sequence, size_t i, go_tensor* out) {
  go_result r = {0, 0};
  r.status = tenon_sequence_item(sequence, i, &out->tensor, &r.error);
  if (r.status == TENON_OK) go_describe(out);
  return r;
}

extern int64_t tenonGoRead(void* user, void* buffer, size_t capacity);
extern int32_t tenonGoProgress(void* user, tenon_string stage, uint64_t done, uint64_t total);

static void go_set_progress(tenon_load_options* o, uintptr_t user) {
  o->progress = tenonGoProgress;
  o->progress_user = (void*)user;
}

// Data is char* here, not void*, so that cgo does not search the Go object around it for pointers.
static go_result go_load_memory(const char* data, size_t size, const tenon_load_options* o, tenon_model** out) {
  go_result r = {0, 0};
  r.status = tenon_model_load_memory(data, size, o, out, &r.error);
  return r;
}

static go_result go_load_stream(uintptr_t user, const tenon_load_options* o, tenon_model** out) {
  go_result r = {0, 0};
  r.status = tenon_model_load_stream(tenonGoRead, (void*)user, o, out, &r.error);
  return r;
}

// Runs, and describes every output.
static go_result go_run(const tenon_model* m, const tenon_tensor* const* in, size_t n_in, const size_t* which, tenon_tensor** out,
                        go_tensor* described, size_t n_out, const tenon_cancel* cancel, tenon_profile* profile) {
  go_result r = {0, 0};
  tenon_run_options o = {sizeof o, 0, 0, cancel, profile, which};
  r.status = tenon_model_run(m, in, n_in, out, n_out, &o, &r.error);
  if (r.status == TENON_OK) {
    for (size_t i = 0; i < n_out; ++i) {
      described[i].tensor = out[i];
      go_describe(&described[i]);
    }
  }
  return r;
}

static go_result go_session_run(tenon_session* s, const tenon_cancel* cancel, tenon_profile* profile) {
  go_result r = {0, 0};
  tenon_run_options o = {sizeof o, 0, 0, cancel, profile, 0};
  r.status = tenon_session_run(s, &o, &r.error);
  return r;
}

static go_result go_session_output(const tenon_session* s, size_t i, go_tensor* out) {
  go_result r = {0, 0};
  const tenon_tensor* t = 0;
  r.status = tenon_session_output(s, i, &t, &r.error);
  if (r.status == TENON_OK) r.status = tenon_tensor_share(t, &out->tensor, &r.error);
  if (r.status == TENON_OK) go_describe(out);
  return r;
}
*/
import "C"

import (
	"runtime"
	"runtime/cgo"
	"unsafe"
)

func toError(r C.go_result) error {
	if r.status == C.TENON_OK {
		return nil
	}
	e := &Error{Code: Code(r.status)}
	info := C.tenon_error_info{size: C.sizeof_tenon_error_info}
	if r.error != nil && C.tenon_error_get_info(r.error, &info) == C.TENON_OK {
		e.message, e.Text = goString(info.message), goString(info.text)
		e.Node, e.Op, e.Domain = goString(info.node), goString(info.op), goString(info.domain)
		e.Tensor, e.Source, e.Opset = goString(info.tensor), goString(info.source), int(info.opset)
	} else {
		e.Text = goString(C.tenon_status_name(r.status))
	}
	C.tenon_error_free(r.error)
	return e
}

func goString(s C.tenon_string) string {
	if s.data == nil {
		return ""
	}
	return C.GoStringN(s.data, C.int(s.size))
}

// cStrings keeps C copies of what options hold during a load.
type cStrings struct{ blocks []unsafe.Pointer }

func (c *cStrings) one(s string) C.tenon_string {
	if s == "" {
		return C.tenon_string{}
	}
	p := C.CString(s)
	c.blocks = append(c.blocks, unsafe.Pointer(p))
	return C.tenon_string{data: p, size: C.size_t(len(s))}
}

func (c *cStrings) array(n int, size uintptr) unsafe.Pointer {
	if n == 0 {
		return nil
	}
	p := C.calloc(C.size_t(n), C.size_t(size))
	c.blocks = append(c.blocks, p)
	return p
}

func (c *cStrings) list(all []string) (*C.tenon_string, C.size_t) {
	p := (*C.tenon_string)(c.array(len(all), C.sizeof_tenon_string))
	for i, dst := range unsafe.Slice(p, len(all)) {
		_ = dst
		unsafe.Slice(p, len(all))[i] = c.one(all[i])
	}
	return p, C.size_t(len(all))
}

func (c *cStrings) free() {
	for _, p := range c.blocks {
		C.free(p)
	}
}

func dims(shape []int64) (*C.int64_t, C.size_t) {
	return (*C.int64_t)(unsafe.Pointer(unsafe.SliceData(shape))), C.size_t(len(shape))
}

func describe(t *C.go_tensor) tensorInfo {
	info := tensorInfo{
		ptr: unsafe.Pointer(t.tensor), data: t.info.data, dtype: DType(t.info.dtype), count: int64(t.info.count),
		shape: make([]int64, int(t.info.rank)), kind: Kind(t.info.kind), items: int(t.info.item_count),
	}
	copy(info.shape, unsafe.Slice((*int64)(unsafe.Pointer(t.info.dims)), int(t.info.rank)))
	return info
}

func described(t *C.go_tensor, r C.go_result) (tensorInfo, error) {
	if r.status != C.TENON_OK {
		return tensorInfo{}, toError(r)
	}
	return describe(t), nil
}

func nativeTensorNew(dtype DType, shape []int64) (tensorInfo, error) {
	var t C.go_tensor
	d, rank := dims(shape)
	return described(&t, C.go_tensor_new(C.tenon_dtype(dtype), d, rank, &t))
}

func nativeTensorCopy(dtype DType, shape []int64, data unsafe.Pointer, bytes uintptr) (tensorInfo, error) {
	var t C.go_tensor
	d, rank := dims(shape)
	return described(&t, C.go_tensor_copy(C.tenon_dtype(dtype), d, rank, (*C.char)(data), C.size_t(bytes), &t))
}

// pinned is a Go slice that C may look at until it calls tenonGoRelease.
type pinned struct {
	pinner runtime.Pinner
	data   unsafe.Pointer
}

func nativeTensorBorrow(dtype DType, shape []int64, data unsafe.Pointer, bytes uintptr) (tensorInfo, error) {
	p := &pinned{data: data}
	if bytes > 0 {
		p.pinner.Pin(data)
	}
	user := cgo.NewHandle(p)
	var t C.go_tensor
	d, rank := dims(shape)
	r := C.go_tensor_borrow(C.tenon_dtype(dtype), d, rank, (*C.char)(data), C.size_t(bytes), C.uintptr_t(user), &t)
	if r.status != C.TENON_OK {
		p.pinner.Unpin()
		user.Delete()
	}
	return described(&t, r)
}

func nativeTensorStrings(shape []int64, values []string) (tensorInfo, error) {
	var c cStrings
	defer c.free()
	list, n := c.list(values)
	return nativeTensorCopy(String, shape, unsafe.Pointer(list), uintptr(n)*C.sizeof_tenon_string)
}

func nativeTensorReshape(ptr unsafe.Pointer, shape []int64) (tensorInfo, error) {
	var t C.go_tensor
	d, rank := dims(shape)
	return described(&t, C.go_tensor_reshape((*C.tenon_tensor)(ptr), d, rank, &t))
}

func nativeTensorClone(ptr unsafe.Pointer) (tensorInfo, error) {
	var t C.go_tensor
	return described(&t, C.go_tensor_clone((*C.tenon_tensor)(ptr), &t))
}

func nativeSequenceNew(dtype DType, items []unsafe.Pointer) (tensorInfo, error) {
	var t C.go_tensor
	first := (**C.tenon_tensor)(unsafe.Pointer(unsafe.SliceData(items)))
	return described(&t, C.go_sequence_new(C.tenon_dtype(dtype), first, C.size_t(len(items)), &t))
}

func nativeSequenceItem(ptr unsafe.Pointer, i int) (tensorInfo, error) {
	var t C.go_tensor
	return described(&t, C.go_sequence_item((*C.tenon_tensor)(ptr), C.size_t(i), &t))
}

func nativeTensorFree(ptr unsafe.Pointer) { C.tenon_tensor_free((*C.tenon_tensor)(ptr)) }

func nativeStrings(data unsafe.Pointer, count int) []string {
	all := make([]string, count)
	for i, s := range unsafe.Slice((*C.tenon_string)(data), count) {
		all[i] = goString(s)
	}
	return all
}

// withOptions builds the native options in C memory and frees them afterwards.
func withOptions(c *config, cancel unsafe.Pointer, load func(*C.tenon_load_options) C.go_result) error {
	var keep cStrings
	defer keep.free()
	o := (*C.tenon_load_options)(keep.array(1, C.sizeof_tenon_load_options))
	o.size = C.sizeof_tenon_load_options
	for flag, on := range map[C.uint32_t]bool{
		C.TENON_LOAD_MAP_WEIGHTS: c.mapWeights, C.TENON_LOAD_NO_OPTIMIZE: c.noOptimize,
		C.TENON_LOAD_OVERRIDABLE: c.overridable, C.TENON_LOAD_NO_ONEDNN: c.noOneDNN,
		C.TENON_LOAD_STRICT: c.strict, C.TENON_LOAD_VERIFY_CHECKSUMS: c.verifyChecksums,
	} {
		if on {
			o.flags |= flag
		}
	}
	o.threads = C.int32_t(c.threads)
	o.memory_limit = C.uint64_t(c.memoryLimit)
	if c.deadline > 0 {
		o.deadline_ms = C.int64_t(max(1, c.deadline.Milliseconds()))
	}
	o.cancel = (*C.tenon_cancel)(cancel)
	o.base_directory, o.source = keep.one(c.baseDirectory), keep.one(c.source)
	o.cache_directory = keep.one(c.cacheDirectory)
	o.disabled_passes, o.disabled_pass_count = keep.list(c.disabledPasses)
	o.extra_outputs, o.extra_output_count = keep.list(c.extraOutputs)
	o.dims = (*C.tenon_dim_binding)(keep.array(len(c.dims), C.sizeof_tenon_dim_binding))
	o.dim_count = C.size_t(len(c.dims))
	for i, d := range c.dims {
		unsafe.Slice(o.dims, len(c.dims))[i] = C.tenon_dim_binding{name: keep.one(d.name), value: C.int64_t(d.value)}
	}
	o.max_plans = C.size_t(max(0, c.maxPlans))
	if c.progress != nil {
		user := cgo.NewHandle(c.progress)
		defer user.Delete()
		C.go_set_progress(o, C.uintptr_t(user))
	}
	return toError(load(o))
}

func nativeLoadPath(path string, c *config, cancel unsafe.Pointer) (unsafe.Pointer, error) {
	var m *C.tenon_model
	var keep cStrings
	defer keep.free()
	err := withOptions(c, cancel, func(o *C.tenon_load_options) (r C.go_result) {
		r.status = C.tenon_model_load(keep.one(path), o, &m, &r.error)
		return r
	})
	return unsafe.Pointer(m), err
}

func nativeLoadMemory(data []byte, c *config, cancel unsafe.Pointer) (unsafe.Pointer, error) {
	var m *C.tenon_model
	err := withOptions(c, cancel, func(o *C.tenon_load_options) C.go_result {
		return C.go_load_memory((*C.char)(unsafe.Pointer(unsafe.SliceData(data))), C.size_t(len(data)), o, &m)
	})
	return unsafe.Pointer(m), err
}

func nativeLoadStream(source *reader, c *config, cancel unsafe.Pointer) (unsafe.Pointer, error) {
	var m *C.tenon_model
	user := cgo.NewHandle(source)
	defer user.Delete()
	err := withOptions(c, cancel, func(o *C.tenon_load_options) C.go_result { return C.go_load_stream(C.uintptr_t(user), o, &m) })
	return unsafe.Pointer(m), err
}

func nativeModelFree(ptr unsafe.Pointer) { C.tenon_model_free((*C.tenon_model)(ptr)) }

func nativeValues(ptr unsafe.Pointer, outputs bool) []ValueInfo {
	m := (*C.tenon_model)(ptr)
	n := C.tenon_model_input_count(m)
	if outputs {
		n = C.tenon_model_output_count(m)
	}
	all := make([]ValueInfo, int(n))
	for i := range all {
		v := C.tenon_value_info{size: C.sizeof_tenon_value_info}
		if outputs {
			C.tenon_model_output(m, C.size_t(i), &v, nil)
		} else {
			C.tenon_model_input(m, C.size_t(i), &v, nil)
		}
		info := ValueInfo{
			Name: goString(v.name), DType: DType(v.dtype), Ranked: v.rank >= 0, Optional: v.flags&C.TENON_VALUE_OPTIONAL != 0,
			Sequence: v.flags&C.TENON_VALUE_SEQUENCE != 0, Nullable: v.flags&C.TENON_VALUE_NULLABLE != 0,
		}
		for d := range int(max(0, v.rank)) {
			info.Shape = append(info.Shape, int64(unsafe.Slice(v.dims, v.rank)[d]))
			info.Dims = append(info.Dims, goString(unsafe.Slice(v.dim_names, v.rank)[d]))
		}
		all[i] = info
	}
	return all
}

func nativeRun(model unsafe.Pointer, in []unsafe.Pointer, which []uintptr, cancel, profile unsafe.Pointer) ([]tensorInfo, error) {
	n := len(which)
	out, all := make([]*C.tenon_tensor, n), make([]C.go_tensor, n)
	r := C.go_run((*C.tenon_model)(model), (**C.tenon_tensor)(unsafe.Pointer(unsafe.SliceData(in))), C.size_t(len(in)),
		(*C.size_t)(unsafe.Pointer(unsafe.SliceData(which))), unsafe.SliceData(out), unsafe.SliceData(all), C.size_t(n),
		(*C.tenon_cancel)(cancel), (*C.tenon_profile)(profile))
	if r.status != C.TENON_OK {
		return nil, toError(r)
	}
	infos := make([]tensorInfo, n)
	for i := range all {
		infos[i] = describe(&all[i])
	}
	return infos, nil
}

func nativeMetadata(ptr unsafe.Pointer) map[string]string {
	m := (*C.tenon_model)(ptr)
	info := C.tenon_model_info{size: C.sizeof_tenon_model_info}
	C.tenon_model_get_info(m, &info, nil)
	all := make(map[string]string, int(info.metadata_count))
	for i := range info.metadata_count {
		var key, value C.tenon_string
		C.tenon_model_metadata(m, i, &key, &value, nil)
		all[goString(key)] = goString(value)
	}
	return all
}

func nativeInfo(ptr unsafe.Pointer) Info {
	info := C.tenon_model_info{size: C.sizeof_tenon_model_info}
	C.tenon_model_get_info((*C.tenon_model)(ptr), &info, nil)
	return Info{
		Name: goString(info.name), Producer: goString(info.producer), Source: goString(info.source), Nodes: int(info.node_count),
		Parameters: uint64(info.parameter_count), ParameterBytes: uint64(info.parameter_bytes),
		CacheFile: goString(info.cache_file), CacheBytes: uint64(info.cache_bytes), CacheNote: goString(info.cache_note),
	}
}

func nativeStats(ptr unsafe.Pointer) Stats {
	s := C.tenon_stats{size: C.sizeof_tenon_stats}
	C.tenon_model_get_stats((*C.tenon_model)(ptr), &s, nil)
	return Stats{
		WeightBytes: uint64(s.weight_bytes), RunBytes: uint64(s.run_bytes), PeakRunBytes: uint64(s.run_bytes_peak),
		Plans: uint64(s.plans), IdleSessions: uint64(s.sessions_idle), Runs: uint64(s.runs),
	}
}

func nativeNode(ptr unsafe.Pointer, i int) (Node, bool) {
	n := C.tenon_node_info{size: C.sizeof_tenon_node_info}
	if C.tenon_model_node((*C.tenon_model)(ptr), C.size_t(i), &n, nil) != C.TENON_OK {
		return Node{}, false
	}
	node := Node{
		Name: goString(n.name), Op: goString(n.op), Domain: goString(n.domain), Opset: int(n.opset), Kernel: goString(n.kernel),
		Refusals: goString(n.refusals), Shape: goString(n.shape), Depth: int(n.depth), Note: goString(n.note),
	}
	for _, s := range unsafe.Slice(n.inputs, n.input_count) {
		node.Inputs = append(node.Inputs, goString(s))
	}
	for _, s := range unsafe.Slice(n.outputs, n.output_count) {
		node.Outputs = append(node.Outputs, goString(s))
	}
	return node, true
}

func takeText(r C.go_result, text *C.tenon_string) (string, error) {
	if r.status != C.TENON_OK {
		return "", toError(r)
	}
	defer C.tenon_string_free(text)
	return goString(*text), nil
}

func nativeGraph(ptr unsafe.Pointer, dot bool) (string, error) {
	var text C.tenon_string
	var r C.go_result
	format := C.tenon_graph_format(C.TENON_GRAPH_TEXT)
	if dot {
		format = C.TENON_GRAPH_DOT
	}
	r.status = C.tenon_model_graph((*C.tenon_model)(ptr), format, &text, &r.error)
	return takeText(r, &text)
}

func nativeExplain(ptr unsafe.Pointer, sizes map[string]int64) error {
	var keep cStrings
	defer keep.free()
	var r C.go_result
	bindings := (*C.tenon_dim_binding)(keep.array(len(sizes), C.sizeof_tenon_dim_binding))
	i := 0
	for name, value := range sizes {
		unsafe.Slice(bindings, len(sizes))[i] = C.tenon_dim_binding{name: keep.one(name), value: C.int64_t(value)}
		i++
	}
	r.status = C.tenon_model_explain((*C.tenon_model)(ptr), bindings, C.size_t(len(sizes)), &r.error)
	return toError(r)
}

func nativeTrim(ptr unsafe.Pointer) { C.tenon_model_trim((*C.tenon_model)(ptr), nil) }

func nativeSessionNew(model unsafe.Pointer) (unsafe.Pointer, error) {
	var s *C.tenon_session
	var r C.go_result
	r.status = C.tenon_session_new((*C.tenon_model)(model), &s, &r.error)
	return unsafe.Pointer(s), toError(r)
}

func nativeBindInput(session unsafe.Pointer, i int, tensor unsafe.Pointer) error {
	var r C.go_result
	r.status = C.tenon_session_bind_input((*C.tenon_session)(session), C.size_t(i), (*C.tenon_tensor)(tensor), &r.error)
	return toError(r)
}

func nativeBindOutput(session unsafe.Pointer, i int, tensor unsafe.Pointer) error {
	var r C.go_result
	r.status = C.tenon_session_bind_output((*C.tenon_session)(session), C.size_t(i), (*C.tenon_tensor)(tensor), &r.error)
	return toError(r)
}

func nativeWantOutputs(session unsafe.Pointer, outputs []uintptr) error {
	var r C.go_result
	var indices *C.size_t
	if len(outputs) > 0 {
		indices = (*C.size_t)(unsafe.Pointer(&outputs[0]))
	}
	r.status = C.tenon_session_want_outputs((*C.tenon_session)(session), indices, C.size_t(len(outputs)), &r.error)
	return toError(r)
}

func nativeSessionRun(session, cancel, profile unsafe.Pointer) error {
	r := C.go_session_run((*C.tenon_session)(session), (*C.tenon_cancel)(cancel), (*C.tenon_profile)(profile))
	if r.status == C.TENON_OK {
		return nil
	}
	return toError(r)
}

func nativeSessionOutput(session unsafe.Pointer, i int) (tensorInfo, error) {
	var t C.go_tensor
	return described(&t, C.go_session_output((*C.tenon_session)(session), C.size_t(i), &t))
}

func nativeSessionFree(ptr unsafe.Pointer) { C.tenon_session_free((*C.tenon_session)(ptr)) }

func nativeCancelNew() (unsafe.Pointer, error) {
	var c *C.tenon_cancel
	var r C.go_result
	r.status = C.tenon_cancel_new(&c, &r.error)
	return unsafe.Pointer(c), toError(r)
}

func nativeCancelSet(ptr unsafe.Pointer)   { C.tenon_cancel_set((*C.tenon_cancel)(ptr)) }
func nativeCancelReset(ptr unsafe.Pointer) { C.tenon_cancel_reset((*C.tenon_cancel)(ptr)) }
func nativeCancelFree(ptr unsafe.Pointer)  { C.tenon_cancel_free((*C.tenon_cancel)(ptr)) }

func nativeProfileNew() (unsafe.Pointer, error) {
	var p *C.tenon_profile
	var r C.go_result
	r.status = C.tenon_profile_new(&p, &r.error)
	return unsafe.Pointer(p), toError(r)
}

func nativeProfileJSON(ptr unsafe.Pointer) (string, error) {
	var text C.tenon_string
	var r C.go_result
	r.status = C.tenon_profile_json((*C.tenon_profile)(ptr), &text, &r.error)
	return takeText(r, &text)
}

func nativeProfileFree(ptr unsafe.Pointer) { C.tenon_profile_free((*C.tenon_profile)(ptr)) }

func nativeVersion() string { return goString(C.tenon_version_string()) }

func nativeOperators() []Operator {
	all := make([]Operator, int(C.tenon_operator_count()))
	for i := range all {
		o := C.tenon_operator_info{size: C.sizeof_tenon_operator_info}
		C.tenon_get_operator(C.size_t(i), &o, nil)
		all[i] = Operator{Domain: goString(o.domain), Name: goString(o.name), MinOpset: int(o.opset_min), MaxOpset: int(o.opset_max)}
	}
	return all
}
