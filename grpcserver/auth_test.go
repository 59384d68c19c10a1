package grpcserver

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// authText runs lines of auth calls against a door, in words like etcdctl's, and returns what
// each answered: its result, or the code and the text of its error.
type authText struct {
	ctx context.Context
	c   pb.AuthClient
}

func (a authText) run(line string) string {
	w := strings.Fields(line)
	arg := func(i int) string {
		if i < len(w) && w[i] != `""` {
			return w[i]
		}
		return ""
	}
	var err error
	said := "ok"
	switch w[0] + " " + arg(1) {
	case "auth enable":
		_, err = a.c.AuthEnable(a.ctx, &pb.AuthEnableRequest{})
	case "auth disable":
		_, err = a.c.AuthDisable(a.ctx, &pb.AuthDisableRequest{})
	case "auth status":
		var r *pb.AuthStatusResponse
		r, err = a.c.AuthStatus(a.ctx, &pb.AuthStatusRequest{})
		said = fmt.Sprintf("%v %d", r.GetEnabled(), r.GetAuthRevision())
	case "auth login":
		_, err = a.c.Authenticate(a.ctx, &pb.AuthenticateRequest{Name: arg(2), Password: arg(3)})
	case "user add":
		_, err = a.c.UserAdd(a.ctx, &pb.AuthUserAddRequest{Name: arg(2), Options: &authpb.UserAddOptions{NoPassword: true}})
	case "user get":
		var r *pb.AuthUserGetResponse
		r, err = a.c.UserGet(a.ctx, &pb.AuthUserGetRequest{Name: arg(2)})
		said = strings.Join(r.GetRoles(), " ")
	case "user list":
		var r *pb.AuthUserListResponse
		r, err = a.c.UserList(a.ctx, &pb.AuthUserListRequest{})
		said = strings.Join(r.GetUsers(), " ")
	case "user delete":
		_, err = a.c.UserDelete(a.ctx, &pb.AuthUserDeleteRequest{Name: arg(2)})
	case "user grant":
		_, err = a.c.UserGrantRole(a.ctx, &pb.AuthUserGrantRoleRequest{User: arg(2), Role: arg(3)})
	case "user revoke":
		_, err = a.c.UserRevokeRole(a.ctx, &pb.AuthUserRevokeRoleRequest{Name: arg(2), Role: arg(3)})
	case "role add":
		_, err = a.c.RoleAdd(a.ctx, &pb.AuthRoleAddRequest{Name: arg(2)})
	case "role get":
		var r *pb.AuthRoleGetResponse
		r, err = a.c.RoleGet(a.ctx, &pb.AuthRoleGetRequest{Role: arg(2)})
		var perms []string
		for _, p := range r.GetPerm() {
			perms = append(perms, fmt.Sprintf("%v %q %q", p.PermType, p.Key, p.RangeEnd))
		}
		said = strings.Join(perms, ", ")
	case "role list":
		var r *pb.AuthRoleListResponse
		r, err = a.c.RoleList(a.ctx, &pb.AuthRoleListRequest{})
		said = strings.Join(r.GetRoles(), " ")
	case "role delete":
		_, err = a.c.RoleDelete(a.ctx, &pb.AuthRoleDeleteRequest{Role: arg(2)})
	case "role grant":
		r := &pb.AuthRoleGrantPermissionRequest{Name: arg(2)}
		if len(w) > 3 {
			r.Perm = &authpb.Permission{
				PermType: authpb.Permission_Type(authpb.Permission_Type_value[arg(3)]), Key: unquoted(arg(4)), RangeEnd: unquoted(arg(5)),
			}
		}
		_, err = a.c.RoleGrantPermission(a.ctx, r)
	case "role revoke":
		_, err = a.c.RoleRevokePermission(a.ctx, &pb.AuthRoleRevokePermissionRequest{Role: arg(2), Key: unquoted(arg(3)), RangeEnd: unquoted(arg(4))})
	default:
		panic("no such call: " + line)
	}
	if err != nil {
		s, _ := status.FromError(err)
		return fmt.Sprintf("%v: %s", s.Code(), strings.TrimPrefix(s.Message(), "etcdserver: "))
	}
	return said
}

// unquoted is a key, in which \0 is a zero byte.
func unquoted(s string) []byte { return []byte(strings.ReplaceAll(s, `\0`, "\x00")) }

