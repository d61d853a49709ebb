package secret

const Word = "swordfish"
