package pypitest

import (
	"context"
	_ "embed" // the program and the list of packages
	"fmt"
	"regexp"
)

var (
	//go:embed testdata/moto.txt
	motoRequirements []byte
	//go:embed testdata/moto.py
	motoProgram string

	listening = regexp.MustCompile(`Running on (http://127\.0\.0\.1:\d+)`)
)

// Moto is AWS's services as moto (https://docs.getmoto.org) plays them, empty at first.
type Moto struct {
	*Process
	URL string // the endpoint of each service
}

// StartMoto starts a moto, which runs until Close.
func StartMoto(ctx context.Context) (*Moto, error) {
	interpreter, err := Python(ctx, "moto", motoRequirements)
	if err != nil {
		return nil, err
	}
	p, err := Start(interpreter, motoProgram)
	if err != nil {
		return nil, err
	}
	m := &Moto{Process: p}
	err = p.First(func(line string) bool {
		found := listening.FindStringSubmatch(line)
		if found != nil {
			m.URL = found[1]
		}
		return found != nil
	})
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("starting moto: %w", err)
	}
	return m, nil
}
