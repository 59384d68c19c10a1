package cli

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"herald/raftstore"
)

func (p *program) joinCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "join ADDRESS",
		Short: "Let the asked server into the cluster that the server at a peer address is part of",
		Long: `Let the asked server, which is part of no cluster, into the cluster that the server at
a peer address (host or host:port) is part of.

It is taken in at once, and votes when it has caught up; herald members shows it. A server that
finds its cluster by itself as it starts is given --join instead.`,
		Example: "  herald join 10.0.0.1:7400 --server 10.0.0.4:8500",
		Args:    args(cobra.ExactArgs(1)),
	}
	r := remoteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		address, err := peerAddress(words[0])
		if err != nil {
			return &usageError{err}
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		ctx, cancel := once(cmd)
		defer cancel()
		if err := c.Operator().Join(ctx, address); err != nil {
			return err
		}
		fmt.Fprintf(p.out, "%s is part of the cluster of %s, and votes when it has caught up\n", c.Addresses()[0], address)
		return nil
	}
	return cmd
}

func (p *program) leaveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "leave",
		Short: "Take the asked server out of its cluster",
		Long: `Take the asked server out of its cluster, after it has handed on leadership if it had
it. Its process goes on until it is stopped, and knows no leader any more.`,
		Args: args(cobra.NoArgs),
	}
	r := remoteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		ctx, cancel := once(cmd)
		defer cancel()
		if err := c.Operator().Leave(ctx); err != nil {
			return err
		}
		fmt.Fprintf(p.out, "%s has left its cluster; its process can be stopped\n", c.Addresses()[0])
		return nil
	}
	return cmd
}

// peerAddress completes the address of a server's peer port with the usual port.
func peerAddress(word string) (string, error) {
	host, port, err := net.SplitHostPort(word)
	if err != nil {
		host = word
		if _, port, err = net.SplitHostPort(raftstore.DefaultPeerAddress); err != nil {
			return "", err
		}
		if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
			host = host[1 : len(host)-1]
		}
	}
	address := net.JoinHostPort(host, port)
	if _, again, err := net.SplitHostPort(address); err != nil || host == "" || again == "" || !isPort(port) || !isHost(host) {
		return "", fmt.Errorf("%q is no peer address: want host or host:port, such as 10.0.0.1:7400", word)
	}
	return address, nil
}

// peerAddresses completes each of several.
func peerAddresses(words []string) ([]string, error) {
	all := make([]string, len(words))
	for i, word := range words {
		var err error
		if all[i], err = peerAddress(word); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// isPort reports whether a server can listen there.
func isPort(port string) bool {
	n, err := net.LookupPort("tcp", port)
	return err == nil && n > 0 && n < 1<<16
}

// isHost reports whether a word can be a name or an IP address: the most common mistake
// is a URL.
func isHost(host string) bool {
	if net.ParseIP(host) != nil {
		return true
	}
	for _, r := range host {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_' {
			return false
		}
	}
	return host != ""
}
