package panics

func Divide(a, b int) int { return a / b }
