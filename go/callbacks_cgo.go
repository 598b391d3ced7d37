//go:build cgo

package tenon

// What C calls. The file exports functions, so its preamble may only declare.

// #include "tenon/tenon.h"
import "C"

import (
	"fmt"
	"runtime/cgo"
	"unsafe"
)

// tenonGoRelease unpins the slice of a View; on whichever thread drops the last reference.
//
//export tenonGoRelease
func tenonGoRelease(user unsafe.Pointer) {
	h := cgo.Handle(uintptr(user))
	h.Value().(*pinned).pinner.Unpin()
	h.Delete()
}

//export tenonGoRead
func tenonGoRead(user, buffer unsafe.Pointer, capacity C.size_t) (n C.int64_t) {
	source := cgo.Handle(uintptr(user)).Value().(*reader)
	defer func() {
		if p := recover(); p != nil {
			source.err = fmt.Errorf("reader panicked: %v", p)
			n = -1
		}
	}()
	return C.int64_t(source.read(unsafe.Slice((*byte)(buffer), int(capacity))))
}

//export tenonGoProgress
func tenonGoProgress(user unsafe.Pointer, stage C.tenon_string, done, total C.uint64_t) (stop C.int32_t) {
	defer func() {
		if recover() != nil {
			stop = 1
		}
	}()
	cgo.Handle(uintptr(user)).Value().(func(string, uint64, uint64))(C.GoStringN(stage.data, C.int(stage.size)), uint64(done), uint64(total))
	return 0
}
