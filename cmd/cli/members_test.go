package cli

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"herald/httpserver/api"
	"herald/registry"
)

// cluster answers as the servers of a cluster do, and notes what it is asked to change.
type cluster struct {
	members []registry.Member
	asked   []string
	url     string
}

func clusterOf(t *testing.T, members ...registry.Member) *cluster {
	c := &cluster{members: members}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/members" {
		c.asked = append(c.asked, r.Method+" "+r.URL.RequestURI())
		return
	}
	m := api.Members{Members: c.members, Tolerance: registry.ToleranceOf(c.members), Status: registry.Status{Term: 7}}
	_ = json.NewEncoder(w).Encode(m)
}

func server(name string, change ...func(*registry.Member)) registry.Member {
	m := registry.Member{
		ID: "id-" + name, Name: name, Address: name + ":7400", Suffrage: registry.Voter, Alive: true, Version: "1.2.3", Term: 7, LastIndex: 100,
	}
	for _, f := range change {
		f(&m)
	}
	return m
}

func leads(m *registry.Member)    { m.Leader = true }
func nonVoter(m *registry.Member) { m.Suffrage, m.LastIndex, m.Lag = registry.NonVoter, 40, 60 }
func dead(m *registry.Member) {
	*m = registry.Member{ID: m.ID, Name: m.Name, Address: m.Address, Suffrage: m.Suffrage, Error: "no answer within 1s"}
}

func TestMembersTable(t *testing.T) {
	for _, tc := range []struct {
		name    string
		members []registry.Member
		want    string
	}{
		{"three", []registry.Member{server("a"), server("b", leads), server("c")}, `
NAME  ID    ADDRESS  STATUS  ROLE      VOTE  TERM  LAST INDEX  LAG  VERSION
a     id-a  a:7400   alive   follower  yes   7     100         0    1.2.3
b     id-b  b:7400   alive   leader    yes   7     100         0    1.2.3
c     id-c  c:7400   alive   follower  yes   7     100         0    1.2.3

leader: b, term 7
survives 1 failure now (3 voters, 3 alive, quorum 2)
`},
		{"one of three is dead", []registry.Member{server("a", leads), server("b"), server("c", dead)}, `
NAME  ID    ADDRESS  STATUS  ROLE      VOTE  TERM  LAST INDEX  LAG  VERSION
a     id-a  a:7400   alive   leader    yes   7     100         0    1.2.3
b     id-b  b:7400   alive   follower  yes   7     100         0    1.2.3
c     id-c  c:7400   dead    follower  yes   -     -           -    -

leader: a, term 7
survives 0 failures now (3 voters, 2 alive, quorum 2)
warning: if one more voter fails, writes stop
c: no answer within 1s
`},
		{"two of three are dead", []registry.Member{server("a"), server("b", dead), server("c", dead, func(m *registry.Member) { m.Name = "" })}, `
NAME  ID    ADDRESS  STATUS  ROLE      VOTE  TERM  LAST INDEX  LAG  VERSION
a     id-a  a:7400   alive   follower  yes   7     100         0    1.2.3
b     id-b  b:7400   dead    follower  yes   -     -           -    -
-     id-c  c:7400   dead    follower  yes   -     -           -    -

leader: none is known to the asked server
writes have stopped (3 voters, 1 alive, quorum 2): 1 voter must come back
b: no answer within 1s
id-c: no answer within 1s
`},
		{"four", []registry.Member{server("a", leads), server("b"), server("c"), server("d"), server("e", nonVoter)}, `
NAME  ID    ADDRESS  STATUS  ROLE      VOTE     TERM  LAST INDEX  LAG  VERSION
a     id-a  a:7400   alive   leader    yes      7     100         0    1.2.3
b     id-b  b:7400   alive   follower  yes      7     100         0    1.2.3
c     id-c  c:7400   alive   follower  yes      7     100         0    1.2.3
d     id-d  d:7400   alive   follower  yes      7     100         0    1.2.3
e     id-e  e:7400   alive   follower  not yet  7     40          60   1.2.3

leader: a, term 7
survives 1 failure now (4 voters, 4 alive, quorum 3)
warning: 4 voters survive no more failures than 3: add one, or remove one
`},
		{"one", []registry.Member{server("a", leads)}, `
NAME  ID    ADDRESS  STATUS  ROLE    VOTE  TERM  LAST INDEX  LAG  VERSION
a     id-a  a:7400   alive   leader  yes   7     100         0    1.2.3

leader: a, term 7
survives 0 failures now (1 voter, 1 alive, quorum 1)
`},
		{"none", nil, `
NAME  ID  ADDRESS  STATUS  ROLE  VOTE  TERM  LAST INDEX  LAG  VERSION

leader: none is known to the asked server
the asked server is part of no cluster yet; its log says what it waits for
`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := clusterOf(t, tc.members...)
			stdout, stderr, status := run("members", "--server", c.url)
			if status != 0 || "\n"+stdout != tc.want {
				t.Errorf("status %d %s\n%s\nwant%s", status, stderr, stdout, tc.want)
			}
			stdout, _, _ = run("members", "-o", "json", "--server", c.url)
			var m api.Members
			if err := json.Unmarshal([]byte(stdout), &m); err != nil || len(m.Members) != len(tc.members) || m.Tolerance != registry.ToleranceOf(tc.members) {
				t.Errorf("%v: %s", err, stdout)
			}
		})
	}
}

