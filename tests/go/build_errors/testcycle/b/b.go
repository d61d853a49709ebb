package b

import "example.com/build_errors/testcycle/a"

const B = a.A
