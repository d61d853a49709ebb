package wrong

func Greet(name string) string { return "hello, " + name }
