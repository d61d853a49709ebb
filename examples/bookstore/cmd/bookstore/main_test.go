package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	output, stdout := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-addr", "127.0.0.1:0"}, stdout, io.Discard)
		stdout.Close()
	}()
	url, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("no URL: %v (run: %v)", err, <-done)
	}
	answer, err := http.Get(strings.TrimSpace(url) + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("health: %s", answer.Status)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func TestRunErrors(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown flag": {"-colour", "red"},
		"bad address":  {"-addr", "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(context.Background(), args, io.Discard, io.Discard); err == nil {
				t.Errorf("run(%q) succeeded", args)
			}
		})
	}
}
