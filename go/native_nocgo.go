//go:build !cgo

package tenon

import "unsafe"

// Without cgo everything compiles and says so.

func nativeTensorNew(DType, []int64) (tensorInfo, error) { return tensorInfo{}, ErrNoCgo }
func nativeTensorCopy(DType, []int64, unsafe.Pointer, uintptr) (tensorInfo, error) {
	return tensorInfo{}, ErrNoCgo
}
func nativeTensorBorrow(DType, []int64, unsafe.Pointer, uintptr) (tensorInfo, error) {
	return tensorInfo{}, ErrNoCgo
}
func nativeTensorStrings([]int64, []string) (tensorInfo, error)              { return tensorInfo{}, ErrNoCgo }
func nativeTensorReshape(unsafe.Pointer, []int64) (tensorInfo, error)        { return tensorInfo{}, ErrNoCgo }
func nativeTensorClone(unsafe.Pointer) (tensorInfo, error)                   { return tensorInfo{}, ErrNoCgo }
func nativeSequenceNew(DType, []unsafe.Pointer) (tensorInfo, error)          { return tensorInfo{}, ErrNoCgo }
func nativeSequenceItem(unsafe.Pointer, int) (tensorInfo, error)             { return tensorInfo{}, ErrNoCgo }
func nativeTensorFree(unsafe.Pointer)                                        {}
func nativeStrings(unsafe.Pointer, int) []string                             { return nil }
func nativeLoadPath(string, *config, unsafe.Pointer) (unsafe.Pointer, error) { return nil, ErrNoCgo }
func nativeLoadMemory([]byte, *config, unsafe.Pointer) (unsafe.Pointer, error) {
	return nil, ErrNoCgo
}
func nativeLoadStream(*reader, *config, unsafe.Pointer) (unsafe.Pointer, error) {
	return nil, ErrNoCgo
}
func nativeModelFree(unsafe.Pointer)                       {}
func nativeValues(unsafe.Pointer, bool) []ValueInfo        { return nil }
func nativeMetadata(unsafe.Pointer) map[string]string      { return nil }
func nativeInfo(unsafe.Pointer) Info                       { return Info{} }
func nativeStats(unsafe.Pointer) Stats                     { return Stats{} }
func nativeNode(unsafe.Pointer, int) (Node, bool)          { return Node{}, false }
func nativeGraph(unsafe.Pointer, bool) (string, error)     { return "", ErrNoCgo }
func nativeExplain(unsafe.Pointer, map[string]int64) error { return ErrNoCgo }
func nativeTrim(unsafe.Pointer)                            {}
func nativeRun(unsafe.Pointer, []unsafe.Pointer, []uintptr, unsafe.Pointer, unsafe.Pointer) ([]tensorInfo, error) {
	return nil, ErrNoCgo
}
func nativeSessionNew(unsafe.Pointer) (unsafe.Pointer, error)        { return nil, ErrNoCgo }
func nativeBindInput(unsafe.Pointer, int, unsafe.Pointer) error      { return ErrNoCgo }
func nativeBindOutput(unsafe.Pointer, int, unsafe.Pointer) error     { return ErrNoCgo }
func nativeWantOutputs(unsafe.Pointer, []uintptr) error              { return ErrNoCgo }
func nativeSessionRun(session, cancel, profile unsafe.Pointer) error { return ErrNoCgo }
func nativeSessionOutput(unsafe.Pointer, int) (tensorInfo, error)    { return tensorInfo{}, ErrNoCgo }
func nativeSessionFree(unsafe.Pointer)                               {}
func nativeCancelNew() (unsafe.Pointer, error)                       { return nil, ErrNoCgo }
func nativeCancelSet(unsafe.Pointer)                                 {}
func nativeCancelReset(unsafe.Pointer)                               {}
func nativeCancelFree(unsafe.Pointer)                                {}
func nativeProfileNew() (unsafe.Pointer, error)                      { return nil, ErrNoCgo }
func nativeProfileJSON(unsafe.Pointer) (string, error)               { return "", ErrNoCgo }
func nativeProfileFree(unsafe.Pointer)                               {}
func nativeVersion() string                                          { return "" }
func nativeOperators() []Operator                                    { return nil }
