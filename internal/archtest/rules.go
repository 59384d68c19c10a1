package archtest

// rule is a house rule.
type rule struct {
	name  string
	check func(*tree) []violation
}

// rules are all of them.
var rules = []rule{
	{"import directions", importDirections},
	{"third-party homes", thirdPartyHomes},
	{"package comments", packageComments},
	{"package names", packageNames},
	{"determinism", determinism},
	{"quiet libraries", quietLibraries},
	{"registration in setup.go", registrationInSetup},
	{"no testing in code", noTestingInCode},
	{"no sleeping tests", sleepingTests},
	{"no skipped tests", skippedTests},
	{"nothing left for later", nothingLeftForLater},
}
