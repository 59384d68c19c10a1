// Package recursor has questions about names that are not ours answered by other
// servers, the recursors.
//
// It is handed a query and gives back the answer, both as packets, with everything in
// between: which recursor is asked and which after it, over what, how long, and
// whether what comes back is an answer to that question (RFC 5452): each question to
// a recursor has a socket of its own with a port that the system chooses at random and a
// random id, and an answer counts only if it repeats the question in the case it was
// asked in. What is said to this server alone (cookies, keepalive, padding,
// NSID) goes no further in either direction.
//
// A recursor that several tries in a row brought nothing from is asked after the
// others, so that it costs nobody its timeout. Now and then a question that another is asked
// goes to it, too, to see whether it is back. One that answers only without EDNS is asked without.
//
// It refuses to know which names are ours, what the server's own answers look like
// and how an error is told to a client, beyond its code (ExtendedError). It keeps no
// answers.
//
// Goroutines: a question that nobody is being asked yet starts one, which is over
// when it is answered or every recursor has had its time, and one for each dead recursor that it is sent to meanwhile; those who ask the same
// meanwhile wait for it too. That, and a bound on the number of all, is what
// becomes of a recursor that is, by way of others or at once, this server itself: the question that comes
// back waits for its own answer until the time is over, and none is sent for it. Close ends
// and waits for them all.
package recursor
