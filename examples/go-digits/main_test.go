package main

import "testing"

func TestRecognise(t *testing.T) {
	right, count, err := recognise("../digits")
	if err != nil || count == 0 || right*10 < count*9 {
		t.Fatalf("%d of %d right, %v", right, count, err)
	}
}
