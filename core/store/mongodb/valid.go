package mongodb

// Check returns an error when [Open] would refuse the options. Nothing is opened or looked up.
func Check(o Options) error {
	_, err := parseAddress(o)
	return err
}
