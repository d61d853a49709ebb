package unknown

import "testing"

//pytest:usefixture till
func TestTypo(t *testing.T) {}
