module example.com/vet_failure

go 1.22
