module example.com/same_last_element

go 1.22
