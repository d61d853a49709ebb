package lib

const Answer = 42
