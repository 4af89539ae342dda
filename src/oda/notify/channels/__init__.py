"""The ways to a receiver: `contract` says what each does, `catalogue` which there are; `post` is HTTP."""
