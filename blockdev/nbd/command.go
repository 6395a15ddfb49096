package nbd

import (
	"context"
	"strings"
	"unicode"

	"github.com/google/shlex"

	"github.com/blksh/blksh/blockdev/driver"
)

// Command is the protocol driver for servers that are started for one user and end with him: its
// names are commands in brackets, such as "[ nbdkit memory 1G ]". No image may name one.
var Command = driver.Driver{
	Name:      "nbd-command",
	Doc:       "an NBD server that is started for this, as in '[ nbdkit memory 1G ]'",
	Kind:      driver.Protocol,
	Config:    commandConfig{},
	Native:    true,
	Device:    true,
	ProbePath: probeCommand,
	ParseName: func(name string, o *driver.Options) error {
		o.Set("command", strings.TrimSpace(name[1:len(name)-1]))
		return nil
	},
	Open: openCommand,
}

// commandConfig are the options of Command.
type commandConfig struct {
	Command string `option:"command" help:"the server and its arguments"`
	exportConfig
}

// probeCommand knows a command by its brackets, which stand apart from it.
func probeCommand(name string) int {
	if strings.HasPrefix(name, "[ ") && strings.HasSuffix(name, " ]") && len(name) > 4 {
		return 100
	}
	return 0
}

func openCommand(ctx context.Context, o *driver.Opening) (driver.Node, error) {
	c := o.Config.(*commandConfig)
	args, err := commandWords(c.Command)
	if err != nil {
		return nil, err
	}
	return openServer(ctx, o, &c.exportConfig, program{args: args})
}

// CommandName is the name by which the driver for commands starts args.
func CommandName(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		if !strings.ContainsFunc(arg, isSpecial) && arg != "" {
			quoted[i] = arg
		}
	}
	return "[ " + strings.Join(quoted, " ") + " ]"
}

// isSpecial says that a character may mean more than itself to a shell.
func isSpecial(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_=+,./:@%", r)
}

// commandWords takes a command apart.
func commandWords(command string) ([]string, error) {
	args, err := shlex.Split(command)
	if err != nil || len(args) == 0 {
		return nil, driver.Refuse("'%s' is no command with arguments", command)
	}
	return args, nil
}

// openServer starts a server and opens its export. If that fails, what the server said tells why.
func openServer(
	ctx context.Context, o *driver.Opening, c *exportConfig, p program,
) (driver.Node, error) {
	if err := o.ByUser("a server to start"); err != nil {
		return nil, err
	}
	cfg, err := c.configure(o, Address{})
	if err != nil {
		return nil, err
	}
	server, err := p.start()
	if err != nil {
		return nil, err
	}
	cfg.Address, cfg.AtOnce = server.Address(), p.atOnce
	cfg.said = func() string { return server.said.text(server.name) }
	if c.Connections <= 0 && p.atOnce > 0 && !o.LikeQEMU() {
		cfg.Connections = mostUsual
	}
	n, err := dialNode(ctx, o, cfg)
	if err != nil {
		return nil, server.explain(ctx, err)
	}
	n.server = server
	return n, nil
}
