package generic

func Max[T int | int64 | string](a, b T) T {
	if a > b {
		return a
	}
	return b
}
