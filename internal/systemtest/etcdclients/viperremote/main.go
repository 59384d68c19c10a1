// Command viperremote reads a YAML file from a key of a store as programs with viper do, and
// prints what it says of the database; and again for every line that comes in.
//
// It is a module of its own: viper's remote provider brings the clients of several stores,
// which Herald does not need.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/spf13/viper"
	_ "github.com/spf13/viper/remote"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: viperremote PROVIDER ENDPOINT KEY")
	}
	v := viper.New()
	v.SetConfigType("yaml")
	if err := v.AddRemoteProvider(args[0], args[1], args[2]); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); ; {
		if err := v.ReadRemoteConfig(); err != nil {
			return err
		}
		fmt.Printf("%s:%d\n", v.GetString("database.host"), v.GetInt("database.port"))
		if !lines.Scan() {
			return lines.Err()
		}
	}
}
