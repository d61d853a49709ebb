module example.com/no_tests

go 1.22
