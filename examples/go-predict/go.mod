module example/predict

go 1.24

require github.com/tenon-ml/tenon/go v0.0.0

replace github.com/tenon-ml/tenon/go => ../../go
