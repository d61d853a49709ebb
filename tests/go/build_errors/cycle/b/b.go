package b

import _ "example.com/build_errors/cycle/a"
