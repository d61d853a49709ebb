module example.com/tags_off

go 1.22
