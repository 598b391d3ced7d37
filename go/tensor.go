package tenon

import (
	"fmt"
	"slices"
	"unsafe"
)

// Kind is what a Tensor holds.
type Kind int32

const (
	KindTensor   Kind = iota
	KindSequence      // any number of tensors of one element type, each of its own shape
	KindNone          // nothing: the empty value of an ONNX optional
)

// Tensor is an n-dimensional array in native memory, or a view of a Go slice. Reading it from several goroutines is safe.
// It may also hold a sequence of tensors, or nothing: see Kind. Functions that read elements then fail.
type Tensor struct {
	h     *handle
	kind  Kind
	dtype DType
	shape []int64
	data  unsafe.Pointer
	count int
	items int
}

// tensorInfo is what the native side tells about a tensor.
type tensorInfo struct {
	ptr, data unsafe.Pointer
	dtype     DType
	shape     []int64
	count     int64
	kind      Kind
	items     int
}

func newTensor(info tensorInfo) *Tensor {
	t := &Tensor{
		h: newHandle(info.ptr, nativeTensorFree), kind: info.kind, dtype: info.dtype, shape: info.shape, data: info.data, count: int(info.count),
		items: info.items,
	}
	owned(t, t.h)
	return t
}

func made(info tensorInfo, err error) (*Tensor, error) {
	if err != nil {
		return nil, err
	}
	return newTensor(info), nil
}

// NewTensor is a tensor of zeros (or empty strings).
func NewTensor(dtype DType, shape ...int64) (*Tensor, error) {
	return made(nativeTensorNew(dtype, shape))
}

// FromSlice copies data into native memory. Without a shape it is a vector.
func FromSlice[T Element](data []T, shape ...int64) (*Tensor, error) {
	if shape == nil {
		shape = []int64{int64(len(data))}
	}
	return made(nativeTensorCopy(dtypeOf[T](), shape, unsafe.Pointer(unsafe.SliceData(data)), bytesOf(data)))
}

// Scalar is a tensor of rank 0.
func Scalar[T Element](value T) (*Tensor, error) { return FromSlice([]T{value}, []int64{}...) }

// View is a tensor over the memory of data, without a copy. The slice stays pinned until the tensor, and all sessions it is bound to, are closed;
// it must not be changed while a run reads it.
func View[T Element](data []T, shape ...int64) (*Tensor, error) {
	if shape == nil {
		shape = []int64{int64(len(data))}
	}
	return made(nativeTensorBorrow(dtypeOf[T](), shape, unsafe.Pointer(unsafe.SliceData(data)), bytesOf(data)))
}

// FromStrings is a tensor of strings.
func FromStrings(data []string, shape ...int64) (*Tensor, error) {
	if shape == nil {
		shape = []int64{int64(len(data))}
	}
	return made(nativeTensorStrings(shape, data))
}

// FromBytes copies the elements of a tensor of any type but String as they lie in memory.
func FromBytes(dtype DType, raw []byte, shape ...int64) (*Tensor, error) {
	if dtype == String {
		return nil, argumentError("FromBytes: strings need FromStrings")
	}
	return made(nativeTensorCopy(dtype, shape, unsafe.Pointer(unsafe.SliceData(raw)), uintptr(len(raw))))
}

// NewSequence is a sequence of tensors of one type. It shares their memory; the items may be closed at once.
func NewSequence(dtype DType, items ...*Tensor) (*Tensor, error) {
	handles := make([]unsafe.Pointer, len(items))
	for i, t := range items {
		if t == nil || !t.h.acquire() {
			return nil, argumentError("NewSequence: item %d is nil or closed", i)
		}
		defer t.h.release()
		handles[i] = t.h.ptr
	}
	return made(nativeSequenceNew(dtype, handles))
}

// Kind is what t holds.
func (t *Tensor) Kind() Kind { return t.kind }

