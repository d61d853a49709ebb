module example.com/benchmarks_off

go 1.22
