// Package archtest holds the house rules as tests: which package may import which,
// where each third-party module lives, and the few habits that a reviewer
// would otherwise have to look for in every change.
//
// It reads source text and nothing else. The files are parsed rather than asked
// for with the go command, because a go command that runs inside a test
// reads files the test cache does not know of, and a stale "ok" would
// be served after the import that breaks the rule was added. Reading them through
// os.DirFS makes every one of them an input of the cached result.
//
// Each rule is a function from a tree of files to violations, so that the rules
// themselves are tested, on small trees that break them. The package starts
// no goroutine and is imported by nobody.
package archtest
