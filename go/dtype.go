package tenon

import "math"

// DType is the element type of a tensor; the values are ONNX's.
type DType int32

const (
	Undefined      DType = 0
	Float32        DType = 1
	Uint8          DType = 2
	Int8           DType = 3
	Uint16         DType = 4
	Int16          DType = 5
	Int32          DType = 6
	Int64          DType = 7
	String         DType = 8
	Bool           DType = 9
	Float16Type    DType = 10
	Float64        DType = 11
	Uint32         DType = 12
	Uint64         DType = 13
	Complex64      DType = 14
	Complex128     DType = 15
	BFloat16Type   DType = 16
	Float8E4M3FN   DType = 17
	Float8E4M3FNUZ DType = 18
	Float8E5M2     DType = 19
	Float8E5M2FNUZ DType = 20
	Uint4          DType = 21
	Int4           DType = 22
	Float4E2M1     DType = 23
	Float8E8M0     DType = 24
	Uint2          DType = 25
	Int2           DType = 26
)

var dtypes = [...]struct {
	name string
	size int
}{
	{"undefined", 0}, {"float32", 4}, {"uint8", 1}, {"int8", 1}, {"uint16", 2}, {"int16", 2}, {"int32", 4}, {"int64", 8},
	{"string", 16}, {"bool", 1}, {"float16", 2}, {"float64", 8}, {"uint32", 4}, {"uint64", 8}, {"complex64", 8},
	{"complex128", 16}, {"bfloat16", 2}, {"float8_e4m3fn", 1}, {"float8_e4m3fnuz", 1}, {"float8_e5m2", 1},
	{"float8_e5m2fnuz", 1}, {"uint4", 1}, {"int4", 1}, {"float4_e2m1fn", 1}, {"float8_e8m0fnu", 1}, {"uint2", 1}, {"int2", 1},
}

// String is the name that numpy and ml_dtypes use: "float32", "bfloat16".
func (d DType) String() string {
	if d < 0 || int(d) >= len(dtypes) {
		return "undefined"
	}
	return dtypes[d].name
}

// Size is the number of bytes of one element in memory. Two- and four-bit types take a byte each.
func (d DType) Size() int {
	if d < 0 || int(d) >= len(dtypes) {
		return 0
	}
	return dtypes[d].size
}

// Element is a Go type that tensors are viewed as.
type Element interface {
	bool | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64 | Float16 | BFloat16
}

func dtypeOf[T Element]() DType {
	var zero T
	switch any(zero).(type) {
	case bool:
		return Bool
	case int8:
		return Int8
	case int16:
		return Int16
	case int32:
		return Int32
	case int64:
		return Int64
	case uint8:
		return Uint8
	case uint16:
		return Uint16
	case uint32:
		return Uint32
	case uint64:
		return Uint64
	case float32:
		return Float32
	case float64:
		return Float64
	case Float16:
		return Float16Type
	case BFloat16:
		return BFloat16Type
	}
	return Undefined
}

// Float16 is the bits of an IEEE half-precision number.
type Float16 uint16

// Float32 is the same number.
func (h Float16) Float32() float32 {
	sign, exponent, fraction := uint32(h)&0x8000<<16, uint32(h)>>10&31, uint32(h)&0x3ff
	switch exponent {
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	case 0:
		tiny := float32(fraction) * (1.0 / (1 << 24)) // subnormal: exact in float32
		return math.Float32frombits(sign | math.Float32bits(tiny))
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}

// ToFloat16 rounds to nearest, ties to even; too large numbers become infinities.
func ToFloat16(f float32) Float16 {
	bits := math.Float32bits(f)
	sign, magnitude := Float16(bits>>16&0x8000), bits&0x7fffffff
	switch {
	case magnitude > 0x7f800000: // NaN: kept quiet
		return sign | 0x7e00 | Float16(magnitude>>13&0x3ff)
	case magnitude >= 0x47800000: // 65536 and above
		return sign | 0x7c00
	case magnitude < 0x38800000: // subnormal half: count steps of 2^-24
		steps := math.RoundToEven(float64(math.Float32frombits(magnitude)) * (1 << 24))
		return sign | Float16(steps)
	}
	rounded := magnitude + 0xfff + magnitude>>13&1
	return sign | Float16((rounded-0x38000000)>>13)
}

// BFloat16 is the upper half of a float32's bits.
type BFloat16 uint16

// Float32 is the same number.
func (b BFloat16) Float32() float32 { return math.Float32frombits(uint32(b) << 16) }

// ToBFloat16 rounds to nearest, ties to even.
func ToBFloat16(f float32) BFloat16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return BFloat16(bits>>16 | 0x40)
	}
	return BFloat16((bits + 0x7fff + bits>>16&1) >> 16)
}