func TestAuthAnswersAsAnEtcdWithoutAccessControl(t *testing.T) {
	h := open(t)
	put(t, h.store, "a", nil)
	a := authText{t.Context(), pb.NewAuthClient(h.conn)}
	lines := historyLines(t, "testdata/auth.txt")
	for _, l := range lines {
		if got := a.run(l.call); got != l.answer {
			t.Errorf("auth.txt:%d: %s\n got %s\nwant %s", l.number, l.call, got, l.answer)
		}
	}
	if len(lines) < 80 {
		t.Errorf("%d lines were run", len(lines))
	}
	if rev := h.store.Status().Revisions[registry.SpaceKV]; rev != 2 {
		t.Errorf("the revision of the user's keys is %d", rev)
	}
}

type historyLine struct {
	number       int
	call, answer string
}

func historyLines(t *testing.T, file string) []historyLine {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []historyLine
	for i, line := range strings.Split(string(b), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		call, answer, ok := strings.Cut(line, " ->")
		if !ok {
			t.Fatalf("%s:%d: no answer in %q", file, i+1, line)
		}
		all = append(all, historyLine{i + 1, call, strings.TrimSpace(answer)})
	}
	return all
}

func TestAuthAnswersShowTheRevisionOfTheKeys(t *testing.T) {
	h := open(t)
	put(t, h.store, "a", nil)
	for _, call := range []struct{ path, body string }{
		{"status", ``},
		{"disable", ``},
		{"role/add", `"name":"r"`},
		{"role/grant", `"name":"r","perm":{"permType":"WRITE","key":"aw=="}`},
		{"role/get", `"role":"r"`},
		{"role/list", ``},
		{"user/add", `"name":"u","password":"p"`},
		{"user/changepw", `"name":"u","hashedPassword":""`},
		{"user/grant", `"user":"u","role":"r"`},
		{"user/get", `"name":"u"`},
		{"user/list", ``},
		{"user/revoke", `"name":"u","role":"r"`},
		{"user/delete", `"name":"u"`},
		{"role/revoke", `"role":"r","key":"aw=="`},
		{"role/delete", `"role":"r"`},
	} {
		code, answer := h.post("/v3/auth/"+call.path, "{"+call.body+"}")
		var said struct {
			Header struct{ Revision string }
		}
		if err := json.Unmarshal([]byte(answer), &said); err != nil || code != http.StatusOK || said.Header.Revision != "2" {
			t.Errorf("%s: %d %s", call.path, code, answer)
		}
	}
}

// storedUser is a user as the store has it.
func storedUser(t *testing.T, s registry.Store, name string) *authpb.User {
	t.Helper()
	res, err := s.Range(t.Context(), registry.RangeRequest{Space: registry.SpaceSystem, KeyRange: registry.One("auth/user/" + name)})
	if err != nil || len(res.KVs) != 1 {
		t.Fatalf("%d keys, %v", len(res.KVs), err)
	}
	u := new(authpb.User)
	if err := proto.Unmarshal(res.KVs[0].Value, u); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestPasswordsAreKeptAsHashes(t *testing.T) {
	h := open(t)
	c := pb.NewAuthClient(h.conn)
	elsewhere, err := bcrypt.GenerateFromPassword([]byte("made elsewhere"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	given := base64.StdEncoding.EncodeToString(elsewhere)
	fits := func(password string) {
		t.Helper()
		if err := bcrypt.CompareHashAndPassword(storedUser(t, h.store, "ann").Password, []byte(password)); err != nil {
			t.Errorf("%q is not the password: %v", password, err)
		}
	}
	add := func(r *pb.AuthUserAddRequest) {
		t.Helper()
		if _, err := c.UserAdd(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	change := func(r *pb.AuthUserChangePasswordRequest) {
		t.Helper()
		if _, err := c.UserChangePassword(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	add(&pb.AuthUserAddRequest{Name: "ann", Password: "first"})
	fits("first")
	if cost, err := bcrypt.Cost(storedUser(t, h.store, "ann").Password); err != nil || cost != bcrypt.DefaultCost {
		t.Errorf("cost %d, %v", cost, err)
	}
	change(&pb.AuthUserChangePasswordRequest{Name: "ann", HashedPassword: given})
	fits("made elsewhere")
	change(&pb.AuthUserChangePasswordRequest{Name: "ann", Password: strings.Repeat("x", 72), HashedPassword: given})
	fits(strings.Repeat("x", 72))
	change(&pb.AuthUserChangePasswordRequest{Name: "ann"})
	if p := storedUser(t, h.store, "ann").Password; len(p) != 0 {
		t.Errorf("no password was asked for, and %q is kept", p)
	}

	add(&pb.AuthUserAddRequest{Name: "bob", Password: "ignored", HashedPassword: "ignored", Options: &authpb.UserAddOptions{NoPassword: true}})
	change(&pb.AuthUserChangePasswordRequest{Name: "bob", HashedPassword: given})
	if u := storedUser(t, h.store, "bob"); len(u.Password) != 0 || !u.Options.GetNoPassword() {
		t.Errorf("a user without password has %v", u)
	}
	add(&pb.AuthUserAddRequest{Name: "cay", HashedPassword: given})
	if u := storedUser(t, h.store, "cay"); string(u.Password) != string(elsewhere) {
		t.Errorf("the hash that was given became %q", u.Password)
	}
}

func TestPasswordsThatAreRefused(t *testing.T) {
	h := open(t)
	c := pb.NewAuthClient(h.conn)
	form := "$2a$%02d$" + strings.Repeat("x", 53)
	for _, tc := range []struct{ what, password, hashed string }{
		{"longer than bcrypt takes", strings.Repeat("x", 73), ""},
		{"not base64", "", "$2a$04$"},
		{"not a hash", "", base64.StdEncoding.EncodeToString([]byte("secret"))},
		{"too short", "", base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf(form, 10)[:59]))},
		{"too long", "", base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf(form, 10) + "x"))},
		{"another alphabet", "", base64.StdEncoding.EncodeToString([]byte("$2a$10$" + strings.Repeat("*", 53)))},
		{"a cost that is too low", "", base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf(form, 3)))},
		{"a cost that would take days", "", base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf(form, 31)))},
	} {
		_, err := c.UserAdd(t.Context(), &pb.AuthUserAddRequest{Name: "ann", Password: tc.password, HashedPassword: tc.hashed})
		wantStatus(t, tc.what, err, codes.InvalidArgument, "")
	}
	_, err := c.UserGet(t.Context(), &pb.AuthUserGetRequest{Name: "ann"})
	wantStatus(t, "none of them was kept", err, codes.FailedPrecondition, rpctypes.ErrorDesc(rpctypes.ErrGRPCUserNotFound))
}

