// Package tenon runs ONNX models.
//
//	model, err := tenon.Open("resnet50.onnx")
//	if err != nil { ... }                       // errors.As(err, *tenon.Error): code, node, operator, text
//	defer model.Close()
//	image, err := tenon.FromSlice(pixels, 1, 3, 224, 224)
//	out, err := model.Run(ctx, map[string]*tenon.Tensor{"input": image})
//	logits, err := tenon.Data[float32](out["logits"])
//
// A Model is shared by any number of goroutines. A Session is one goroutine's, and runs without allocating. Cancelling the context given
// to a run stops it within milliseconds.
//
// Close is idempotent, may be called at any time, and takes effect when the calls that are under way return. What is never closed is
// freed after the garbage collector found it, which may be late: native memory is invisible to it.
//
// The package links the static library that `make build` leaves in build/release/lib. With the build tag tenon_dynamic it is found by
// pkg-config instead. Without cgo it compiles, and everything fails with [ErrNoCgo].
package tenon
