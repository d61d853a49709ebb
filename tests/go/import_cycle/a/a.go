package a

import _ "example.com/import_cycle/b"
