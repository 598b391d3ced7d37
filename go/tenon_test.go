//go:build cgo

package tenon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

const data = "../tests/data"

var background = context.Background()

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func open(t testing.TB, name string, options ...Option) *Model {
	t.Helper()
	m := must(Open(filepath.Join(data, name), options...))(t)
	t.Cleanup(func() { m.Close() })
	return m
}

func numbers(n, seed int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32((i*7+seed*3)%11) - 5
	}
	return x
}

// mlp is what mlp.onnx computes, from its definition in make_models.py.
func mlp(x []float32) []float32 {
	var y []float32
	for row := range len(x) / 8 {
		var hidden [16]float64
		for j := range hidden {
			hidden[j] = float64(j - 8)
			for i := range 8 {
				hidden[j] += float64(x[row*8+i]) * float64((i*16+j)%5-2)
			}
			hidden[j] = math.Max(hidden[j], 0)
		}
		for k := range 4 {
			sum := float64(k)
			for j := range hidden {
				sum += hidden[j] * float64((j*4+k)%7-3)
			}
			y = append(y, float32(sum))
		}
	}
	return y
}

func run(t testing.TB, m *Model, x []float32) []float32 {
	t.Helper()
	in := must(FromSlice(x, int64(len(x)/8), 8))(t)
	defer in.Close()
	out := must(m.Run(background, map[string]*Tensor{"x": in}))(t)
	defer CloseAll(out)
	return must(Slice[float32](out["y"]))(t)
}

func TestRun(t *testing.T) {
	m := open(t, "add.onnx")
	a := must(FromSlice([]float32{1, 2, 3}, 1, 3))(t)
	b := must(View([]float32{10, 20, 30}, 1, 3))(t)
	out := must(m.Run(background, map[string]*Tensor{"a": a, "b": b}))(t)
	if got := must(Data[float32](out["twice"]))(t); len(out) != 2 || !slices.Equal(got, []float32{22, 44, 66}) {
		t.Fatal(out, got)
	}
	CloseAll(out)
	out = must(m.Run(background, map[string]*Tensor{"a": a, "b": b}, "sum"))(t)
	if len(out) != 1 || out["sum"].String() != "float32[1 3]" {
		t.Fatal(out)
	}
	CloseAll(out)
	a.Close()
	b.Close()
	if x := numbers(24, 1); !slices.Equal(run(t, open(t, "mlp.onnx"), x), mlp(x)) {
		t.Fatal("mlp")
	}
}

func TestRunRefuses(t *testing.T) {
	m := open(t, "add.onnx")
	a := must(FromSlice([]float32{1, 2, 3}, 1, 3))(t)
	wrong := must(FromSlice([]float32{1, 2}, 1, 2))(t)
	closed := must(FromSlice([]float32{1, 2, 3}, 1, 3))(t)
	closed.Close()
	for name, c := range map[string]struct {
		in   map[string]*Tensor
		outs []string
		kind error
		word string
	}{
		"unknown input":  {map[string]*Tensor{"q": a}, nil, ErrArgument, "'a', 'b'"},
		"unknown output": {map[string]*Tensor{"a": a, "b": a}, []string{"q"}, ErrArgument, "'sum', 'twice'"},
		"same twice":     {map[string]*Tensor{"a": a, "b": a}, []string{"sum", "sum"}, ErrArgument, "twice"},
		"missing":        {map[string]*Tensor{"a": a}, nil, ErrArgument, "'b'"},
		"nil":            {map[string]*Tensor{"a": a, "b": nil}, nil, ErrArgument, "b"},
		"closed":         {map[string]*Tensor{"a": a, "b": closed}, nil, ErrArgument, "b"},
		"shape":          {map[string]*Tensor{"a": a, "b": wrong}, nil, ErrShape, "'b'"},
	} {
		_, err := m.Run(background, c.in, c.outs...)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v, expected %v with %q", name, err, c.kind, c.word)
		}
	}
}

