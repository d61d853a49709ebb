package broken

func Value() int { return missing }
