//go:build !cgo

package tenon

import (
	"errors"
	"testing"
)

func TestWithoutCgoEverythingSaysSo(t *testing.T) {
	if _, err := Open("model.onnx"); !errors.Is(err, ErrNoCgo) {
		t.Error(err)
	}
	if _, err := FromSlice([]float32{1}); !errors.Is(err, ErrNoCgo) {
		t.Error(err)
	}
	if Version() != "" || Operators() != nil {
		t.Error(Version())
	}
}
