package tenon

import (
	"context"
	"unsafe"
)

// Session holds bound tensors and the buffers of a run: RunInto with unchanged shapes allocates nothing. It is for one goroutine at a time,
// and keeps working after its model is closed.
type Session struct {
	h     *handle
	model *Model
}

// NewSession prepares buffers of the model for one caller.
func (m *Model) NewSession() (*Session, error) {
	if m == nil || !m.h.acquire() {
		return nil, ErrClosed
	}
	defer m.h.release()
	ptr, err := nativeSessionNew(m.h.ptr)
	if err != nil {
		return nil, err
	}
	s := &Session{h: newHandle(ptr, nativeSessionFree), model: m}
	owned(s, s.h)
	return s, nil
}

// BindInput makes later runs read t. Its memory may be written between runs; closing t does not unbind it.
func (s *Session) BindInput(name string, t *Tensor) error {
	i, ok := s.model.in[name]
	if !ok {
		return argumentError("no input %q; the model has %s", name, names(s.model.inputs))
	}
	return s.bind(i, t, nativeBindInput)
}

// BindOutput makes later runs write to t, which must have the output's type.
func (s *Session) BindOutput(name string, t *Tensor) error {
	i, ok := s.model.out[name]
	if !ok {
		return argumentError("no output %q; the model has %s", name, names(s.model.outputs))
	}
	return s.bind(i, t, nativeBindOutput)
}

// WantOutputs makes later runs compute the named outputs alone, or all when none is named: what only the others need is not run.
func (s *Session) WantOutputs(wanted ...string) error {
	indices := make([]uintptr, 0, len(wanted))
	for _, name := range wanted {
		i, ok := s.model.out[name]
		if !ok {
			return argumentError("no output %q; the model has %s", name, names(s.model.outputs))
		}
		indices = append(indices, uintptr(i))
	}
	if !s.h.acquire() {
		return ErrClosed
	}
	defer s.h.release()
	return nativeWantOutputs(s.h.ptr, indices)
}

// Bind binds all that it is given: inputs and outputs by name.
func (s *Session) Bind(inputs, outputs map[string]*Tensor) error {
	for name, t := range inputs {
		if err := s.BindInput(name, t); err != nil {
			return err
		}
	}
	for name, t := range outputs {
		if err := s.BindOutput(name, t); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) bind(i int, t *Tensor, native func(session unsafe.Pointer, i int, tensor unsafe.Pointer) error) error {
	if !s.h.acquire() {
		return ErrClosed
	}
	defer s.h.release()
	if t == nil {
		return native(s.h.ptr, i, nil)
	}
	if !t.h.acquire() {
		return argumentError("tensor is closed")
	}
	defer t.h.release()
	return native(s.h.ptr, i, t.h.ptr)
}

// RunInto runs on the bound tensors. It counts among the model's concurrent runs, and is cancelled by the context. With a context that
// cannot end it allocates nothing.
func (s *Session) RunInto(ctx context.Context) error {
	if s == nil || !s.h.acquire() {
		return ErrClosed
	}
	defer s.h.release()
	m := s.model
	if ctx == nil || ctx.Done() == nil {
		m.slots <- struct{}{}
		p, ptr := m.profiled()
		err := nativeSessionRun(s.h.ptr, nil, ptr)
		if p != nil {
			p.mu.RUnlock()
		}
		<-m.slots
		return err
	}
	return m.guarded(ctx, func(cancel, profile unsafe.Pointer) error { return nativeSessionRun(s.h.ptr, cancel, profile) })
}

// Output is a view of an output of the last run: the next run writes over it. Close it when done; Clone keeps the values.
func (s *Session) Output(name string) (*Tensor, error) {
	i, ok := s.model.out[name]
	if !ok {
		return nil, argumentError("no output %q; the model has %s", name, names(s.model.outputs))
	}
	if !s.h.acquire() {
		return nil, ErrClosed
	}
	defer s.h.release()
	return made(nativeSessionOutput(s.h.ptr, i))
}

// Clone is a copy of the tensor that shares nothing.
func (t *Tensor) Clone() (*Tensor, error) {
	if t == nil || !t.h.acquire() {
		return nil, ErrClosed
	}
	defer t.h.release()
	return made(nativeTensorClone(t.h.ptr))
}

// Close gives the session's buffers back.
func (s *Session) Close() error {
	if s != nil {
		s.h.close()
	}
	return nil
}
