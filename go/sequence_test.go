//go:build cgo

package tenon

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func vectors(t testing.TB, items ...[]float32) *Tensor {
	t.Helper()
	all := make([]*Tensor, len(items))
	for i, item := range items {
		all[i] = must(FromSlice(item))(t)
	}
	s := must(NewSequence(Float32, all...))(t)
	for _, item := range all {
		item.Close() // the sequence keeps them
	}
	return s
}

func expectVectors(t testing.TB, s *Tensor, want ...[]float32) {
	t.Helper()
	items := must(s.Items())(t)
	defer closeItems(items)
	if len(items) != len(want) {
		t.Fatalf("%d items, expected %d", len(items), len(want))
	}
	for i, item := range items {
		if got := must(Slice[float32](item))(t); !slices.Equal(got, want[i]) {
			t.Errorf("item %d is %v, expected %v", i, got, want[i])
		}
	}
}

func TestSequencesAndOptionals(t *testing.T) {
	alive := live.Load()
	m := must(Open(data + "/sequence.onnx"))(t)
	in := m.Inputs()
	if !in[1].Sequence || in[1].Nullable || in[1].Optional || in[3].Sequence || !in[3].Nullable || !in[3].Optional || in[0].Sequence {
		t.Errorf("%+v", in)
	}
	yes, a, b := must(Scalar(true))(t), vectors(t, []float32{1, 2}, []float32{3}), vectors(t)
	if a.Kind() != KindSequence || a.DType() != Float32 || a.String() != "sequence of 2 float32" || yes.Kind() != KindTensor {
		t.Error(a)
	}
	pair := must(FromSlice([]float32{4, 5}))(t)
	for _, maybe := range []*Tensor{nil, pair} {
		out := must(m.Run(background, map[string]*Tensor{"cond": yes, "a": a, "b": b, "maybe": maybe}))(t)
		expectVectors(t, out["chosen"], []float32{1, 2}, []float32{3})
		switch {
		case maybe == nil && out["same"].Kind() != KindNone:
			t.Error(out["same"])
		case maybe != nil && !slices.Equal(must(Slice[float32](out["same"]))(t), []float32{4, 5}):
			t.Error(out["same"])
		}
		CloseAll(out)
	}

	// What needs a tensor refuses anything else.
	for _, f := range []func() error{
		func() error { _, err := Data[float32](a); return err },
		func() error { _, err := Slice[float32](a); return err },
		func() error { _, err := a.Strings(); return err },
		func() error { _, err := a.Reshape(0); return err },
		func() error { _, err := NewSequence(Float32, a); return err },
		func() error { _, err := NewSequence(Int64, pair); return err },
		func() error { _, err := NewSequence(Float32, nil); return err },
		func() error { _, err := pair.Items(); return err },
		func() error {
			_, err := m.Run(background, map[string]*Tensor{"cond": yes, "a": nil, "b": b})
			return err
		},
	} {
		if err := f(); !errors.Is(err, ErrArgument) {
			t.Error(err)
		}
	}
	if a.Bytes() != nil {
		t.Error("bytes of a sequence")
	}
	_, err := m.Run(background, map[string]*Tensor{"cond": yes, "a": pair, "b": b})
	if !errors.Is(err, ErrShape) || !strings.Contains(err.Error(), "expected sequence(float32[n])") {
		t.Error(err)
	}
	for _, tensor := range []*Tensor{yes, a, b, pair} {
		tensor.Close()
	}
	if _, err := a.Items(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	m.Close()
	if live.Load() != alive {
		t.Errorf("%d objects left", live.Load()-alive)
	}
}

func TestSequencesInJSON(t *testing.T) {
	m := open(t, "sequence.onnx")
	for in, want := range map[string]string{
		`{"cond": true, "a": [[1, 2], [3]], "b": []}`:           `{"chosen":[[1,2],[3]],"same":null}`,
		`{"cond": false, "a": [[1]], "b": [], "maybe": [4, 5]}`: `{"chosen":[],"same":[4,5]}`,
		`{"cond": false, "a": [], "b": [[]], "maybe": null}`:    `{"chosen":[[]],"same":null}`,
		`{"cond": true, "a": [[1, [2]]], "b": []}`:              "item 0",
		`{"cond": true, "a": 7, "b": []}`:                       "input 'a'",
		`{"cond": true, "a": null, "b": []}`:                    "input 'a'",
	} {
		out, err := m.RunJSON(background, strings.NewReader(in))
		if err != nil {
			if !errors.Is(err, ErrArgument) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", in, err)
			}
			continue
		}
		if text := string(must(json.Marshal(out))(t)); text != want {
			t.Errorf("%s gave %s", in, text)
		}
		CloseAll(out)
	}
}
