package storetest

func model() []test { return nil }
