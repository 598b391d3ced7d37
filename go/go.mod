module github.com/tenon-ml/tenon/go

go 1.24