func TestErrorSaysWhere(t *testing.T) {
	m := open(t, "gather.onnx")
	table := must(FromSlice(numbers(6, 0), 2, 3))(t)
	indices := must(FromSlice([]int64{99}))(t)
	_, err := m.Run(background, map[string]*Tensor{"data": table, "indices": indices})
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrRun) || errors.Is(err, ErrShape) {
		t.Fatal(err)
	}
	if e.Code != CodeRun || e.Node != "pick" || e.Op != "Gather" || e.Domain != "" || e.Opset != 17 || !strings.Contains(e.Text, "99") {
		t.Fatalf("%+v", e)
	}
	_, err = Open(filepath.Join(data, "unknown.onnx"))
	if !errors.Is(err, ErrLoad) || !errors.As(err, &e) || e.Op != "Frobnicate" || e.Domain != "com.example" {
		t.Fatal(err)
	}
	if _, err = Open("nowhere.onnx"); !errors.Is(err, ErrIO) || !strings.Contains(err.Error(), "nowhere.onnx") {
		t.Fatal(err)
	}
}

func TestLoadFromElsewhere(t *testing.T) {
	raw := must(os.ReadFile(filepath.Join(data, "mlp.onnx")))(t)
	x := numbers(8, 3)
	for name, load := range map[string]func() (*Model, error){
		"reader":   func() (*Model, error) { return Read(background, bytes.NewReader(raw)) },
		"one byte": func() (*Model, error) { return Read(background, iotest.OneByteReader(bytes.NewReader(raw))) },
		"memory":   func() (*Model, error) { return FromMemory(raw) },
		"fs":       func() (*Model, error) { return OpenFS(os.DirFS(data), "mlp.onnx") },
		"context":  func() (*Model, error) { return OpenContext(background, filepath.Join(data, "mlp.onnx")) },
	} {
		m, err := load()
		if err != nil {
			t.Fatal(name, err)
		}
		if !slices.Equal(run(t, m, x), mlp(x)) {
			t.Error(name)
		}
		m.Close()
	}

	broken := errors.New("the line is cut")
	if _, err := Read(background, io.MultiReader(bytes.NewReader(raw[:100]), iotest.ErrReader(broken))); !errors.Is(err, broken) || !errors.Is(err, ErrIO) {
		t.Error(err)
	}
	if _, err := Read(background, panicking{}); !errors.Is(err, ErrIO) || !strings.Contains(err.Error(), "panicked") {
		t.Error(err)
	}
	if _, err := Read(background, bytes.NewReader(raw[:len(raw)/2])); !errors.Is(err, ErrLoad) {
		t.Error(err)
	}
	if _, err := Read(background, nil); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	if _, err := OpenFS(os.DirFS(data), "nowhere.onnx"); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrIO) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(background)
	endless := &endlessReader{after: 3, cancel: cancel}
	if _, err := Read(ctx, endless); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := OpenContext(ctx, filepath.Join(data, "mlp.onnx")); !errors.Is(err, ErrCancelled) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("no") }

// endlessReader gives a field that never ends, and cancels on the way.
type endlessReader struct {
	after  int
	cancel func()
}

func (r *endlessReader) Read(p []byte) (int, error) {
	if r.after--; r.after == 0 {
		r.cancel()
	}
	return copy(p, []byte{0x0a, 0}), nil
}

func TestInspect(t *testing.T) {
	m := open(t, "add.onnx")
	in := m.Inputs()
	if len(in) != 2 || in[1].Name != "b" || in[1].DType != Float32 || !in[1].Ranked || !slices.Equal(in[1].Shape, []int64{-1, 3}) ||
		!slices.Equal(in[1].Dims, []string{"batch", ""}) || in[1].Optional {
		t.Fatalf("%+v", in)
	}
	if out := m.Outputs(); len(out) != 2 || out[1].Name != "twice" {
		t.Fatalf("%+v", out)
	}
	if meta := m.Metadata(); len(meta) != 2 || meta["author"] != "Tenon" {
		t.Fatal(meta)
	}
	if err := m.Explain(map[string]int64{"batch": 2}); err != nil {
		t.Fatal(err)
	}
	count := 0
	for node := range m.Nodes() {
		count++
		if node.Op == "" || node.Kernel == "" || len(node.Inputs) == 0 || len(node.Outputs) == 0 {
			t.Errorf("%+v", node)
		}
	}
	if info := m.Info(); info.Name != "add" || info.Nodes != count || info.Parameters != 1 || !strings.HasPrefix(info.Producer, "make_models") {
		t.Errorf("%+v", info)
	}
	var dot, text strings.Builder
	if err := errors.Join(m.WriteDOT(&dot), m.WriteText(&text)); err != nil || !strings.Contains(dot.String(), "digraph") || text.Len() == 0 {
		t.Error(err, dot.String(), text.String())
	}
	if Version() != "0.1.0" || len(Operators()) < 50 {
		t.Error(Version(), len(Operators()))
	}
}

