module example.com/synctest_deadlock

go 1.25
