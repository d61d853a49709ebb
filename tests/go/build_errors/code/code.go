package code

func Answer() string { var n int = "forty-two"; return "" }