func TestWithoutOneDNN(t *testing.T) {
	for node := range open(t, "first_layer.onnx", WithoutOneDNN()).Nodes() {
		if node.Kernel == "ConvOneDnn" {
			t.Errorf("%+v", node)
		}
	}
}

func TestOptions(t *testing.T) {
	x := numbers(16, 5)
	for name, options := range map[string][]Option{
		"threads": {WithThreads(1)}, "mapped": {WithMappedWeights()}, "plain": {WithoutOptimization()}, "memory": {WithMemoryLimit(64 << 20)},
		"dim": {WithDim("batch", 2)}, "plans": {WithMaxPlans(1)}, "one": {WithMaxConcurrency(1), WithoutOneDNN()}, "strict": {WithStrict()}, "deadline": {WithLoadDeadline(time.Minute)},
	} {
		if m := open(t, "mlp.onnx", options...); !slices.Equal(run(t, m, x), mlp(x)) {
			t.Error(name)
		}
	}
	if m := open(t, "mlp.onnx", WithExtraOutputs("hidden")); len(m.Outputs()) != 2 || m.Outputs()[1].Name != "hidden" {
		t.Error(m.Outputs())
	}
	if m := open(t, "default.onnx", WithOverridableInitializers()); len(m.Inputs()) != 2 || !m.Inputs()[1].Optional {
		t.Error(m.Inputs())
	}
	if _, err := Open(filepath.Join(data, "mlp.onnx"), WithoutPass("no such pass")); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	calls := 0
	open(t, "mlp.onnx", WithProgress(func(stage string, done, total uint64) {
		if calls++; stage == "" || done > total {
			t.Error(stage, done, total)
		}
	}))
	if calls == 0 {
		t.Error("no progress")
	}
}

func TestTensors(t *testing.T) {
	f := must(FromSlice([]float32{1, 2, 3, 4, 5, 6}, 2, 3))(t)
	if f.DType() != Float32 || !slices.Equal(f.Shape(), []int64{2, 3}) || f.Len() != 6 || len(f.Bytes()) != 24 {
		t.Fatal(f)
	}
	if _, err := Data[int32](f); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	part := make([]float32, 2)
	if n := must(CopyTo(f, part))(t); n != 2 || part[1] != 2 {
		t.Error(n, part)
	}
	r := must(f.Reshape(3, 2))(t)
	must(Data[float32](r))(t)[0] = 7
	if must(Data[float32](f))(t)[0] != 7 {
		t.Error("a reshaped tensor shares memory")
	}
	c := must(f.Clone())(t)
	must(Data[float32](c))(t)[0] = 8
	if must(Data[float32](f))(t)[0] != 7 {
		t.Error("a clone does not")
	}
	if _, err := f.Reshape(5); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	if _, err := FromSlice([]float32{1}, 2); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	if _, err := View([]int16{1, 2}, 3); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	if _, err := NewTensor(Float32, -1); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	if s := must(FromStrings([]string{"a", "b\x00c", ""}))(t); !slices.Equal(must(s.Strings())(t), []string{"a", "b\x00c", ""}) || s.Bytes() != nil {
		t.Error(s)
	}
	if z := must(NewTensor(Int64, 2, 0))(t); z.Len() != 0 || len(must(Data[int64](z))(t)) != 0 {
		t.Error(z)
	}
	if b := must(FromBytes(Uint16, []byte{1, 0, 2, 0}, 2))(t); must(Data[uint16](b))(t)[1] != 2 {
		t.Error(b)
	}
	if _, err := FromBytes(String, nil); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	if one := must(Scalar(int8(5)))(t); len(one.Shape()) != 0 || must(Slice[int8](one))(t)[0] != 5 {
		t.Error(one)
	}
	if h := must(FromSlice([]Float16{ToFloat16(1.5)}))(t); h.DType() != Float16Type || must(Slice[Float16](h))(t)[0].Float32() != 1.5 {
		t.Error(h)
	}
	// A slice inside a struct that holds Go pointers.
	owner := &struct {
		name *string
		x    [4]float32
	}{new(string), [4]float32{1, 2, 3, 4}}
	v := must(View(owner.x[:], 4))(t)
	if must(Data[float32](v))(t)[3] != 4 || must(Slice[float32](must(FromSlice(owner.x[1:3]))(t)))(t)[0] != 2 {
		t.Error(v)
	}
	v.Close()
	for range 3 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Data[float32](f); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if must(Data[float32](r))(t)[0] != 7 {
		t.Error("a share outlives the first handle")
	}
	var none *Tensor
	if none.Close() != nil || none.String() == "" {
		t.Error("nil tensor")
	}
}

