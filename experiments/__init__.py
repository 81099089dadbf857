"""One thin script a job: a typed config and a main()."""
