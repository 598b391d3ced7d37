//go:build cgo && !tenon_dynamic

package tenon

// The library of `make build`, whole: one archive that needs nothing but the C++ run time and OpenMP.

// #cgo CFLAGS: -I${SRCDIR}/../include
// #cgo LDFLAGS: ${SRCDIR}/../build/release/lib/libtenon.a -lgomp -lstdc++ -lm -lpthread -ldl
import "C"
