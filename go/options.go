package tenon

import (
	"runtime"
	"time"
)

// Option changes how a model is loaded and run.
type Option func(*config)

type config struct {
	threads         int
	memoryLimit     uint64
	deadline        time.Duration
	maxConcurrency  int
	baseDirectory   string
	cacheDirectory  string
	source          string
	mapWeights      bool
	noOptimize      bool
	verifyChecksums bool
	overridable     bool
	noOneDNN        bool
	strict          bool
	disabledPasses  []string
	extraOutputs    []string
	dims            []dimBinding
	maxPlans        int
	progress        func(stage string, done, total uint64)
}

type dimBinding struct {
	name  string
	value int64
}

func configure(options []Option) *config {
	c := &config{}
	for _, option := range options {
		if option != nil {
			option(c)
		}
	}
	if c.maxConcurrency <= 0 {
		c.maxConcurrency = max(2, runtime.GOMAXPROCS(0))
	}
	return c
}

// WithThreads sets the threads of one run; by default every CPU the process may use.
func WithThreads(n int) Option { return func(c *config) { c.threads = n } }

// WithMaxConcurrency bounds how many runs of the model go on at once; further ones wait, or leave when their context ends. A run holds an
// operating system thread, so without a bound ten thousand requests would be ten thousand threads. Default: GOMAXPROCS.
func WithMaxConcurrency(n int) Option { return func(c *config) { c.maxConcurrency = n } }

// WithMemoryLimit bounds the bytes that the model, its sessions and their runs hold at once.
func WithMemoryLimit(bytes uint64) Option { return func(c *config) { c.memoryLimit = bytes } }

// WithLoadDeadline bounds the time to load.
func WithLoadDeadline(d time.Duration) Option { return func(c *config) { c.deadline = d } }

// WithBaseDirectory says where external data lies, for models that are not read from a path.
func WithBaseDirectory(path string) Option { return func(c *config) { c.baseDirectory = path } }

// WithCacheDirectory keeps packed weights in files there, so that the next load of the same path maps them instead of packing again, and
// processes that do so share the memory. The directory is made when missing. Whoever can write there decides about results, and files
// there must not be changed, though they may be removed, while a model is open.
func WithCacheDirectory(path string) Option { return func(c *config) { c.cacheDirectory = path } }

// WithSource says what error messages call the model.
func WithSource(name string) Option { return func(c *config) { c.source = name } }

// WithMappedWeights maps the file and reads weights in place: only for files that nobody changes while the model is open.
func WithMappedWeights() Option { return func(c *config) { c.mapWeights = true } }

// WithVerifiedChecksums compares files of external data with the SHA-1 the model gives, where it does. It takes seconds a gigabyte.
func WithVerifiedChecksums() Option { return func(c *config) { c.verifyChecksums = true } }

// WithoutOptimization runs the graph as the file has it.
func WithoutOptimization() Option { return func(c *config) { c.noOptimize = true } }

// WithoutPass switches optimisation passes off by name.
func WithoutPass(names ...string) Option {
	return func(c *config) { c.disabledPasses = append(c.disabledPasses, names...) }
}

// WithoutOneDNN never chooses a oneDNN kernel.
func WithoutOneDNN() Option { return func(c *config) { c.noOneDNN = true } }

// WithStrict keeps to methods of convolution whose rounding error is that of the direct sum: no Winograd.
func WithStrict() Option { return func(c *config) { c.strict = true } }

// WithOverridableInitializers makes inputs that have a default in the file optional inputs; otherwise they are constants.
func WithOverridableInitializers() Option { return func(c *config) { c.overridable = true } }

// WithExtraOutputs makes values inside the model outputs, after its own.
func WithExtraOutputs(names ...string) Option {
	return func(c *config) { c.extraOutputs = append(c.extraOutputs, names...) }
}

// WithDim fixes the size of a symbolic dimension of the inputs.
func WithDim(name string, size int64) Option {
	return func(c *config) { c.dims = append(c.dims, dimBinding{name, size}) }
}

// WithMaxPlans bounds how many input-shape signatures keep their plan (default: 16, of small graphs up to 64).
func WithMaxPlans(n int) Option { return func(c *config) { c.maxPlans = n } }

// WithProgress is told, on the loading goroutine, how far a load is.
func WithProgress(f func(stage string, done, total uint64)) Option {
	return func(c *config) { c.progress = f }
}
