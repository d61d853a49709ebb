module example.com/benchmarks_on

go 1.22
