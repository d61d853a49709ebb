// Package untested has no test files.
package untested
