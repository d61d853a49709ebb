module example.com/big_output

go 1.22
