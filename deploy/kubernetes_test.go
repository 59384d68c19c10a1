package deploy

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// manifests are all objects that "kubectl apply -k" makes.
type manifests struct {
	namespaces   []namespace
	services     map[string]service
	statefulSets []statefulSet
	budgets      []disruptionBudget
}

func readManifests(t *testing.T) manifests {
	t.Helper()
	var k kustomization
	if err := decode(documents(t, "kubernetes/kustomization.yaml")[0], &k); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	listed := []string{"kustomization.yaml"}
	var present []string
	for _, e := range entries {
		present = append(present, e.Name())
	}
	if err := sameElements("the files in kubernetes", present, append(listed, k.Resources...)); err != nil {
		t.Error(err)
	}

	m := manifests{services: map[string]service{}}
	for _, file := range k.Resources {
		for _, doc := range documents(t, filepath.Join("kubernetes", file)) {
			if err := m.add(doc); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if len(m.namespaces) != 1 || len(m.statefulSets) != 1 || len(m.budgets) != 1 {
		t.Fatalf("%d namespaces, %d stateful sets, %d disruption budgets, want one of each",
			len(m.namespaces), len(m.statefulSets), len(m.budgets))
	}
	if k.Namespace != m.namespaces[0].Metadata.Name {
		t.Errorf("everything goes to the namespace %s, and %s is made", k.Namespace, m.namespaces[0].Metadata.Name)
	}
	return m
}

func (m *manifests) add(doc []byte) error {
	var head struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
	}
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return err
	}
	switch head.APIVersion + " " + head.Kind {
	case "v1 Namespace":
		m.namespaces = append(m.namespaces, namespace{})
		return decode(doc, &m.namespaces[len(m.namespaces)-1])
	case "v1 Service":
		var s service
		err := decode(doc, &s)
		m.services[s.Metadata.Name] = s
		return err
	case "apps/v1 StatefulSet":
		m.statefulSets = append(m.statefulSets, statefulSet{})
		return decode(doc, &m.statefulSets[len(m.statefulSets)-1])
	case "policy/v1 PodDisruptionBudget":
		m.budgets = append(m.budgets, disruptionBudget{})
		return decode(doc, &m.budgets[len(m.budgets)-1])
	}
	return fmt.Errorf("no %s %s is expected", head.APIVersion, head.Kind)
}

func TestKubernetesSelectors(t *testing.T) {
	m := readManifests(t)
	set := m.statefulSets[0].Spec
	pods := set.Template.Metadata.Labels
	selectors := map[string]map[string]string{
		"the stateful set":      set.Selector.MatchLabels,
		"the disruption budget": m.budgets[0].Spec.Selector.MatchLabels,
	}
	for name, s := range m.services {
		selectors["the service "+name] = s.Spec.Selector
	}
	for _, r := range set.Template.Spec.Affinity.PodAntiAffinity.Required {
		selectors["the anti-affinity"] = r.LabelSelector.MatchLabels
	}
	if len(selectors) != 5 {
		t.Errorf("selectors of %v, want those of two services and the anti-affinity too", slices.Sorted(maps.Keys(selectors)))
	}
	for what, s := range selectors {
		for k, v := range s {
			if pods[k] != v {
				t.Errorf("%s selects %s=%s, and the pods have %q", what, k, v, pods[k])
			}
		}
		if len(s) == 0 {
			t.Errorf("%s selects everything", what)
		}
	}

	peers, ok := m.services[set.ServiceName]
	if !ok || peers.Spec.ClusterIP != "None" || !peers.Spec.PublishNotReadyAddresses {
		t.Errorf("the stateful set's service %s must be there, headless, and name servers that are not ready yet", set.ServiceName)
	}
	if m.budgets[0].Spec.MaxUnavailable > (set.Replicas-1)/2 {
		t.Errorf("%d of %d servers may be taken away, which is a quorum lost", m.budgets[0].Spec.MaxUnavailable, set.Replicas)
	}

	named := map[string]bool{}
	for _, p := range set.Template.Spec.Containers[0].Ports {
		named[p.Name+"/"+orTCP(p.Protocol)] = true
	}
	for name, s := range m.services {
		for _, p := range s.Spec.Ports {
			if !named[p.TargetPort+"/"+orTCP(p.Protocol)] {
				t.Errorf("the service %s sends %s to the port %s, which the container has not", name, orTCP(p.Protocol), p.TargetPort)
			}
		}
	}
}

func orTCP(protocol string) string {
	if protocol == "" {
		return "TCP"
	}
	return protocol
}

