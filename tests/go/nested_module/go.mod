module example.com/nested_module

go 1.22
