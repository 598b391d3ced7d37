package tenon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Code is the class of an [Error].
type Code int32

const (
	CodeOK Code = iota
	CodeArgument
	CodeLoad
	CodeShape
	CodeRun
	CodeLimit
	CodeCancelled
	CodeNoMemory
	CodeIO
	CodeInternal
)

// What errors.Is finds in an [Error] of each class.
var (
	ErrArgument  = errors.New("tenon: wrong argument")         // unknown name, wrong element type or shape of an input
	ErrLoad      = errors.New("tenon: model cannot be loaded") // malformed, or uses something this build does not have
	ErrShape     = errors.New("tenon: shapes do not fit")
	ErrRun       = errors.New("tenon: values do not fit") // index out of range, integer division by zero
	ErrLimit     = errors.New("tenon: limit reached")     // memory, deadline, size of the graph
	ErrCancelled = errors.New("tenon: cancelled")
	ErrNoMemory  = errors.New("tenon: out of memory")
	ErrIO        = errors.New("tenon: reading failed")
	ErrInternal  = errors.New("tenon: internal error")

	// ErrClosed is returned by calls on what was closed before.
	ErrClosed = errors.New("tenon: closed")
	// ErrNoCgo is returned by everything in a build without cgo.
	ErrNoCgo = errors.New("tenon: built without cgo")
)

var sentinels = [...]error{nil, ErrArgument, ErrLoad, ErrShape, ErrRun, ErrLimit, ErrCancelled, ErrNoMemory, ErrIO, ErrInternal}

// Error says what failed and where. Empty fields are not known, or the error is not about a node.
type Error struct {
	Code   Code
	Node   string // name of the node
	Op     string // its operator
	Domain string // "" for ai.onnx
	Opset  int
	Tensor string // name of the value
	Source string // file name
	Text   string // what was expected and what came

	message string
	cause   error // the context's error, the reader's error
}

func (e *Error) Error() string {
	message := e.message
	if message == "" {
		message = e.Text
	}
	if e.cause != nil {
		message += ": " + e.cause.Error()
	}
	return message
}

// Unwrap makes errors.Is find the class (ErrShape...) and what caused it (context.Canceled, an io error).
func (e *Error) Unwrap() []error {
	var all []error
	if e.Code > 0 && int(e.Code) < len(sentinels) {
		all = append(all, sentinels[e.Code])
	}
	if e.cause != nil {
		all = append(all, e.cause)
	}
	return all
}

func argumentError(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return &Error{Code: CodeArgument, Text: text, message: text}
}

// withCause notes why a call failed; err may be nil.
func withCause(err, cause error) error {
	var e *Error
	if cause != nil && errors.As(err, &e) {
		e.cause = cause
	}
	return err
}

// HTTPStatus is the status code that tells a client whose request led to err: its own fault, too much at once, or ours.
func HTTPStatus(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, ErrArgument), errors.Is(err, ErrShape), errors.Is(err, ErrRun):
		return http.StatusBadRequest
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(err, ErrLimit), errors.Is(err, ErrNoMemory), errors.Is(err, ErrClosed), errors.Is(err, ErrCancelled):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
