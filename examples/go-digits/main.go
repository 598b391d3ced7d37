// Recognises the test images of the digits example, in Go.
//
//	go run . [DIRECTORY]        where digits.onnx, images.npy and labels.npy are
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"

	tenon "github.com/tenon-ml/tenon/go"
)

// readNPY is the elements of a .npy file: what follows its header.
func readNPY[T any](path string) ([]T, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var zero T
	raw = raw[10+int(raw[8])+256*int(raw[9]):]
	values := make([]T, len(raw)/binary.Size(zero))
	_, err = binary.Decode(raw, binary.LittleEndian, values)
	return values, err
}

func recognise(directory string) (right, count int, err error) {
	model, err := tenon.Open(filepath.Join(directory, "digits.onnx"))
	if err != nil {
		return 0, 0, err
	}
	defer model.Close()
	images, err := readNPY[float32](filepath.Join(directory, "images.npy"))
	if err != nil {
		return 0, 0, err
	}
	labels, err := readNPY[int64](filepath.Join(directory, "labels.npy"))
	if err != nil {
		return 0, 0, err
	}
	input, err := tenon.FromSlice(images, int64(len(labels)), 1, 8, 8)
	if err != nil {
		return 0, 0, err
	}
	defer input.Close()
	out, err := model.Run(context.Background(), map[string]*tenon.Tensor{"image": input})
	if err != nil {
		return 0, 0, err
	}
	defer out["probabilities"].Close()
	probabilities, err := tenon.Data[float32](out["probabilities"])
	if err != nil {
		return 0, 0, err
	}
	for i, label := range labels {
		best, row := 0, probabilities[i*10:(i+1)*10]
		for class := range row {
			if row[class] > row[best] {
				best = class
			}
		}
		if int64(best) == label {
			right++
		}
		if i < 5 {
			fmt.Printf("image %d: %d (%.0f %%), is %d\n", i, best, row[best]*100, label)
		}
	}
	return right, len(labels), nil
}

func main() {
	directory := "../digits"
	if len(os.Args) > 1 {
		directory = os.Args[1]
	}
	right, count, err := recognise(directory)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d right\n", right, count)
}
