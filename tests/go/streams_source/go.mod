module example.test/streams

go 1.20
