//pytest:mark slow
//pytest:usefixtures counter
package filewide

import "testing"

func TestOne(t *testing.T) {}

//pytest:skip reason="not today"
func TestTwo(t *testing.T) {}
