module example.com/test_args

go 1.22
