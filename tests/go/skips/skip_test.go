package skips

import "testing"

func TestSkipsWithReason(t *testing.T) {
	t.Skipf("no printer on floor %d", 3)
}

func TestSkipsWithoutReason(t *testing.T) {
	t.SkipNow()
}

func TestErrorThenSkip(t *testing.T) {
	t.Error("wrong first")
	t.Skip("then skipped")
}

func TestParentSkipsLate(t *testing.T) {
	t.Run("ran", func(t *testing.T) {})
	t.Skip("the rest needs root")
}

func TestParentOfSkipped(t *testing.T) {
	t.Run("linux only", func(t *testing.T) { t.Skip("not here") })
	t.Run("always", func(t *testing.T) {})
}

func TestParentSkipsAfterFailure(t *testing.T) {
	t.Run("bad", func(t *testing.T) { t.Error("bad indeed") })
	t.Skip("too late")
}

func TestShort(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	t.Error("run although -short")
}

func needDocker(t *testing.T) {
	t.Helper()
	t.Skip("docker is not there")
}

func TestSkipsInHelper(t *testing.T) {
	needDocker(t)
}

func TestParallelSkip(t *testing.T) {
	t.Parallel()
	t.Skip("in parallel")
}