func TestHalfPrecision(t *testing.T) {
	for bits := range 1 << 16 {
		h := Float16(bits)
		if f := h.Float32(); f == f && ToFloat16(f) != h {
			t.Fatalf("float16 %#x -> %v -> %#x", bits, f, ToFloat16(f))
		}
		b := BFloat16(bits)
		if f := b.Float32(); f == f && ToBFloat16(f) != b {
			t.Fatalf("bfloat16 %#x -> %v -> %#x", bits, f, ToBFloat16(f))
		}
	}
	nan := float32(math.NaN())
	if f := ToFloat16(nan).Float32(); f == f {
		t.Error("NaN became", f)
	}
	if f := ToBFloat16(nan).Float32(); f == f {
		t.Error("NaN became", f)
	}
	for f, want := range map[float32]float32{65519: 65504, 65520: float32(math.Inf(1)), 2049: 2048, 2051: 2052, 1e-9: 0, -1e9: float32(math.Inf(-1))} {
		if got := ToFloat16(f).Float32(); got != want {
			t.Errorf("%v became %v, expected %v", f, got, want)
		}
	}
}

func TestConcurrentCallersGetTheSerialAnswers(t *testing.T) {
	m := open(t, "mlp.onnx", WithMaxConcurrency(4))
	var wait sync.WaitGroup
	for caller := range 100 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			x := numbers(8*(1+caller%5), caller)
			want := mlp(x)
			for range 20 {
				if got := run(t, m, x); !slices.Equal(got, want) {
					t.Errorf("caller %d: %v, expected %v", caller, got, want)
					return
				}
			}
		}()
	}
	wait.Wait()
	if s := m.Stats(); s.Runs != 2000 {
		t.Errorf("%+v", s)
	}
}

