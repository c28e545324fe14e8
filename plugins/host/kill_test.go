package host

func serveHost(string) {}
