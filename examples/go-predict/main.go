package main // a model behind HTTP: POST /predict takes and returns JSON; usage: go run . ../digits/digits.onnx

import (
	"encoding/json"
	"log"
	"net/http"
	"os"

	tenon "github.com/tenon-ml/tenon/go"
)

func predict(model *tenon.Model, w http.ResponseWriter, r *http.Request) {
	out, err := model.RunJSON(r.Context(), http.MaxBytesReader(w, r.Body, 32<<20))
	if err != nil { // names the input and says what was expected and what came
		http.Error(w, err.Error(), tenon.HTTPStatus(err))
		return
	}
	defer tenon.CloseAll(out)
	json.NewEncoder(w).Encode(out)
}

func main() {
	model, err := tenon.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /predict", func(w http.ResponseWriter, r *http.Request) { predict(model, w, r) })
	log.Fatal(http.ListenAndServe("localhost:8000", nil))
}
