package main

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/blksh/blksh/blockdev"
	"github.com/blksh/blksh/blockdev/driver"
)

// secret makes an object of the type secret: of data=, or of what is in file=, as it is or in
// base64, and encrypted with another secret if keyid= says so.
func (p *program) secret(opts *blockdev.Options) (any, error) {
	if err := onlyKeys(opts, "data", "file", "format", "keyid", "iv"); err != nil {
		return nil, err
	}
	packed := false
	switch format := opts.String("format"); format {
	case "", "raw":
	case "base64":
		packed = true
	default:
		return nil, driver.Refuse("Parameter 'format' does not accept value '%s'", format)
	}
	data, err := secretData(opts)
	if err != nil {
		return nil, err
	}
	if packed {
		if data, err = decodeBase64(data); err != nil {
			return nil, err
		}
	}
	if id := opts.String("keyid"); id != "" {
		data, err = p.decryptSecret(data, id, opts)
	}
	return driver.Secret(data), err
}

// maxSecret bounds a file with a secret, in bytes.
const maxSecret = 1 << 20

// secretData is the secret as it was given.
func secretData(opts *blockdev.Options) ([]byte, error) {
	switch hasData, hasFile := opts.Has("data"), opts.Has("file"); {
	case hasData && hasFile:
		return nil, driver.Refuse("'file' and 'data' are mutually exclusive")
	case hasData:
		return []byte(opts.String("data")), nil
	case hasFile:
		name := opts.String("file")
		data, err := readSecret(name)
		if err != nil {
			return nil, driver.Refuse("Unable to read %s: %w", name, err)
		}
		return data, nil
	}
	return nil, driver.Refuse("Either 'file' or 'data' must be provided")
}

// readSecret reads a file or a pipe. A newline at its end is a part of the secret. The words are
// those of QEMU's library.
func readSecret(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, driver.Refuse("Failed to open file “%s”: %s", name,
			driver.ErrnoText(driver.Errno(err)))
	}
	defer f.Close() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return nil, driver.Refuse("Error reading file “%s”: %s", name,
			driver.ErrnoText(driver.Errno(err)))
	case len(data) > maxSecret:
		return nil, errors.New("too long for a secret")
	}
	return data, nil
}

// decodeBase64 takes lines of any length, and leaves out a last group that is not whole.
func decodeBase64(data []byte) ([]byte, error) {
	text := strings.ReplaceAll(string(data), "\n", "")
	decoded, err := base64.StdEncoding.DecodeString(text[:len(text)&^3])
	if err != nil || strings.Trim(text[len(text)&^3:],
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") != "" {
		return nil, driver.Refuse("Base64 data contains invalid characters")
	}
	return decoded, nil
}

// secretCalled is the secret that an object made before another one.
func (p *program) secretCalled(id string) (driver.Secret, error) {
	secret, ok := p.options.objects[id].(driver.Secret)
	switch {
	case !ok && p.options.objects[id] == nil:
		return nil, driver.Refuse("No secret with id '%s'", id)
	case !ok:
		return nil, driver.Refuse("Object with id '%s' is not a secret", id)
	}
	return secret, nil
}

// decryptSecret decrypts a secret by AES-256 in CBC mode with the key that is the secret id.
func (p *program) decryptSecret(data []byte, id string, opts *blockdev.Options) ([]byte, error) {
	key, err := p.secretCalled(id)
	switch {
	case err != nil:
		return nil, err
	case len(key) != 32:
		return nil, driver.Refuse("Key should be 32 bytes in length")
	case !opts.Has("iv"):
		return nil, driver.Refuse("IV is required to decrypt secret")
	}
	iv, err := decodeBase64([]byte(opts.String("iv")))
	switch {
	case err != nil:
		return nil, err
	case len(iv) != aes.BlockSize:
		return nil, driver.Refuse("IV should be %d bytes in length not %d", aes.BlockSize, len(iv))
	case len(data)%aes.BlockSize != 0:
		return nil, driver.Refuse("Length %d must be a multiple of block size %d", len(data),
			aes.BlockSize)
	}
	if len(data) == 0 {
		return data, nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(data, data)
	padding := int(data[len(data)-1])
	if padding == 0 || padding > aes.BlockSize {
		return nil, driver.Refuse("Incorrect number of padding bytes (%d) found on decrypted data",
			padding)
	}
	return data[:len(data)-padding], nil
}
