package shared

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// KeySize is how many bytes the key has that all others are derived from.
const KeySize = 32

// A sealed value is this byte, a random nonce of 12 bytes, and what AES-256-GCM (NIST SP 800-38D) makes of the value. The version, the
// collection and the id are authenticated with it: a value that is moved to another place does not open there.
const sealVersion = 1

// seal closes and opens values.
type seal struct {
	byUse map[string]cipher.AEAD
}

// newSeal derives a key for each collection (HKDF, RFC 5869), so that no two uses have one.
func newSeal(key []byte) (*seal, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("a key of %d bytes; %d are needed", len(key), KeySize)
	}
	s := &seal{byUse: make(map[string]cipher.AEAD)}
	for _, use := range []string{certificates, challenges, keys} {
		derived, err := hkdf.Key(sha256.New, key, nil, "edge "+use+" 1", KeySize)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(derived)
		if err != nil {
			return nil, err
		}
		if s.byUse[use], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *seal) close(collection, id string, value []byte) []byte {
	sealed := []byte{sealVersion}
	return s.byUse[collection].Seal(sealed, nil, value, place(collection, id)) //nolint:gosec // it makes the nonce itself
}

// errUnopened says that a value was sealed with another key, for another place, or was changed.
var errUnopened = errors.New("it is not what a host with this key has sealed there")

func (s *seal) open(collection, id string, sealed []byte) ([]byte, error) {
	switch {
	case len(sealed) == 0:
		return nil, errors.New("nothing sealed is there")
	case sealed[0] != sealVersion:
		return nil, fmt.Errorf("it is sealed in version %d of the format, and this edge knows version %d", sealed[0], sealVersion)
	}
	value, err := s.byUse[collection].Open(nil, nil, sealed[1:], place(collection, id))
	if err != nil {
		return nil, errUnopened
	}
	return value, nil
}

// place is what is authenticated beside a value.
func place(collection, id string) []byte {
	return append([]byte{sealVersion}, collection+"\x00"+id...)
}
