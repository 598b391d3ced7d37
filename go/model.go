package tenon

import (
	"context"
	"io"
	"io/fs"
	"iter"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Model is a compiled model: immutable, and shared by any number of goroutines.
type Model struct {
	h       *handle
	inputs  []ValueInfo
	outputs []ValueInfo
	in, out map[string]int
	slots   chan struct{} // one element a run under way
	cancels cancelPool
	profile atomic.Pointer[profile]
}

// ValueInfo describes an input or output.
type ValueInfo struct {
	Name     string
	DType    DType
	Ranked   bool     // whether the number of dimensions is known
	Shape    []int64  // -1 where the size is not fixed
	Dims     []string // the name or expression of each size that is not: "batch", "2*seq + 1", "?"; "" for fixed ones
	Optional bool     // an input that may be left out, since it has a default or is nullable
	Sequence bool     // a sequence: DType and Shape are those of its items, which may differ where a size is not fixed
	Nullable bool     // of ONNX's optional types: it may be none
}

// Node is one node of the optimised graph.
type Node struct {
	Name, Op, Domain string
	Opset            int
	Kernel           string // chosen kernel; "" before a first run or Explain with shapes that the file leaves open
	Refusals         string // after Explain: better kernels that could not be taken, as lines of "kernel: reason"
	Shape            string // types of its outputs
	Inputs, Outputs  []string
	Depth            int    // of how many bodies of control-flow operators it is inside
	Note             string // after Explain: why no kernel can be told
}

// Info is what is known of a model as a whole.
type Info struct {
	Name, Producer, Source string
	Nodes                  int
	Parameters             uint64 // elements of all constants
	ParameterBytes         uint64
	CacheFile              string // where the weights are kept for the next load; "" without WithCacheDirectory
	CacheBytes             uint64 // of weights that the load took from there
	CacheNote              string // why nothing, or not all, is kept for the next load; "" when all is well
}

// Stats counts what a model holds and has done.
type Stats struct {
	WeightBytes            uint64 // constants, in their packed form
	RunBytes, PeakRunBytes uint64 // intermediate values and outputs
	Plans, IdleSessions    uint64
	Runs                   uint64
}

// Open loads a model from a file.
func Open(path string, options ...Option) (*Model, error) {
	return OpenContext(context.Background(), path, options...)
}

// OpenContext is Open, cancelled by the context.
func OpenContext(ctx context.Context, path string, options ...Option) (*Model, error) {
	return load(ctx, options, func(c *config, cancel unsafe.Pointer) (unsafe.Pointer, error) {
		return nativeLoadPath(path, c, cancel)
	})
}

// OpenFS loads a model from a file system, such as one embedded with go:embed. Weights in files of their own are looked for in the base
// directory (WithBaseDirectory), not in the file system.
func OpenFS(fsys fs.FS, path string, options ...Option) (*Model, error) {
	file, err := fsys.Open(path)
	if err != nil {
		return nil, &Error{Code: CodeIO, Text: err.Error(), Source: path, cause: err}
	}
	defer file.Close()
	return Read(context.Background(), file, append([]Option{WithSource(path)}, options...)...)
}

// Read loads a model from a stream, read to its end. The context cancels it between two reads and at any time after.
func Read(ctx context.Context, r io.Reader, options ...Option) (*Model, error) {
	if file, ok := r.(*os.File); ok && file == nil || r == nil {
		return nil, argumentError("Read: no reader")
	}
	source := &reader{ctx: ctx, r: r}
	m, err := load(ctx, options, func(c *config, cancel unsafe.Pointer) (unsafe.Pointer, error) {
		return nativeLoadStream(source, c, cancel)
	})
	return m, withCause(err, source.err)
}

// FromMemory loads a model from bytes.
func FromMemory(data []byte, options ...Option) (*Model, error) {
	return load(context.Background(), options, func(c *config, cancel unsafe.Pointer) (unsafe.Pointer, error) {
		return nativeLoadMemory(data, c, cancel)
	})
}

// reader is what the native side reads from; it remembers why it stopped.
type reader struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *reader) read(p []byte) int64 {
	for len(p) > 0 {
		if s.err = s.ctx.Err(); s.err != nil {
			return -1
		}
		n, err := s.r.Read(p)
		if n > 0 {
			return int64(n) // an error beside it comes again
		}
		if err == io.EOF {
			return 0
		}
		if err != nil {
			s.err = err
			return -1
		}
	}
	return 0
}

