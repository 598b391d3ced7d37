package tenon

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// handle owns a native object. It is freed when it was closed and the last call that uses it has returned, so closing beside a running call is safe.
type handle struct {
	ptr    unsafe.Pointer
	free   func(unsafe.Pointer)
	uses   atomic.Int64 // calls under way, plus one until closed
	closed atomic.Bool
}

// live counts native objects that are not freed yet.
var live atomic.Int64

func newHandle(ptr unsafe.Pointer, free func(unsafe.Pointer)) *handle {
	h := &handle{ptr: ptr, free: free}
	h.uses.Store(1)
	live.Add(1)
	return h
}

// acquire says whether the object may be used until release.
func (h *handle) acquire() bool {
	if h == nil {
		return false
	}
	for {
		n := h.uses.Load()
		if n == 0 || h.closed.Load() {
			return false
		}
		if h.uses.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (h *handle) release() {
	if h.uses.Add(-1) == 0 {
		h.free(h.ptr)
		live.Add(-1)
	}
}

func (h *handle) close() {
	if h != nil && !h.closed.Swap(true) {
		h.release()
	}
}

// owned ties a handle to the Go value that stands for it: the collector's net for what is never closed.
func owned[T any](value *T, h *handle) {
	runtime.AddCleanup(value, func(h *handle) { h.close() }, h)
}
