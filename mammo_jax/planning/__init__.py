"""What a study will do, what it needs, and what cannot work: found from headers and tables before anything is made."""
