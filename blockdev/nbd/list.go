package nbd

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/blockdev/internal/nbdwire"
)

// Listing is an export as a server tells of it.
type Listing struct {
	nbdwire.Export
	// Contexts are the names of the meta contexts that it has.
	Contexts []string
}

// List asks a server for its exports. What it does not tell of one stays empty: servers may list
// names alone.
func List(ctx context.Context, cfg Config) ([]Listing, error) {
	h, err := greet(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	defer h.leave()
	if h.Old != nil {
		return []Listing{{Export: *h.Old}}, nil
	}
	list, err := h.Client.List()
	if err != nil {
		return nil, h.because(err)
	}
	if err := unlessRefused(h.StructuredReplies()); err != nil {
		return nil, h.because(err)
	}
	told := make([]Listing, 0, len(list))
	for _, e := range list {
		more, err := h.about(e)
		if err != nil {
			return nil, h.because(err)
		}
		told = append(told, more)
	}
	return told, nil
}

// about asks for the details of an export that was listed.
func (h *haggling) about(e nbdwire.Export) (Listing, error) {
	info, err := h.Info(e.Name)
	if unlessRefused(err) != nil {
		return Listing{}, err
	}
	info.Name, info.Description = e.Name, cmp.Or(info.Description, e.Description)
	contexts, err := h.ListContexts(e.Name)
	return Listing{Export: info, Contexts: contexts}, unlessRefused(err)
}

// because is err with what is known of its reason, or that ctx ended.
func (h *haggling) because(err error) error {
	switch {
	case h.ctx.Err() != nil:
		return context.Cause(h.ctx)
	case h.anonymous && (isHungUp(err) || isRemoteAlert(err)):
		return &anonymousError{err}
	}
	return err
}

// ParseName reads the name of a server or an export as the drivers nbd and nbds do.
func ParseName(name string) (Config, error) {
	scheme, _, _ := strings.Cut(name, ":")
	parse, secure := parseName, slices.Contains(Secure.Schemes, scheme)
	if secure {
		parse = parseSecure
	} else if !slices.Contains(Driver.Schemes, scheme) {
		return Config{}, driver.Refuse("'%s' is no NBD server; nbd://HOST is one", name)
	}
	var o driver.Options
	if err := parse(name, &o); err != nil {
		return Config{}, err
	}
	c := secureConfig{Certificates: o.String("tls-certificates")}
	c.Server, c.Export = driver.Group{Options: *o.TakeSub("server.")}, o.String("export")
	c.Hostname = o.String("tls-hostname")
	a, err := c.address()
	cfg := Config{Address: a, Export: c.Export}
	if err == nil && secure {
		cfg.TLS, err = c.encryption(a)
	}
	return cfg, err
}

// Leave ends what Reach has started. It is told why the server was of no use, nil for nothing, and
// returns that or what the server said about it.
type Leave func(ctx context.Context, failed error) error

// Reach is ParseName for names that may also be a command in brackets: that server is started.
func Reach(name string) (Config, Leave, error) {
	stays := func(_ context.Context, failed error) error { return failed }
	if probeCommand(name) == 0 {
		cfg, err := ParseName(name)
		return cfg, stays, err
	}
	args, err := commandWords(name[1 : len(name)-1])
	if err != nil {
		return Config{}, stays, err
	}
	server, err := StartServer(args)
	if err != nil {
		return Config{}, stays, err
	}
	return Config{Address: server.Address()}, func(ctx context.Context, failed error) error {
		if failed != nil {
			return server.explain(ctx, failed)
		}
		return server.Stop()
	}, nil
}
