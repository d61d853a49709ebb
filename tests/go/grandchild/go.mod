module example.com/grandchild

go 1.22
