package jobs

func asChild() {}
