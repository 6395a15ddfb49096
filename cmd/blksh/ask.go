package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/blksh/blksh/blockdev/driver"
	"github.com/blksh/blksh/repl"
)

// asker is how a passphrase that no option gives is asked for, nil where nobody is there.
func (p *program) asker() func(context.Context, driver.Question) (driver.Secret, error) {
	switch {
	case p.dialect.Policy.PasswordLine:
		return p.askLine
	case p.native() && !p.options.json && repl.IsTerminal(p.stdin):
		return p.askTerminal
	}
	return nil
}

// askTerminal asks the person at the terminal, who is not shown what is typed. A new passphrase is
// to be typed twice.
func (p *program) askTerminal(ctx context.Context, q driver.Question) (driver.Secret, error) {
	what := "Passphrase"
	switch {
	case q.New:
		what = "New passphrase"
	case q.Again:
		what = "That is not right. Passphrase"
	}
	secret, err := p.askOnce(ctx, fmt.Sprintf("%s for '%s': ", what, q.Image))
	if err != nil || !q.New {
		return secret, err
	}
	again, err := p.askOnce(ctx, "The same again: ")
	defer again.Wipe()
	if err == nil && !bytes.Equal(secret, again) {
		err = driver.Refuse("The passphrases are not the same")
	}
	if err != nil {
		secret.Wipe()
		return nil, err
	}
	return secret, nil
}

func (p *program) askOnce(ctx context.Context, prompt string) (driver.Secret, error) {
	p.out.Flush()
	line, err := p.passwords.Read(ctx, p.stdin, func() error {
		_, err := fmt.Fprint(p.errs, prompt)
		return err
	})
	if err != nil {
		return nil, driver.Refuse("No passphrase: %w", err)
	}
	return line, nil
}

// askLine asks as QEMU 2.4 does: the passphrase is the next line of standard input.
func (p *program) askLine(ctx context.Context, q driver.Question) (driver.Secret, error) {
	if !q.Legacy {
		return nil, driver.Refuse("Unsupported encryption method: 2")
	}
	if _, err := fmt.Fprintf(p.out, "Disk image '%s' is encrypted.\npassword: \n",
		q.Image); err != nil {
		return nil, err
	}
	p.out.Flush()
	line, err := repl.ReadSecretLine(ctx, p.stdin)
	if err != nil {
		return nil, driver.Refuse("No passphrase: %w", err)
	}
	return line, nil
}
