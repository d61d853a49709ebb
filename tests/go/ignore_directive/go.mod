module example.com/ignore_directive

go 1.25

ignore ./third_party