func TestMembershipCommands(t *testing.T) {
	twins := []registry.Member{server("a", leads), server("b"), server("c"), server("b", func(m *registry.Member) { m.ID = "id-b2" })}
	for _, tc := range []struct {
		args   string
		status int
		asked  string
		says   string // in what is printed
	}{
		{"members remove c", 0, "DELETE /v1/operator/raft/peer?id=id-c", "removed c (id-c)"},
		{"members remove id-b2", 0, "DELETE /v1/operator/raft/peer?id=id-b2", "removed b (id-b2)"},
		{"members remove b", 1, "", "id-b or id-b2"},
		{"members remove x", 1, "", `"x" is neither`},
		{"members remove", 2, "", "accepts 1 arg"},
		{"members bogus", 2, "", `unknown command "bogus"`},
		{"members transfer", 0, "POST /v1/operator/raft/transfer-leader", "a leads now, term 7"},
		{"members transfer c", 0, "POST /v1/operator/raft/transfer-leader?id=id-c", "a leads now"},
		{"members transfer x", 1, "", `"x" is neither`},
		{"join b", 0, "PUT /v1/agent/join/b:7400", "of b:7400"},
		{"join b:7401", 0, "PUT /v1/agent/join/b:7401", "of b:7401"},
		{"join http://b:7400", 2, "", "no peer address"},
		{"leave", 0, "PUT /v1/agent/leave", "has left its cluster"},
		{"leave x", 2, "", "unknown command"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			c := clusterOf(t, twins...)
			stdout, stderr, status := run(append(strings.Fields(tc.args), "--server", c.url)...)
			if status != tc.status || !strings.Contains(stdout+stderr, tc.says) {
				t.Errorf("status %d, %q %q; want %d and %q", status, stdout, stderr, tc.status, tc.says)
			}
			var want []string
			if tc.asked != "" {
				want = []string{tc.asked}
			}
			if !slices.Equal(c.asked, want) {
				t.Errorf("asked %q, want %q", c.asked, want)
			}
		})
	}
}

// A server whose name is not known is not called "".
func TestFindMemberOfNoName(t *testing.T) {
	all := []registry.Member{server("a", leads), {ID: "id-b"}}
	for _, word := range []string{"", "-"} {
		if m, err := findMember(all, word); !errors.Is(err, registry.ErrMemberNotFound) {
			t.Errorf("%q: %+v, %v", word, m, err)
		}
	}
}

func TestPeerAddress(t *testing.T) {
	for word, want := range map[string]string{
		"10.0.0.1": "10.0.0.1:7400", "10.0.0.1:7401": "10.0.0.1:7401", "herald-1.example": "herald-1.example:7400",
		"::1": "[::1]:7400", "[::1]": "[::1]:7400", "[::1]:7402": "[::1]:7402", "a_b:1": "a_b:1",
		"": "", ":7400": "", "a:": "", "a:0": "", "a:x": "", "a:65536": "", "http://a:7400": "", "a/b": "", "a b:1": "", "a:1:2": "",
	} {
		got, err := peerAddress(word)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", word, got, err, want)
		}
	}
}
