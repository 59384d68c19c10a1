package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"herald/client"
)

// defaultServer is where `herald dev` answers.
const defaultServer = "127.0.0.1:8500"

// remote is how a command reaches a running Herald.
type remote struct {
	addresses []string
	token     string
}

// remoteFlags gives a command, and those below it, the flags --server and --token.
func remoteFlags(cmd *cobra.Command) *remote {
	r := &remote{}
	initial := []string{defaultServer}
	if env := os.Getenv(envPrefix + "_SERVER"); env != "" {
		initial = strings.Split(env, ",")
	}
	cmd.PersistentFlags().StringSliceVar(&r.addresses, "server", initial,
		"HTTP address of a server or agent, several tried in turn (environment "+envPrefix+"_SERVER)")
	cmd.PersistentFlags().StringVar(&r.token, "token", os.Getenv(envPrefix+"_TOKEN"),
		"token to send with every request (environment "+envPrefix+"_TOKEN)")
	return r
}

func (r *remote) client() (*client.Client, error) {
	return client.New(client.Config{Addresses: r.addresses, Token: r.token, OnRetry: (&retries{to: os.Stderr}).tell})
}

// retries tells of what keeps a watch from going on: once, until it is something else
// or it has gone on meanwhile.
type retries struct {
	to   io.Writer
	said string
}

func (t *retries) tell(err error) {
	if err == nil {
		t.said = ""
	} else if s := err.Error(); s != t.said {
		t.said = s
		fmt.Fprintln(t.to, "herald: trying again:", err)
	}
}

// reader is a client for a command that reads, and how it is to read.
func (r *remote) reader(consistency func() (client.Consistency, error)) (*client.Client, client.ReadOptions, error) {
	mode, err := consistency()
	if err != nil {
		return nil, client.ReadOptions{}, err
	}
	c, err := r.client()
	return c, client.ReadOptions{Consistency: mode}, err
}

// commandTimeout bounds the commands that ask once.
const commandTimeout = 15 * time.Second

// once gives a command's single question a deadline.
func once(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	return context.WithTimeout(cmd.Context(), commandTimeout)
}

// readFile reads a file, or standard input for "-".
func readFile(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(cmd.InOrStdin())
	}
	return os.ReadFile(name)
}
