package a

import _ "example.com/build_errors/cycle/b"
