package cgo

/*
static int sum(int a, int b) { return a + b; }
static void crash(void) { *(volatile int *)8 = 1; }
*/
import "C"

func Sum(a, b int) int { return int(C.sum(C.int(a), C.int(b))) }

func Crash() { C.crash() }
