package embedded

import _ "embed"

//go:embed schema.sql
var Schema string
