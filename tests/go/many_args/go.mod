module example.com/many_args

go 1.22
