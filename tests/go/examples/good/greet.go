package good

func Greet(name string) string { return "hello, " + name }