func TestKubernetesServer(t *testing.T) {
	m := readManifests(t)
	set := m.statefulSets[0].Spec
	pod := set.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers, want one", len(pod.Containers))
	}
	c := pod.Containers[0]

	env := imageEnv(t)
	var refs []string
	for _, e := range c.Env {
		value, known := map[string]string{"metadata.name": "herald-0", "metadata.namespace": "herald", "status.podIP": "192.0.2.1"}[e.ValueFrom.FieldRef.FieldPath]
		if !known {
			value = e.Value
		}
		refs = append(refs, "$("+e.Name+")", value)
		env[e.Name] = value
	}
	expand := strings.NewReplacer(refs...)
	args := make([]string, len(c.Args))
	for i, a := range c.Args {
		args[i] = expand.Replace(a)
		if strings.Contains(args[i], "$(") {
			t.Errorf("argument %s names a variable that the container has not", a)
		}
		// What the image sets and an argument overrides.
		for _, name := range []string{"data_dir", "doors.http.address", "doors.dns.address", "doors.etcd.address"} {
			flag := strings.ReplaceAll(strings.TrimPrefix(strings.ReplaceAll(name, ".", "-"), "doors-"), "_", "-")
			if strings.HasPrefix(a, "--"+flag+"=") {
				delete(env, "HERALD_"+strings.ToUpper(strings.ReplaceAll(name, ".", "_")))
			}
		}
	}
	effective, err := settings(env, args)
	if err != nil {
		t.Fatal(err)
	}

	var peers []string
	for i := range set.Replicas {
		peers = append(peers, fmt.Sprintf("herald-%d.%s:7400", i, set.ServiceName))
	}
	if err := sameElements("the servers to join", texts(effective["join"].Value), peers); err != nil {
		t.Error(err)
	}
	if got := effective["peer.advertise"].text(); got != peers[0] {
		t.Errorf("the first pod is reached at %s, want %s", got, peers[0])
	}
	if got := effective["raft.bootstrap_expect"].Value; got != float64(set.Replicas) {
		t.Errorf("it starts a cluster of %v, and there are %d replicas", got, set.Replicas)
	}

	ports := map[string]int{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	for port, name := range map[string]string{
		"http": "doors.http.address", "dns-udp": "doors.dns.address", "dns-tcp": "doors.dns.address", "etcd": "doors.etcd.address", "peer": "peer.address",
	} {
		if got := portOf(effective[name].text()); got != strconv.Itoa(ports[port]) {
			t.Errorf("%s is %s, and the container's port %s is %d", name, effective[name].text(), port, ports[port])
		}
	}
	told := fmt.Sprintf("http://herald-0.%s.%s.svc:%d", set.ServiceName, m.namespaces[0].Metadata.Name, ports["etcd"])
	if err := sameElements("where etcd's clients are told that the first pod is", texts(effective["doors.etcd.advertise"].Value), []string{told}); err != nil {
		t.Error(err)
	}
	if got := set.Template.Metadata.Annotations["prometheus.io/port"]; got != strconv.Itoa(ports["http"]) {
		t.Errorf("metrics are scraped at port %s", got)
	}
	for name, p := range map[string]probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if p.HTTPGet.Path != name || p.HTTPGet.Port != "http" {
			t.Errorf("the probe of %s asks %s at port %s", name, p.HTTPGet.Path, p.HTTPGet.Port)
		}
	}

	mounted := map[string]string{}
	for _, v := range c.VolumeMounts {
		mounted[v.MountPath] = v.Name
	}
	if len(set.VolumeClaimTemplates) != 1 || mounted[effective["data_dir"].text()] != set.VolumeClaimTemplates[0].Metadata.Name {
		t.Errorf("the data directory %s is not on the volume that is claimed", effective["data_dir"].text())
	}
	checkRestricted(t, pod, c)
}

// checkRestricted checks what the namespace's "restricted" level would refuse, and that the
// pod is the user that the image is made for.
func checkRestricted(t *testing.T, pod podSpec, c container) {
	t.Helper()
	user := dockerfile(t)[1].only(t, "USER")
	if want := fmt.Sprintf("%d:%d", pod.SecurityContext.RunAsUser, pod.SecurityContext.RunAsGroup); user != want {
		t.Errorf("the pod runs as %s, and the image is made for %s", want, user)
	}
	if !pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
		t.Error("the pod may run as root, or without a seccomp profile")
	}
	s := c.SecurityContext
	if s.AllowPrivilegeEscalation || !s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
		t.Error("the container may gain privileges, write its image or use capabilities")
	}
	if c.Resources.Requests["memory"] == "" || c.Resources.Limits["memory"] == "" {
		t.Error("the container has no bounds of memory")
	}
}