func load(ctx context.Context, options []Option, native func(*config, unsafe.Pointer) (unsafe.Pointer, error)) (*Model, error) {
	c := configure(options)
	m := &Model{slots: make(chan struct{}, c.maxConcurrency)}
	token, err := m.cancels.watch(ctx)
	if err != nil {
		return nil, err
	}
	ptr, err := native(c, token.ptr())
	m.cancels.done(token)
	if err != nil {
		return nil, withCause(err, ctx.Err())
	}
	m.h = newHandle(ptr, nativeModelFree)
	m.inputs, m.outputs = nativeValues(ptr, false), nativeValues(ptr, true)
	m.in, m.out = index(m.inputs), index(m.outputs)
	owned(m, m.h)
	return m, nil
}

func index(values []ValueInfo) map[string]int {
	byName := make(map[string]int, len(values))
	for i, v := range values {
		byName[v.Name] = i
	}
	return byName
}

// Inputs are the model's inputs, in order. The result is shared: do not change it.
func (m *Model) Inputs() []ValueInfo { return m.inputs }

// Outputs are the model's outputs, in order; extra outputs come last. The result is shared: do not change it.
func (m *Model) Outputs() []ValueInfo { return m.outputs }

// Run computes the named outputs, or all, from inputs by name; optional ones may be nil or left out. Any number of goroutines may call it. It is cancelled by the context:
// the error then is both ErrCancelled and the context's. The outputs are the caller's to close.
func (m *Model) Run(ctx context.Context, inputs map[string]*Tensor, outputs ...string) (map[string]*Tensor, error) {
	if m == nil || !m.h.acquire() {
		return nil, ErrClosed
	}
	defer m.h.release()

	in := make([]unsafe.Pointer, len(m.inputs))
	for name, t := range inputs {
		i, ok := m.in[name]
		if !ok {
			return nil, argumentError("no input %q; the model has %s", name, names(m.inputs))
		}
		if t == nil && m.inputs[i].Optional {
			continue
		}
		if t == nil || !t.h.acquire() {
			return nil, argumentError("input %q: tensor is nil or closed", name)
		}
		defer t.h.release()
		in[i] = t.h.ptr
	}
	if len(outputs) == 0 {
		outputs = make([]string, len(m.outputs))
		for i, v := range m.outputs {
			outputs[i] = v.Name
		}
	}
	which := make([]uintptr, len(outputs))
	for k, name := range outputs {
		i, ok := m.out[name]
		if !ok {
			return nil, argumentError("no output %q; the model has %s", name, names(m.outputs))
		}
		which[k] = uintptr(i)
	}

	var results []tensorInfo
	err := m.guarded(ctx, func(cancel, profile unsafe.Pointer) (err error) {
		results, err = nativeRun(m.h.ptr, in, which, cancel, profile)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make(map[string]*Tensor, len(results))
	for k, info := range results {
		out[outputs[k]] = newTensor(info)
	}
	return out, nil
}

// guarded makes a run with a place among the concurrent ones and a token that the context cancels.
func (m *Model) guarded(ctx context.Context, run func(cancel, profile unsafe.Pointer) error) error {
	if ctx == nil {
		ctx = context.Background()
	}
	select {
	case m.slots <- struct{}{}:
	case <-ctx.Done():
		return cancelledError(ctx)
	}
	defer func() { <-m.slots }()
	token, err := m.cancels.watch(ctx)
	if err != nil {
		return err
	}
	p, ptr := m.profiled()
	err = run(token.ptr(), ptr)
	if p != nil {
		p.mu.RUnlock()
	}
	m.cancels.done(token)
	if err != nil {
		return withCause(err, ctx.Err())
	}
	return nil
}

func names(values []ValueInfo) string {
	list := ""
	for i, v := range values {
		if i > 0 {
			list += ", "
		}
		list += "'" + v.Name + "'"
	}
	return list
}

// use calls f with the native model; the zero T when the model is closed.
func use[T any](m *Model, f func(unsafe.Pointer) T) (value T) {
	if m == nil || !m.h.acquire() {
		return value
	}
	defer m.h.release()
	return f(m.h.ptr)
}

// Metadata is what the model file says about itself.
func (m *Model) Metadata() map[string]string { return use(m, nativeMetadata) }

// Info is a summary.
func (m *Model) Info() Info { return use(m, nativeInfo) }

// Stats counts memory, plans and runs.
func (m *Model) Stats() Stats { return use(m, nativeStats) }

// Nodes are the nodes of the optimised graph in the order of execution.
func (m *Model) Nodes() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for i := range m.Info().Nodes {
			node, ok := Node{}, m.h.acquire()
			if ok {
				node, ok = nativeNode(m.h.ptr, i)
				m.h.release()
			}
			if !ok || !yield(node) {
				return
			}
		}
	}
}

