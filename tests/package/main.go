//go:build ignore

// A Go program that finds an installed Tenon with pkg-config. Built by package_test.cmake.
package main

import (
	"errors"
	"fmt"
	"os"

	tenon "github.com/tenon-ml/tenon/go"
)

func main() {
	_, err := tenon.Open("nowhere.onnx")
	var known *tenon.Error
	if !errors.As(err, &known) {
		fmt.Println("expected a tenon.Error, got", err)
		os.Exit(1)
	}
	fmt.Println(known)
}
