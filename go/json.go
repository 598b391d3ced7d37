package tenon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

const maxRank = 16

// DecodeJSON reads inputs from an object of nested arrays, such as {"image": [[[[0.1, 0.2]]]]}, as the element types of the model's inputs.
// For a sequence it expects an array of these; null leaves an optional input out.
// Errors are ErrArgument and name the input. The tensors are the caller's to close.
func (m *Model) DecodeJSON(r io.Reader) (tensors map[string]*Tensor, err error) {
	var object map[string]json.RawMessage
	decoder := json.NewDecoder(r)
	if err := decoder.Decode(&object); err != nil {
		return nil, withCause(argumentError("inputs are not a JSON object"), err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, argumentError("there is something after the JSON object of inputs")
	}
	tensors = make(map[string]*Tensor, len(object))
	defer func() {
		if err != nil {
			CloseAll(tensors)
			tensors = nil
		}
	}()
	for name, raw := range object {
		i, ok := m.in[name]
		if !ok {
			return nil, argumentError("no input %q; the model has %s", name, names(m.inputs))
		}
		info := m.inputs[i]
		if info.Optional && string(raw) == "null" {
			continue
		}
		parse := ParseJSON
		if info.Sequence {
			parse = parseSequence
		}
		t, err := parse(info.DType, raw)
		if err != nil {
			return nil, withCause(argumentError("input '%s'", name), err)
		}
		tensors[name] = t
	}
	return tensors, nil
}

// RunJSON is DecodeJSON and Run: the whole of a prediction request. The outputs marshal to JSON, and are the caller's to close.
func (m *Model) RunJSON(ctx context.Context, r io.Reader, outputs ...string) (map[string]*Tensor, error) {
	inputs, err := m.DecodeJSON(r)
	if err != nil {
		return nil, err
	}
	defer CloseAll(inputs)
	return m.Run(ctx, inputs, outputs...)
}

// CloseAll closes every tensor of a map of inputs or outputs.
func CloseAll(tensors map[string]*Tensor) {
	for _, t := range tensors {
		t.Close()
	}
}

// ParseJSON makes a tensor of nested arrays of equal length.
func ParseJSON(dtype DType, raw []byte) (*Tensor, error) {
	decoder := json.NewDecoder(&bytesReader{raw})
	decoder.UseNumber()
	switch dtype {
	case Float32:
		return decode(decoder, func(t json.Token) (float32, error) { f, err := number(t, 32); return float32(f), err })
	case Float64:
		return decode(decoder, func(t json.Token) (float64, error) { return number(t, 64) })
	case Float16Type:
		return decode(decoder, func(t json.Token) (Float16, error) { f, err := number(t, 32); return ToFloat16(float32(f)), err })
	case BFloat16Type:
		return decode(decoder, func(t json.Token) (BFloat16, error) { f, err := number(t, 32); return ToBFloat16(float32(f)), err })
	case Int8:
		return decode(decoder, signed[int8](8))
	case Int16:
		return decode(decoder, signed[int16](16))
	case Int32:
		return decode(decoder, signed[int32](32))
	case Int64:
		return decode(decoder, signed[int64](64))
	case Uint8:
		return decode(decoder, unsigned[uint8](8))
	case Uint16:
		return decode(decoder, unsigned[uint16](16))
	case Uint32:
		return decode(decoder, unsigned[uint32](32))
	case Uint64:
		return decode(decoder, unsigned[uint64](64))
	case Bool:
		return decode(decoder, func(t json.Token) (bool, error) {
			b, ok := t.(bool)
			return b, unless(ok, "expected true or false, got %v", t)
		})
	case String:
		values, shape, err := collect(decoder, func(t json.Token) (string, error) {
			s, ok := t.(string)
			return s, unless(ok, "expected a string, got %v", t)
		})
		if err != nil {
			return nil, err
		}
		return FromStrings(values, shape...)
	}
	return nil, argumentError("%v cannot be read from JSON", dtype)
}

func parseSequence(dtype DType, raw []byte) (*Tensor, error) {
	var all []json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil || all == nil {
		return nil, withCause(argumentError("expected an array of the sequence's items"), err)
	}
	items := make([]*Tensor, 0, len(all))
	defer func() { closeItems(items) }()
	for i, one := range all {
		t, err := ParseJSON(dtype, one)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
		items = append(items, t)
	}
	return NewSequence(dtype, items...)
}

func decode[T Element](decoder *json.Decoder, element func(json.Token) (T, error)) (*Tensor, error) {
	values, shape, err := collect(decoder, element)
	if err != nil {
		return nil, err
	}
	return FromSlice(values, shape...)
}

// collect walks nested arrays. The lengths of the first row along each axis are the shape; every other row must agree.
func collect[T any](decoder *json.Decoder, element func(json.Token) (T, error)) (values []T, shape []int64, err error) {
	shape = []int64{}
	var lengths []int64 // of the arrays that are open
	var known []bool    // whether an axis has had a complete row
	rank := -1          // depth of elements, once one was met
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, nil, err
		}
		switch token {
		case json.Delim('['):
			if len(lengths) > 0 {
				lengths[len(lengths)-1]++
			}
			if len(lengths) == maxRank || rank >= 0 && len(lengths) >= rank {
				return nil, nil, fmt.Errorf("arrays nest to different depths, or deeper than %d", maxRank)
			}
			lengths = append(lengths, 0)
			if len(lengths) > len(shape) {
				shape, known = append(shape, 0), append(known, false)
			}
			continue
		case json.Delim(']'):
			axis := len(lengths) - 1
			if known[axis] && shape[axis] != lengths[axis] {
				return nil, nil, fmt.Errorf("an array of %d elements where others have %d", lengths[axis], shape[axis])
			}
			shape[axis], known[axis] = lengths[axis], true
			lengths = lengths[:axis]
		default:
			if rank >= 0 && len(lengths) != rank || rank < 0 && len(lengths) < len(shape) {
				return nil, nil, errors.New("arrays nest to different depths")
			}
			rank = len(lengths)
			if rank > 0 {
				lengths[rank-1]++
			}
			value, err := element(token)
			if err != nil {
				return nil, nil, err
			}
			values = append(values, value)
		}
		if len(lengths) == 0 {
			break
		}
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, nil, errors.New("there is something after the value")
	}
	return values, shape, nil
}

