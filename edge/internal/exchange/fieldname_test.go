package exchange

import "testing"

func TestNamesAndValues(t *testing.T) {
	for _, tt := range []struct {
		s                   string
		token, plain, value bool
	}{
		{"X-Forwarded-For", true, true, true},
		{"X_Forwarded_For", true, false, true},
		{"!#$%&'*+-.^_`|~09azAZ", true, false, true},
		{"", false, false, true},
		{"a b", false, false, true},
		{"a\tb", false, false, true},
		{"a:b", false, false, true},
		{"ä", false, false, true},
		{"a\r", false, false, false},
		{"a\x00", false, false, false},
		{"a\x7f", false, false, false},
	} {
		if IsToken(tt.s) != tt.token || IsPlainName(tt.s) != tt.plain || IsFieldValue(tt.s) != tt.value {
			t.Errorf("%q: token %v, plain %v, value %v", tt.s, IsToken(tt.s), IsPlainName(tt.s), IsFieldValue(tt.s))
		}
	}
}

func TestIsFraming(t *testing.T) {
	for _, name := range []string{
		"te", "Upgrade", "TRAILER", "Connection", "Keep-Alive", "content-length", "HTTP2-Settings", "Proxy-Connection", "Transfer-Encoding",
	} {
		if !IsFraming(name) {
			t.Error(name)
		}
	}
	for _, name := range []string{"", "Host", "Expect", "Content-Type", "Trailers", "Transfer_Encoding", "Proxy-Authorization"} {
		if IsFraming(name) {
			t.Error(name)
		}
	}
}