func TestCancel(t *testing.T) {
	m := open(t, "forever.onnx", WithMaxConcurrency(1))
	x := must(FromSlice(numbers(4, 0)))(t)
	in := map[string]*Tensor{"x": x}
	for range 5 {
		ctx, cancel := context.WithCancel(background)
		var cancelled time.Time
		go func() {
			time.Sleep(20 * time.Millisecond)
			cancelled = time.Now()
			cancel()
		}()
		_, err := m.Run(ctx, in)
		if late := time.Since(cancelled); late > 500*time.Millisecond {
			t.Errorf("stopped %v late", late)
		}
		if !errors.Is(err, ErrCancelled) || !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	if _, err := m.Run(ctx, in); !errors.Is(err, context.DeadlineExceeded) || HTTPStatus(err) != 504 {
		t.Fatal(err)
	}
	if _, err := m.Run(ctx, in); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}

	// Waiting for a place ends with the context, too.
	holder, release := context.WithCancel(background)
	done := make(chan error)
	go func() { _, err := m.Run(holder, in); done <- err }()
	time.Sleep(20 * time.Millisecond)
	ctx, cancel = context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	if _, err := m.Run(ctx, in); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	// Close waits for the run under way, and later runs are refused.
	m.Close()
	if _, err := m.Run(background, in); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	release()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSessionComputesWhatIsWanted(t *testing.T) {
	m := open(t, "mlp.onnx", WithThreads(1), WithExtraOutputs("hidden"))
	s := must(m.NewSession())(t)
	defer s.Close()
	if err := s.BindInput("x", must(NewTensor(Float32, 2, 8))(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.WantOutputs("nothing"); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	if err := errors.Join(s.WantOutputs("hidden"), s.RunInto(background)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Output("y"); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	defer must(s.Output("hidden"))(t).Close()
	if err := errors.Join(s.WantOutputs(), s.RunInto(background)); err != nil {
		t.Fatal(err)
	}
	defer must(s.Output("y"))(t).Close()
}

func TestSession(t *testing.T) {
	m := open(t, "mlp.onnx", WithThreads(1))
	s := must(m.NewSession())(t)
	defer s.Close()
	x := must(NewTensor(Float32, 2, 8))(t)
	y := must(NewTensor(Float32, 2, 4))(t)
	if err := s.RunInto(background); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	if err := s.Bind(map[string]*Tensor{"x": x}, map[string]*Tensor{"y": y}); err != nil {
		t.Fatal(err)
	}
	in, out := must(Data[float32](x))(t), must(Data[float32](y))(t)
	for seed := range 3 {
		copy(in, numbers(16, seed))
		if err := s.RunInto(background); err != nil || !slices.Equal(out, mlp(in)) {
			t.Fatal(err, out)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := s.RunInto(background); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
	ctx, cancel := context.WithCancel(background)
	if err := s.RunInto(ctx); err != nil {
		t.Error(err)
	}
	cancel()
	if err := s.RunInto(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.BindInput("q", x); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	if err := s.BindOutput("q", x); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	m.Close() // the session goes on
	if err := s.RunInto(background); err != nil {
		t.Error(err)
	}
	got := must(s.Output("y"))(t)
	if !slices.Equal(must(Slice[float32](got))(t), mlp(in)) {
		t.Error("output")
	}
	s.Close()
	s.Close()
	if err := s.RunInto(background); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := m.NewSession(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestProfile(t *testing.T) {
	m := open(t, "mlp.onnx")
	var trace bytes.Buffer
	stop := must(m.Profile(&trace))(t)
	if _, err := m.Profile(io.Discard); !errors.Is(err, ErrArgument) {
		t.Error(err)
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Add(1)
		go func() { defer wait.Done(); run(t, m, numbers(8, 0)) }()
	}
	wait.Wait()
	if err := errors.Join(stop(), stop()); err != nil || !strings.Contains(trace.String(), "traceEvents") || strings.Count(trace.String(), `"X"`) < 4 {
		t.Error(err, trace.String())
	}
	run(t, m, numbers(8, 0)) // goes on without
}

func TestJSON(t *testing.T) {
	m := open(t, "add.onnx")
	out := must(m.RunJSON(background, strings.NewReader(`{"a": [[1, 2, 3]], "b": [[0.5, -1e2, 3]]}`)))(t)
	defer CloseAll(out)
	if text := string(must(out["sum"].MarshalJSON())(t)); text != "[[1.5,-98,6]]" {
		t.Error(text)
	}
	for _, c := range []struct {
		dtype DType
		text  string
		want  string // "" for an error
	}{
		{Float32, "[[1,2],[3,4]]", "[[1,2],[3,4]]"}, {Float32, "7", "7"}, {Float32, "[]", "[]"}, {Float32, "[[],[]]", "[[],[]]"},
		{Float64, "[0.1,1e300]", "[0.1,1e+300]"}, {Int64, "[9223372036854775807]", "[9223372036854775807]"}, {Uint8, "[255]", "[255]"},
		{Bool, "[true,false]", "[true,false]"}, {String, `["a","\"b\u0000"]`, `["a","\"b\u0000"]`}, {Float16Type, "[1.5]", "[1.5]"},
		{BFloat16Type, "[-2]", "[-2]"}, {Int8, "[-128]", "[-128]"}, {Int16, "[[[1]]]", "[[[1]]]"}, {Int32, "[1]", "[1]"},
		{Uint16, "[1]", "[1]"}, {Uint32, "[1]", "[1]"}, {Uint64, "[18446744073709551615]", "[18446744073709551615]"},
		{Uint8, "[256]", ""}, {Int64, "[1.5]", ""}, {Float32, "[[1],[2,3]]", ""}, {Float32, "[1,[2]]", ""}, {Float32, "[[1],2]", ""},
		{Float32, "[[1],[]]", ""}, {Float32, "[null]", ""}, {Float32, `["1"]`, ""}, {Float32, "[1", ""}, {Float32, "[1]]", ""}, {Float32, "{}", ""},
		{Float32, "[1] 2", ""}, {Float32, "", ""}, {Float32, "[1e99]", ""}, {Float32, strings.Repeat("[", 17) + strings.Repeat("]", 17), ""},
		{Bool, "[1]", ""}, {String, "[1]", ""}, {Complex64, "[1]", ""},
	} {
		tensor, err := ParseJSON(c.dtype, []byte(c.text))
		if (err == nil) != (c.want != "") {
			t.Errorf("%v %s: %v", c.dtype, c.text, err)
		}
		if err == nil {
			if text := string(must(tensor.MarshalJSON())(t)); text != c.want {
				t.Errorf("%v %s became %s", c.dtype, c.text, text)
			}
		}
	}
	odd := must(FromSlice([]float32{float32(math.NaN()), float32(math.Inf(1))}))(t)
	if text := string(must(odd.MarshalJSON())(t)); text != "[null,null]" {
		t.Error(text)
	}
}

// resident is the process's memory in bytes.
func resident(t *testing.T) int {
	status := must(os.ReadFile("/proc/self/status"))(t)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib := 0
	fmt.Sscan(rest, &kib)
	return kib << 10
}

func TestNothingLeaks(t *testing.T) {
	if testing.Short() {
		t.Skip()
	}
	cycle := func(closing bool) {
		m := must(Open(filepath.Join(data, "mlp.onnx"), WithThreads(1)))(t)
		s := must(m.NewSession())(t)
		in := must(NewTensor(Float32, 64, 8))(t)
		seen := must(View(numbers(8, 0), 1, 8))(t)
		if err := s.BindInput("x", seen); err != nil {
			t.Fatal(err)
		}
		if err := s.RunInto(background); err != nil {
			t.Fatal(err)
		}
		out := must(m.Run(background, map[string]*Tensor{"x": in}))(t)
		if _, err := m.Run(background, nil); err == nil {
			t.Fatal("no error")
		}
		if closing {
			CloseAll(out)
			m.Close()
			s.Close()
			in.Close()
			seen.Close()
		}
	}
	alive := live.Load()
	many := func() int {
		for range 1000 {
			cycle(true)
		}
		runtime.GC()
		return resident(t)
	}
	// A leak grows in every round; a heap (the race detector's too) that is still finding its size does not.
	const bound, rounds = 8 << 20, 5
	grown := bound + 1
	for before, round := many(), 0; round < rounds && grown > bound; round++ {
		after := many()
		grown, before = after-before, after
	}
	if grown > bound || live.Load() > alive {
		t.Errorf("grew by %d bytes, %d objects", grown, live.Load()-alive)
	}
	// Left to the collector, everything goes in time.
	for range 100 {
		cycle(false)
	}
	for range 100 {
		if live.Load() <= alive {
			return
		}
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d objects were never collected", live.Load()-alive)
}

func TestCloseBesideRuns(t *testing.T) {
	for range 20 {
		m := must(Open(filepath.Join(data, "mlp.onnx"), WithThreads(1)))(t)
		x := must(FromSlice(numbers(8, 0), 1, 8))(t)
		var wait sync.WaitGroup
		for range 8 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for {
					out, err := m.Run(background, map[string]*Tensor{"x": x})
					if err != nil {
						if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrArgument) {
							t.Error(err)
						}
						return
					}
					CloseAll(out)
				}
			}()
		}
		time.Sleep(time.Millisecond)
		go m.Close()
		x.Close()
		m.Close()
		wait.Wait()
	}
}

func TestCacheDirectory(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "cache")
	info := open(t, "mlp.onnx", WithCacheDirectory(directory)).Info()
	if filepath.Dir(info.CacheFile) != directory || info.CacheBytes != 0 || !strings.Contains(info.CacheNote, "no large weights") {
		t.Errorf("%+v", info)
	}
	if info = open(t, "mlp.onnx").Info(); info.CacheFile != "" || info.CacheNote != "" {
		t.Errorf("%+v", info)
	}
}

func BenchmarkRunInto(b *testing.B) {
	m := open(b, "mlp.onnx", WithThreads(1))
	s := must(m.NewSession())(b)
	if err := s.BindInput("x", must(NewTensor(Float32, 1, 8))(b)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.RunInto(background); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	m := open(b, "mlp.onnx", WithThreads(1))
	in := map[string]*Tensor{"x": must(NewTensor(Float32, 1, 8))(b)}
	b.ReportAllocs()
	for b.Loop() {
		out, err := m.Run(background, in)
		if err != nil {
			b.Fatal(err)
		}
		CloseAll(out)
	}
}
