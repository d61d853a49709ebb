module example.com/tags_on

go 1.22
