module example.com/stubborn_child

go 1.22
