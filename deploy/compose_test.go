package deploy

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// composeFile is what our compose files use of the format.
type composeFile struct {
	Name     string
	Template composeService `yaml:"x-herald"`
	Services map[string]composeService
	Volumes  map[string]any
}

type composeService struct {
	Image string
	Build struct {
		Context    string
		Dockerfile string
	}
	Restart     string
	ReadOnly    bool `yaml:"read_only"`
	Tmpfs       []string
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	StopGrace   string   `yaml:"stop_grace_period"`
	Hostname    string
	Command     []string
	Volumes     []string
	Ports       []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	NetworkMode string                                `yaml:"network_mode"`
}

func (s composeService) isHerald() bool { return s.Image == "herald" }

func TestCompose(t *testing.T) {
	for file, servers := range map[string]int{"compose/compose.yaml": 3, "compose/single.yaml": 1} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			docs := documents(t, file)
			var c composeFile
			if err := decode(docs[0], &c); err != nil || len(docs) != 1 {
				t.Fatalf("%d documents: %v", len(docs), err)
			}
			started := map[string]int{}
			for name, s := range c.Services {
				if s.isHerald() {
					started[s.Command[0]]++
					checkComposeService(t, c, name, s)
				}
				checkComposeReferences(t, c, name, s)
			}
			if started["server"] != servers || started["agent"] != 1 {
				t.Errorf("it starts %v, want %d servers and an agent", started, servers)
			}
		})
	}
}

// checkComposeService checks what is Herald's: its settings, and that the addresses in
// them are those of the other services.
func checkComposeService(t *testing.T, c composeFile, name string, s composeService) {
	env := imageEnv(t)
	effective, err := settings(env, s.Command)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if got := effective["node.name"].text(); got != name || s.Hostname != name {
		t.Errorf("%s: node.name is %s and the host name %s, want both as the service", name, got, s.Hostname)
	}
	if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		t.Errorf("%s may write its image, use capabilities or gain privileges", name)
	}
	if !slices.ContainsFunc(s.Volumes, func(v string) bool { return strings.HasSuffix(v, ":"+effective["data_dir"].text()) }) {
		t.Errorf("%s: no volume on its data directory", name)
	}

	var servers []string
	for other, o := range c.Services {
		if o.isHerald() && o.Command[0] == "server" {
			servers = append(servers, other)
		}
	}
	port := portOf(env["HERALD_DOORS_HTTP_ADDRESS"])
	if s.Command[0] == "server" {
		port = portOf(effective["peer.address"].text())
	}
	var want []string
	for _, other := range servers {
		want = append(want, other+":"+port)
	}
	if s.Command[0] == "server" {
		told := "http://" + name + ":" + portOf(effective["doors.etcd.address"].text())
		if err := sameElements(name+": where etcd's clients are told that it is", texts(effective["doors.etcd.advertise"].Value), []string{told}); err != nil {
			t.Error(err)
		}
	}
	if s.Command[0] == "server" && len(servers) == 1 {
		return // nobody to join
	}
	if err := sameElements(name+": the addresses to join", texts(effective["join"].Value), want); err != nil {
		t.Error(err)
	}
	if s.Command[0] == "agent" {
		return
	}
	if got := effective["peer.advertise"].text(); got != name+":"+port {
		t.Errorf("%s: the others reach it at %s, want its own name", name, got)
	}
	if got := effective["raft.bootstrap_expect"].Value; got != float64(len(servers)) {
		t.Errorf("%s: it starts a cluster of %v, and there are %d servers", name, got, len(servers))
	}
}

// checkComposeReferences checks that what a service names is there.
func checkComposeReferences(t *testing.T, c composeFile, name string, s composeService) {
	for other, d := range s.DependsOn {
		if _, ok := c.Services[other]; !ok || d.Condition != "service_healthy" {
			t.Errorf("%s waits for %s to be %s: no such service, or not its health", name, other, d.Condition)
		}
	}
	if other, ok := strings.CutPrefix(s.NetworkMode, "service:"); ok {
		if _, ok := c.Services[other]; !ok {
			t.Errorf("%s shares the network of %s, which is no service", name, other)
		}
	}
	for _, v := range s.Volumes {
		source, _, _ := strings.Cut(v, ":")
		if strings.HasPrefix(source, ".") {
			if _, err := os.Stat(filepath.Join("compose", source)); err != nil {
				t.Errorf("%s mounts %s: %v", name, source, err)
			}
		} else if _, ok := c.Volumes[source]; !ok {
			t.Errorf("%s mounts the volume %s, which is not among %v", name, source, slices.Sorted(maps.Keys(c.Volumes)))
		}
	}
	if s.Build.Dockerfile != "" {
		if _, err := os.Stat(filepath.Join("compose", s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Errorf("%s is built from: %v", name, err)
		}
	}
}

// texts is the elements of a list that came out of JSON.
func texts(v any) []string {
	list, _ := v.([]any)
	var all []string
	for _, e := range list {
		s, _ := e.(string)
		all = append(all, s)
	}
	return all
}
