module example.com/parallel_exchange

go 1.22
