module example.com/artifacts

go 1.26
