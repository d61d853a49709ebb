package b

import _ "example.com/import_cycle/a"