// Items are the tensors of a sequence, to be closed by the caller; they share its memory.
func (t *Tensor) Items() (items []*Tensor, err error) {
	if t == nil || !t.h.acquire() {
		return nil, ErrClosed
	}
	defer t.h.release()
	if t.kind != KindSequence {
		return nil, argumentError("Items of %v, which is no sequence", t)
	}
	items = make([]*Tensor, 0, t.items)
	for i := range t.items {
		item, err := made(nativeSequenceItem(t.h.ptr, i))
		if err != nil {
			closeItems(items)
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func closeItems(items []*Tensor) {
	for _, t := range items {
		t.Close()
	}
}

// Data is the elements in place: valid until t is closed. It fails when they are not of type T. Keep t reachable while the slice is used:
// the memory goes with it.
func Data[T Element](t *Tensor) ([]T, error) {
	if err := t.check(dtypeOf[T]()); err != nil {
		return nil, err
	}
	if t.count == 0 {
		return []T{}, nil
	}
	return unsafe.Slice((*T)(t.data), t.count), nil
}

// CopyTo copies as many elements as dst has room for, and says how many.
func CopyTo[T Element](t *Tensor, dst []T) (int, error) {
	if t == nil || !t.h.acquire() {
		return 0, ErrClosed
	}
	defer t.h.release()
	src, err := Data[T](t)
	return copy(dst, src), err
}

// Slice is a copy of the elements.
func Slice[T Element](t *Tensor) ([]T, error) {
	if t == nil {
		return nil, ErrClosed
	}
	dst := make([]T, t.count)
	_, err := CopyTo(t, dst)
	return dst, err
}

// Strings is a copy of the elements of a tensor of strings.
func (t *Tensor) Strings() ([]string, error) {
	if t == nil || !t.h.acquire() {
		return nil, ErrClosed
	}
	defer t.h.release()
	if err := t.check(String); err != nil {
		return nil, err
	}
	return nativeStrings(t.data, t.count), nil
}

// Bytes is a copy of the elements as they lie in memory; nil for strings, and for what is no tensor.
func (t *Tensor) Bytes() []byte {
	if t == nil || t.kind != KindTensor || t.dtype == String || !t.h.acquire() {
		return nil
	}
	defer t.h.release()
	if t.count == 0 {
		return []byte{}
	}
	return slices.Clone(unsafe.Slice((*byte)(t.data), t.count*t.dtype.Size()))
}

// Reshape is a view of the same memory under another shape of equal length.
func (t *Tensor) Reshape(shape ...int64) (*Tensor, error) {
	if t == nil || !t.h.acquire() {
		return nil, ErrClosed
	}
	defer t.h.release()
	return made(nativeTensorReshape(t.h.ptr, shape))
}

// Shape is the length along each axis.
func (t *Tensor) Shape() []int64 { return slices.Clone(t.shape) }

// DType is the element type; of a sequence, that of its items.
func (t *Tensor) DType() DType { return t.dtype }

// Len is the number of elements.
func (t *Tensor) Len() int { return t.count }

func (t *Tensor) String() string {
	if t == nil {
		return "tensor(nil)"
	}
	switch t.kind {
	case KindSequence:
		return fmt.Sprintf("sequence of %d %v", t.items, t.dtype)
	case KindNone:
		return "none"
	}
	return fmt.Sprintf("%v%v", t.dtype, t.shape)
}

// Close gives the memory back, once every call that uses it has returned.
func (t *Tensor) Close() error {
	if t != nil {
		t.h.close()
	}
	return nil
}

func (t *Tensor) check(want DType) error {
	if t == nil || t.h.closed.Load() {
		return ErrClosed
	}
	if t.kind != KindTensor {
		return argumentError("%v read as a tensor", t)
	}
	if t.dtype != want {
		return argumentError("tensor of %v read as %v", t.dtype, want)
	}
	return nil
}

func bytesOf[T Element](data []T) uintptr {
	var zero T
	return uintptr(len(data)) * unsafe.Sizeof(zero)
}
