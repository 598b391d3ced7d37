package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	tenon "github.com/tenon-ml/tenon/go"
)

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	response, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

func TestPredict(t *testing.T) {
	model, err := tenon.Open("../digits/digits.onnx")
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { predict(model, w, r) }))
	defer server.Close()

	row := "[" + strings.Repeat("0.5,", 7) + "0.5]"
	good := `{"image": [[[` + strings.Repeat(row+",", 7) + row + `]]]}`
	var wait sync.WaitGroup
	for range 64 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			status, text := post(t, server.URL, good)
			var out struct{ Probabilities [][]float64 }
			if err := json.Unmarshal([]byte(text), &out); err != nil || status != 200 || len(out.Probabilities) != 1 || len(out.Probabilities[0]) != 10 {
				t.Errorf("%d %s %v", status, text, err)
			}
		}()
	}
	wait.Wait()

	for body, word := range map[string]string{
		`{`:                             "JSON",
		`{"image": "seven"}`:            "image",
		`{"image": [[[[1, 2], [3]]]]}`:  "image",
		`{"image": [[[[1, 2]]]]}`:       "image",
		`{"picture": 1}`:                "picture",
		`{}`:                            "image",
		strings.Repeat("[", 100000):     "JSON",
		good + `{}`:                     "after",
		`{"image": [[[[1e999]]]]}`:      "image",
		`{"image": [[[[null, true]]]]}`: "image",
	} {
		status, text := post(t, server.URL, body)
		if status != 400 || !strings.Contains(text, word) {
			t.Errorf("%.40s: %d %s, expected 400 and %q", body, status, text, word)
		}
	}
}
