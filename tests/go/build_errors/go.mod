module example.com/build_errors

go 1.22
