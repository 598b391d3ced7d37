package tenon

import (
	"context"
	"runtime"
	"sync"
	"unsafe"
)

// cancelPool keeps native cancel tokens between runs, so that a run that is not cancelled costs one call into C.
type cancelPool struct {
	mu   sync.Mutex
	free []*cancelToken
}

type cancelToken struct {
	native *nativeCancel
	stop   func() bool
	fired  chan struct{} // closed when the context's end has been passed on
}

// nativeCancel is a token of the C side, freed when the collector finds it.
type nativeCancel struct{ ptr unsafe.Pointer }

func (t *cancelToken) ptr() unsafe.Pointer {
	if t == nil {
		return nil
	}
	return t.native.ptr
}

// watch gives a token that ctx cancels; nil for a context that never ends. It costs nothing then.
func (p *cancelPool) watch(ctx context.Context) (*cancelToken, error) {
	if ctx == nil || ctx.Done() == nil {
		return nil, nil
	}
	if ctx.Err() != nil {
		return nil, cancelledError(ctx)
	}
	var token *cancelToken
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		token, p.free = p.free[n-1], p.free[:n-1]
	}
	p.mu.Unlock()
	if token == nil {
		ptr, err := nativeCancelNew()
		if err != nil {
			return nil, err
		}
		token = &cancelToken{native: &nativeCancel{ptr}}
		runtime.AddCleanup(token.native, nativeCancelFree, ptr)
	}
	fired, ptr := make(chan struct{}), token.native.ptr
	token.fired = fired
	token.stop = context.AfterFunc(ctx, func() {
		nativeCancelSet(ptr)
		close(fired)
	})
	return token, nil
}

// done ends the watch and keeps the token for the next one.
func (p *cancelPool) done(token *cancelToken) {
	if token == nil {
		return
	}
	if !token.stop() {
		<-token.fired // no late set may hit the token's next run
		nativeCancelReset(token.native.ptr)
	}
	token.stop = nil
	p.mu.Lock()
	p.free = append(p.free, token)
	p.mu.Unlock()
}

func cancelledError(ctx context.Context) error {
	text := "cancelled before the run began"
	return &Error{Code: CodeCancelled, Text: text, message: text, cause: ctx.Err()}
}