// TestAuthChangesOfManyServersAreOneAfterAnother lets two doors over one store make changes
// that rest on each other: none is lost, and no user has a role that does not exist.
func TestAuthChangesOfManyServersAreOneAfterAnother(t *testing.T) {
	first := open(t)
	second := openOver(t, first.store)
	const users, rounds = 6, 15
	clients := []authText{{t.Context(), pb.NewAuthClient(first.conn)}, {t.Context(), pb.NewAuthClient(second.conn)}}
	for i := range users {
		if said := clients[0].run(fmt.Sprintf("user add u%d", i)); said != "ok" {
			t.Fatal(said)
		}
	}
	before := authRevision(t, clients[0])
	var mu sync.Mutex
	changes := 0
	allowed := map[string]bool{
		"ok": true, "FailedPrecondition: role name already exists": true, "FailedPrecondition: role name not found": true,
		"FailedPrecondition: role is not granted to the user": true,
	}
	var wg sync.WaitGroup
	for who := range 2 * len(clients) {
		wg.Go(func() {
			c := clients[who%len(clients)]
			for i := range rounds {
				for _, call := range []string{
					"role add r", fmt.Sprintf("user grant u%d r", (who+i)%users), fmt.Sprintf("role add own%d-%d", who, i), "role delete r",
				} {
					said := c.run(call)
					mu.Lock()
					if !allowed[said] {
						t.Errorf("%s: %s", call, said)
					}
					if said == "ok" && !strings.HasPrefix(call, "user grant") {
						changes++
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	c := clients[1]
	c.run("role delete r")
	for i := range users {
		if said := c.run(fmt.Sprintf("user get u%d", i)); said != "" {
			t.Errorf("u%d has the role %s, which was deleted", i, said)
		}
	}
	if n := len(strings.Fields(c.run("role list"))); n != 2*len(clients)*rounds {
		t.Errorf("%d roles are left", n)
	}
	if after := authRevision(t, c); after < before+uint64(changes) {
		t.Errorf("%d changes moved the revision from %d to %d", changes, before, after)
	}
}

func authRevision(t *testing.T, a authText) uint64 {
	t.Helper()
	r, err := a.c.AuthStatus(a.ctx, &pb.AuthStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return r.AuthRevision
}

// outrun is a store in which somebody else always comes first.
type outrun struct{ registry.Store }

func (s outrun) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	other := registry.PutRequest{Space: registry.SpaceSystem, Key: authRevisionKey}
	if _, err := registry.Put(ctx, s.Store, other); err != nil {
		return registry.TxnResult{}, err
	}
	return s.Store.Txn(ctx, t)
}

func TestAuthChangeThatNeverComesFirstIsGivenUp(t *testing.T) {
	m := storetest.NewMemory(t)
	h := openOver(t, m, func(_ *Config, host *plugin.Host) { host.Store = outrun{m} })
	_, err := pb.NewAuthClient(h.conn).RoleAdd(t.Context(), &pb.AuthRoleAddRequest{Name: "r"})
	wantStatus(t, "role add", err, codes.ResourceExhausted, rpctypes.ErrorDesc(rpctypes.ErrGRPCRequestTooManyRequests))
}

func TestAuthWithoutALeader(t *testing.T) {
	h := open(t)
	a := authText{t.Context(), pb.NewAuthClient(h.conn)}
	h.store.SetOutage(registry.ErrNoLeader)
	for call, want := range map[string]string{
		"user add u": "Unavailable: no leader",
		"user list":  "Unavailable: no leader",
		"auth login": "FailedPrecondition: authentication is not enabled",
	} {
		if got := a.run(call); got != want {
			t.Errorf("%s: %s, want %s", call, got, want)
		}
	}
}

func TestAuthRecordThatIsDamaged(t *testing.T) {
	h := open(t)
	a := authText{t.Context(), pb.NewAuthClient(h.conn)}
	damaged := registry.PutRequest{Space: registry.SpaceSystem, Key: "auth/user/ann", Value: []byte("\xff\xff")}
	if _, err := registry.Put(t.Context(), h.store, damaged); err != nil {
		t.Fatal(err)
	}
	if got := a.run("user get ann"); !strings.HasPrefix(got, "Unknown: herald: ") || !strings.Contains(got, "auth/user/ann") {
		t.Error(got)
	}
	if got := a.run("user delete ann"); got != "ok" {
		t.Error(got)
	}
}

// TestPermissionsAreAMapInOrder grants and revokes at random, and holds what the role tells
// against a map of ranges.
func TestPermissionsAreAMapInOrder(t *testing.T) {
	h := open(t)
	c := pb.NewAuthClient(h.conn)
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		if _, err := c.RoleAdd(ctx, &pb.AuthRoleAddRequest{Name: "r"}); err != nil {
			t.Fatal(err)
		}
		granted := map[string]string{}
		for range rapid.IntRange(1, 25).Draw(t, "calls") {
			key := rapid.SampledFrom([]string{"a", "b", "\x00", "a\xff"}).Draw(t, "key")
			end := rapid.SampledFrom([]string{"", "c", "\x00", "d"}).Draw(t, "end")
			at := fmt.Sprintf("%q %q", key, end)
			if rapid.Bool().Draw(t, "revoke") {
				_, err := c.RoleRevokePermission(ctx, &pb.AuthRoleRevokePermissionRequest{Role: "r", Key: []byte(key), RangeEnd: []byte(end)})
				if _, ok := granted[at]; ok != (err == nil) {
					t.Fatalf("revoke %s, which is granted: %v; %v", at, ok, err)
				}
				delete(granted, at)
				continue
			}
			kind := authpb.Permission_Type(rapid.IntRange(0, 2).Draw(t, "type"))
			p := &authpb.Permission{PermType: kind, Key: []byte(key), RangeEnd: []byte(end)}
			if _, err := c.RoleGrantPermission(ctx, &pb.AuthRoleGrantPermissionRequest{Name: "r", Perm: p}); err != nil {
				t.Fatal(err)
			}
			granted[at] = kind.String()
		}
		r, err := c.RoleGet(ctx, &pb.AuthRoleGetRequest{Role: "r"})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range r.Perm {
			at := fmt.Sprintf("%q %q", p.Key, p.RangeEnd)
			if granted[at] != p.PermType.String() {
				t.Errorf("%s is %v, want %s", at, p.PermType, granted[at])
			}
			if i > 0 && cmp.Or(bytes.Compare(r.Perm[i-1].Key, p.Key), bytes.Compare(r.Perm[i-1].RangeEnd, p.RangeEnd)) >= 0 {
				t.Errorf("%s is out of order", at)
			}
		}
		if len(r.Perm) != len(granted) {
			t.Errorf("%v, want %v", r.Perm, granted)
		}
		if _, err := c.RoleDelete(ctx, &pb.AuthRoleDeleteRequest{Role: "r"}); err != nil {
			t.Fatal(err)
		}
	})
}
