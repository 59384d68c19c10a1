// Package deploy holds the files that Herald is installed with: an image, compose
// projects, systemd units and Kubernetes manifests. It has no code but its
// tests, which check the files as far as that goes without a container engine or a
// cluster: every document decodes into types that know its fields and no others, every
// setting is put to the built binary, every path that one file names in another
// exists, and what belongs together (ports, names, selectors, data directories)
// agrees. README.md says what that leaves unproven.
package deploy