func unless(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func number(token json.Token, bits int) (float64, error) {
	n, ok := token.(json.Number)
	if !ok {
		return 0, fmt.Errorf("expected a number, got %v", token)
	}
	return strconv.ParseFloat(string(n), bits)
}

func signed[T int8 | int16 | int32 | int64](bits int) func(json.Token) (T, error) {
	return func(token json.Token) (T, error) {
		n, ok := token.(json.Number)
		if !ok {
			return 0, fmt.Errorf("expected a whole number, got %v", token)
		}
		i, err := strconv.ParseInt(string(n), 10, bits)
		return T(i), err
	}
}

func unsigned[T uint8 | uint16 | uint32 | uint64](bits int) func(json.Token) (T, error) {
	return func(token json.Token) (T, error) {
		n, ok := token.(json.Number)
		if !ok {
			return 0, fmt.Errorf("expected a whole number, got %v", token)
		}
		i, err := strconv.ParseUint(string(n), 10, bits)
		return T(i), err
	}
}

type bytesReader struct{ rest []byte }

func (r *bytesReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// MarshalJSON writes nested arrays, for a sequence an array of them. Numbers that JSON has no word for (NaN, infinities) become null, and so
// does none.
func (t *Tensor) MarshalJSON() ([]byte, error) {
	if t == nil || !t.h.acquire() {
		return nil, ErrClosed
	}
	defer t.h.release()
	switch t.kind {
	case KindSequence:
		items, err := t.Items()
		if err != nil {
			return nil, err
		}
		defer closeItems(items)
		return json.Marshal(items)
	case KindNone:
		return []byte("null"), nil
	}
	switch t.dtype {
	case Float32:
		return encode(t, func(b []byte, v float32) []byte { return appendFloat(b, float64(v), 32) })
	case Float64:
		return encode(t, func(b []byte, v float64) []byte { return appendFloat(b, v, 64) })
	case Float16Type:
		return encode(t, func(b []byte, v Float16) []byte { return appendFloat(b, float64(v.Float32()), 32) })
	case BFloat16Type:
		return encode(t, func(b []byte, v BFloat16) []byte { return appendFloat(b, float64(v.Float32()), 32) })
	case Int8:
		return encode(t, appendInt[int8])
	case Int16:
		return encode(t, appendInt[int16])
	case Int32:
		return encode(t, appendInt[int32])
	case Int64:
		return encode(t, appendInt[int64])
	case Uint8:
		return encode(t, appendUint[uint8])
	case Uint16:
		return encode(t, appendUint[uint16])
	case Uint32:
		return encode(t, appendUint[uint32])
	case Uint64:
		return encode(t, appendUint[uint64])
	case Bool:
		return encode(t, strconv.AppendBool)
	case String:
		values, err := t.Strings()
		if err != nil {
			return nil, err
		}
		return nest(t.shape, values, func(b []byte, s string) []byte {
			quoted, _ := json.Marshal(s)
			return append(b, quoted...)
		}), nil
	}
	return nil, argumentError("%v cannot be written as JSON", t.dtype)
}

func appendFloat(b []byte, v float64, bits int) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, bits)
}

func appendInt[T int8 | int16 | int32 | int64](b []byte, v T) []byte {
	return strconv.AppendInt(b, int64(v), 10)
}

func appendUint[T uint8 | uint16 | uint32 | uint64](b []byte, v T) []byte {
	return strconv.AppendUint(b, uint64(v), 10)
}

func encode[T Element](t *Tensor, element func([]byte, T) []byte) ([]byte, error) {
	values, err := Data[T](t)
	if err != nil {
		return nil, err
	}
	return nest(t.shape, values, element), nil
}

// nest writes values in row-major order with the brackets of shape.
func nest[T any](shape []int64, values []T, element func([]byte, T) []byte) []byte {
	if len(shape) == 0 {
		return element(nil, values[0])
	}
	if slices.Contains(shape, 0) {
		return nestEmpty(nil, shape)
	}
	b := make([]byte, 0, 8*len(values)+2)
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		for axis, block := len(shape)-1, int64(1); axis >= 0; axis-- {
			if block *= shape[axis]; int64(i)%block == 0 {
				b = append(b, '[')
			}
		}
		b = element(b, v)
		for axis, block := len(shape)-1, int64(1); axis >= 0; axis-- {
			if block *= shape[axis]; int64(i+1)%block == 0 {
				b = append(b, ']')
			}
		}
	}
	return b
}

// nestEmpty writes the arrays that are there when some axis has no elements.
func nestEmpty(b []byte, shape []int64) []byte {
	b = append(b, '[')
	for i := range shape[0] {
		if i > 0 {
			b = append(b, ',')
		}
		b = nestEmpty(b, shape[1:])
	}
	return append(b, ']')
}
