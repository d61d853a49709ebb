module example.com/endless_line

go 1.22
