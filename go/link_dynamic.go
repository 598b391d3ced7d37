//go:build cgo && tenon_dynamic

package tenon

// #cgo pkg-config: tenon
import "C"
