//go:build go1.26

package attrs

import "testing"

func TestArtifacts(t *testing.T) { _ = t.ArtifactDir() }