// Explain plans the declared inputs with these sizes of symbolic dims (1 for the rest), so that Nodes tells kernels and refusals.
func (m *Model) Explain(dims map[string]int64) error {
	if m == nil || !m.h.acquire() {
		return ErrClosed
	}
	defer m.h.release()
	return nativeExplain(m.h.ptr, dims)
}

// WriteDOT writes the optimised graph for Graphviz.
func (m *Model) WriteDOT(w io.Writer) error { return m.writeGraph(w, true) }

// WriteText writes the optimised graph, a line a node.
func (m *Model) WriteText(w io.Writer) error { return m.writeGraph(w, false) }

func (m *Model) writeGraph(w io.Writer, dot bool) error {
	if m == nil || !m.h.acquire() {
		return ErrClosed
	}
	defer m.h.release()
	text, err := nativeGraph(m.h.ptr, dot)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

// Trim gives back the memory of cached plans and idle buffers.
func (m *Model) Trim() {
	use(m, func(ptr unsafe.Pointer) struct{} { nativeTrim(ptr); return struct{}{} })
}

// profile is a recording that runs take part in while it is the model's.
type profile struct {
	mu      sync.RWMutex // read-held by every run that records
	ptr     unsafe.Pointer
	stopped bool
}

// Profile records every step of the runs that begin until stop is called, which writes them to w as a Chrome trace.
func (m *Model) Profile(w io.Writer) (stop func() error, err error) {
	ptr, err := nativeProfileNew()
	if err != nil {
		return nil, err
	}
	p := &profile{ptr: ptr}
	if !m.profile.CompareAndSwap(nil, p) {
		nativeProfileFree(ptr)
		return nil, argumentError("the model is being profiled already")
	}
	return func() error {
		m.profile.CompareAndSwap(p, nil)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.stopped {
			return nil
		}
		p.stopped = true
		defer nativeProfileFree(ptr)
		text, err := nativeProfileJSON(ptr)
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, text)
		return err
	}, nil
}

// profiled gives the recording to take part in, locked for reading.
func (m *Model) profiled() (*profile, unsafe.Pointer) {
	p := m.profile.Load()
	if p == nil {
		return nil, nil
	}
	p.mu.RLock()
	if p.stopped {
		p.mu.RUnlock()
		return nil, nil
	}
	return p, p.ptr
}

// Close gives the model back once every call that uses it has returned. Sessions stay usable.
func (m *Model) Close() error {
	if m != nil {
		m.h.close()
	}
	return nil
}

// Version is the version of the native library; "" without cgo.
func Version() string { return nativeVersion() }

// Operator is an operator that models may use.
type Operator struct {
	Domain, Name       string
	MinOpset, MaxOpset int
}

// Operators lists all that this build supports.
func Operators() []Operator { return nativeOperators() }
